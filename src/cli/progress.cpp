// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/text.hpp"

namespace hawse::cli {
namespace {

constexpr auto kBetweenDrawings = std::chrono::milliseconds(100);
constexpr auto kBetweenLines = std::chrono::seconds(5);
constexpr std::size_t kBarColumns = 24;

// A terminal that went away must not end the work.
void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::size_t columns_of(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// At most `columns` characters, counting UTF-8 sequences as one each.
std::string cut(std::string_view text, std::size_t columns) {
  std::size_t count = 0, at = 0;
  for (; at < text.size(); ++at) {
    const bool starts_character = (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
    if (starts_character && count++ == columns) break;
  }
  return std::string(text.substr(0, at));
}

std::string amount(const executor::Progress& progress) {
  const auto text = [&](std::uint64_t value) {
    return progress.unit == "B" ? format_bytes(value) : progress.unit.empty() ? fmt::format("{}", value) : fmt::format("{} {}", value, progress.unit);
  };
  if (progress.total == 0) return progress.done == 0 ? "" : text(progress.done);
  return fmt::format("{:3} %  {} of {}", 100 * std::min(progress.done, progress.total) / progress.total, text(progress.done), text(progress.total));
}

std::string seconds_since(std::chrono::steady_clock::time_point began) {
  return fmt::format("{:.1f} s", std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
}

}  // namespace

ProgressDisplay::Mode ProgressDisplay::mode_for(int fd, bool quiet) {
  if (quiet) return Mode::silent;
  const char* terminal = std::getenv("TERM");
  return ::isatty(fd) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb" ? Mode::bars : Mode::lines;
}

ProgressDisplay::ProgressDisplay(Mode mode, int fd) : mode_(mode), fd_(fd) {
  if (mode_ == Mode::bars) drawer_ = std::jthread([this](std::stop_token stop) { keep_drawing(stop); });
}

ProgressDisplay::~ProgressDisplay() {
  if (mode_ != Mode::bars) return;
  drawer_.request_stop();
  drawer_.join();
  write_all(fd_, erased());
}

void ProgressDisplay::update(const std::string& who, const executor::Progress& progress) {
  if (mode_ == Mode::silent) return;
  const std::lock_guard lock(mutex_);
  auto& piece = pieces_[who];
  const bool first = piece.latest.what != progress.what || piece.began == Clock::time_point();
  if (first) piece = {.began = Clock::now()};
  piece.latest = progress;
  if (!progress.line.empty()) piece.last_line = strip_control(progress.line);
  if (mode_ == Mode::lines) {
    say(who, piece);
  } else {
    changed_.notify_one();
  }
}

executor::Report ProgressDisplay::report_for(std::string who) {
  return [this, who = std::move(who)](const executor::Progress& progress) { update(who, progress); };
}

void ProgressDisplay::finish(const std::string& who, const std::string& summary) {
  if (mode_ == Mode::silent) return;
  const std::lock_guard lock(mutex_);
  const auto at = pieces_.find(who);
  const auto took = at == pieces_.end() ? "" : fmt::format(" ({})", seconds_since(at->second.began));
  if (at != pieces_.end()) pieces_.erase(at);
  const auto line = summary.empty() ? "" : fmt::format("{}: {}{}\n", who, strip_control(summary), took);
  redraw(line);
}

void ProgressDisplay::print(int fd, std::string_view text) {
  const std::lock_guard lock(mutex_);
  write_all(fd_, erased());
  write_all(fd, text);
  write_all(fd_, drawn());
}

void ProgressDisplay::say(const std::string& who, Piece& piece) {
  const auto what = strip_control(piece.latest.what);
  if (piece.said == Clock::time_point()) {
    write_all(fd_, fmt::format("{}: {}\n", who, what));
  } else if (Clock::now() - piece.said >= kBetweenLines) {
    const auto how_far = piece.latest.total > 0 ? amount(piece.latest) : piece.last_line;
    write_all(fd_, fmt::format("{}: {}: {} ({})\n", who, what, how_far, seconds_since(piece.began)));
  } else {
    return;
  }
  piece.said = Clock::now();
}

std::string ProgressDisplay::bar(const std::string& who, const Piece& piece, std::size_t columns) const {
  const auto& now = piece.latest;
  std::string gauge;
  if (now.total > 0) {
    const auto filled = kBarColumns * std::min(now.done, now.total) / now.total;
    for (std::size_t i = 0; i < kBarColumns; ++i) gauge += i < filled ? "█" : "░";
    gauge += "  ";
  }
  const auto text = fmt::format("{}  {}  {}{}  {}", who, strip_control(now.what), gauge, amount(now), seconds_since(piece.began));
  return cut(piece.last_line.empty() || now.total > 0 ? text : text + "  " + piece.last_line, columns);
}

// What takes the bars off the screen, and what puts them there. The cursor stands below the last bar, at the line's begin.
std::string ProgressDisplay::erased() {
  if (drawn_lines_ == 0) return "";
  return fmt::format("\033[{}F\033[J", std::exchange(drawn_lines_, 0));
}

std::string ProgressDisplay::drawn() {
  if (mode_ != Mode::bars) return "";
  const auto columns = columns_of(fd_) - 1;  // a full last column may wrap
  std::string text;
  for (const auto& [who, piece] : pieces_) text += bar(who, piece, columns) + "\n";
  drawn_lines_ = pieces_.size();
  return text;
}

// In one write, so that nothing flickers; each part in its turn, since drawing changes what there is to erase.
void ProgressDisplay::redraw(const std::string& above) {
  std::string text = erased();
  text += above;
  text += drawn();
  write_all(fd_, text);
}

void ProgressDisplay::keep_drawing(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !pieces_.empty(); }) && !stop.stop_requested()) {  // wait() is true after a stop, too
    redraw("");
    changed_.wait_for(lock, stop, kBetweenDrawings, [] { return false; });
  }
}

}  // namespace hawse::cli
