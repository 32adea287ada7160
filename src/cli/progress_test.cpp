// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <unistd.h>

#include <string>

#include "base/fd.hpp"

namespace hawse::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Mode = ProgressDisplay::Mode;

struct Terminal {
  UniqueFd screen, fd;  // what a person would see comes out of `screen`
};

Terminal open_terminal(unsigned short columns) {
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 24;
  int screen = -1, fd = -1;
  EXPECT_EQ(::openpty(&screen, &fd, nullptr, nullptr, &size), 0);
  return {UniqueFd(screen), UniqueFd(fd)};
}

struct Pipe {
  UniqueFd read, write;
};

Pipe open_pipe() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(::pipe(fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// Reads until `wanted` has come; a test that waits for what never comes is ended by ctest.
std::string read_until(int fd, const std::string& wanted) {
  std::string text;
  char buffer[4096];
  while (text.find(wanted) == std::string::npos) {
    const auto count = ::read(fd, buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

TEST(Progress, is_bars_on_a_terminal_lines_in_a_pipe_and_nothing_when_quiet) {
  const auto terminal = open_terminal(80);
  const auto pipe = open_pipe();
  ::setenv("TERM", "xterm", 1);
  EXPECT_EQ(ProgressDisplay::mode_for(terminal.fd.get(), false), Mode::bars);
  EXPECT_EQ(ProgressDisplay::mode_for(pipe.write.get(), false), Mode::lines);
  EXPECT_EQ(ProgressDisplay::mode_for(terminal.fd.get(), true), Mode::silent);
  ::setenv("TERM", "dumb", 1);
  EXPECT_EQ(ProgressDisplay::mode_for(terminal.fd.get(), false), Mode::lines);
}

TEST(Progress, says_in_a_pipe_when_a_piece_begins_and_ends_and_not_every_step) {
  const auto pipe = open_pipe();
  ProgressDisplay display(Mode::lines, pipe.write.get());
  for (std::uint64_t step = 0; step <= 100; ++step) display.update("speech", {"packages", step, 100, "B", ""});
  display.update("speech", {"image", 0, 0, "", ""});
  display.finish("speech", "python 3.9");
  const auto text = read_until(pipe.read.get(), "s)\n");
  EXPECT_THAT(text, ::testing::StartsWith("speech: packages\nspeech: image\nspeech: python 3.9 ("));
}

TEST(Progress, draws_a_bar_for_each_piece_under_way) {
  const auto terminal = open_terminal(100);
  ProgressDisplay display(Mode::bars, terminal.fd.get());
  display.update("a", {"packages", 512, 1024, "B", ""});
  display.update("b", {"image", 0, 0, "", "Step 1 of 3"});
  const auto text = read_until(terminal.screen.get(), "Step 1 of 3");
  EXPECT_THAT(text, HasSubstr("a  packages"));
  EXPECT_THAT(text, HasSubstr(" 50 %"));
  EXPECT_THAT(text, HasSubstr("b  image"));
}

TEST(Progress, takes_its_bars_away_before_other_output) {
  const auto terminal = open_terminal(100);
  ProgressDisplay display(Mode::bars, terminal.fd.get());
  display.update("a", {"packages", 1, 2, "", ""});
  read_until(terminal.screen.get(), "1 of 2");
  display.print(terminal.fd.get(), "a caption\n");
  EXPECT_THAT(read_until(terminal.screen.get(), "a caption"), HasSubstr("\033[1F\033[J"));
}

TEST(Progress, never_wraps_a_line_and_never_passes_a_tools_control_characters_on) {
  const auto terminal = open_terminal(30);
  ProgressDisplay display(Mode::bars, terminal.fd.get());
  display.update("node", {"image", 0, 0, "", "\033[2J" + std::string(200, 'x') + "END"});
  const auto text = read_until(terminal.screen.get(), "\n");
  EXPECT_THAT(text, Not(HasSubstr("\033[2J")));
  EXPECT_LE(text.find('\r'), 29u);
}

}  // namespace
}  // namespace hawse::cli
