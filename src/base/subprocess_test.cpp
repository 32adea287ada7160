// SPDX-License-Identifier: Apache-2.0
#include "base/subprocess.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"

namespace hawse {
namespace {

SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", script};
  options.env = {{"PATH", "/usr/bin:/bin"}};
  return options;
}

std::string what_of(const SpawnOptions& options) {
  try {
    Subprocess::spawn(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Subprocess, collects_both_streams_and_the_exit_code) {
  std::vector<std::string> lines;
  const RunResult result = run_to_end(shell("echo out; echo err >&2; printf tail; exit 7"), [&](std::string_view line) { lines.emplace_back(line); });
  EXPECT_EQ(result.out, "out\ntail");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_FALSE(result.status.signalled);
  EXPECT_EQ(result.status.value, 7);
  EXPECT_EQ(lines.size(), 3u);
}

TEST(Subprocess, reads_more_than_a_pipe_holds) {
  const RunResult result = run_to_end(shell("head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2"));
  EXPECT_EQ(result.out.size(), 3000000u);
  EXPECT_EQ(result.err.size(), 1000000u);
}

TEST(Subprocess, does_not_wait_for_a_grandchild_that_holds_the_streams) {
  SpawnOptions options = shell("sleep 1000 & echo $!");
  const RunResult result = run_to_end(options);
  EXPECT_EQ(::kill(static_cast<pid_t>(std::stol(result.out)), SIGKILL), 0);
}

TEST(Subprocess, names_the_program_that_cannot_start) {
  SpawnOptions options;
  options.argv = {"/nowhere/program"};
  EXPECT_EQ(what_of(options), "start a program: /nowhere/program: No such file or directory");
  options.argv = {"no-such-program-anywhere"};
  EXPECT_EQ(what_of(options), "start a program: no-such-program-anywhere: not found in PATH");
  options = shell("true");
  options.working_directory = "/nowhere";
  EXPECT_NE(what_of(options).find("enter /nowhere"), std::string::npos);
  options = shell("true");
  options.cgroup_procs = {"/nowhere/cgroup.procs"};
  EXPECT_NE(what_of(options).find("/nowhere/cgroup.procs"), std::string::npos);
}

TEST(Subprocess, has_exactly_the_environment_and_the_folder_that_are_named) {
  SpawnOptions options;
  options.argv = {"env"};
  options.env = {{"A", "1"}, {"B", "two words"}};
  EXPECT_EQ(run_to_end(options).out, "A=1\nB=two words\n");
  options = shell("pwd");
  options.working_directory = "/usr";
  EXPECT_EQ(run_to_end(options).out, "/usr\n");
}

TEST(Subprocess, has_exactly_the_descriptors_that_are_named) {
  auto [a, b] = socket_pair();
  const UniqueFd not_for_it(::dup(a.get()));  // without close-on-exec
  SpawnOptions options = shell("for f in /proc/$$/fd/*; do echo ${f##*/}; done");
  options.fds = {{a.get(), 9}};
  const std::string listing = "\n" + run_to_end(options).out;
  for (const char* expected : {"\n0\n", "\n1\n", "\n2\n", "\n9\n"}) EXPECT_NE(listing.find(expected), std::string::npos) << listing;
  EXPECT_EQ(listing.find("\n" + std::to_string(not_for_it.get()) + "\n"), std::string::npos) << listing;
}

TEST(Subprocess, swaps_descriptors_without_overwriting_a_source) {
  int first[2], second[2];
  ASSERT_EQ(::pipe(first), 0);
  ASSERT_EQ(::pipe(second), 0);
  const UniqueFd guards[4] = {UniqueFd(first[0]), UniqueFd(first[1]), UniqueFd(second[0]), UniqueFd(second[1])};
  SpawnOptions options = shell("echo one >&" + std::to_string(second[1]) + "; echo two >&" + std::to_string(first[1]));
  options.fds = {{first[1], second[1]}, {second[1], first[1]}};
  EXPECT_EQ(run_to_end(options).status.value, 0);
  char text[8] = {};
  EXPECT_EQ(::read(first[0], text, 4), 4);
  EXPECT_STREQ(text, "one\n");
  EXPECT_EQ(::read(second[0], text, 4), 4);
  EXPECT_STREQ(text, "two\n");
}

TEST(Subprocess, sees_the_end_through_the_pidfd_and_tells_the_signal) {
  Subprocess child = Subprocess::spawn(shell("kill -TERM $$"));
  pollfd poll_fd{child.pidfd(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll_fd, 1, 60000), 1);
  const ExitStatus status = child.wait();
  EXPECT_TRUE(status.signalled);
  EXPECT_EQ(status.value, SIGTERM);
  EXPECT_FALSE(child);
}

TEST(Subprocess, ends_with_its_owner) {
  pid_t pid = -1;
  {
    const Subprocess child = Subprocess::spawn(shell("exec sleep 1000"));
    pid = child.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Subprocess, ends_with_the_thread_that_started_it_unless_told_otherwise) {
  Subprocess dies, stays;
  std::thread([&] {
    dies = Subprocess::spawn(shell("exec sleep 1000"));
    SpawnOptions options = shell("exec sleep 1000");
    options.die_with_parent = false;
    stays = Subprocess::spawn(options);
  }).join();
  EXPECT_EQ(dies.wait().value, SIGKILL);
  pollfd poll_fd{stays.pidfd(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll_fd, 1, 50), 0);
}

TEST(Subprocess, starts_with_default_signals_and_its_limits) {
  ::signal(SIGUSR1, SIG_IGN);
  SpawnOptions options = shell("ulimit -n; kill -USR1 $$; echo survived");
  options.rlimits = {{RLIMIT_NOFILE, 77}};
  const RunResult result = run_to_end(options);
  ::signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(result.out, "77\n");
  EXPECT_TRUE(result.status.signalled);
  EXPECT_EQ(result.status.value, SIGUSR1);
}

TEST(Subprocess, writes_itself_into_its_cgroup_before_it_runs) {
  const ScopedDir folder("/tmp");
  write_file(folder.path() / "procs", "");
  SpawnOptions options = shell("true");
  options.cgroup_procs = {folder.path() / "procs"};
  EXPECT_EQ(run_to_end(options).status.value, 0);
  EXPECT_EQ(read_file(folder.path() / "procs"), "0");
}

}  // namespace
}  // namespace hawse
