// SPDX-License-Identifier: Apache-2.0
//
// Start a program with exactly the descriptors and the environment that are named, and see its end through a pidfd.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/interrupt.hpp"

namespace hawse {

struct ExitStatus {
  bool signalled = false;
  int value = 0;  // exit code, or signal number
  std::uint64_t max_rss_bytes = 0;
};

struct SpawnOptions {
  std::vector<std::string> argv;                    // argv[0] is a path, or a name looked up in PATH
  std::map<std::string, std::string> env;           // the whole environment
  std::string working_directory;                    // "": the caller's
  std::vector<std::pair<int, int>> fds;             // (ours, theirs); every other descriptor but 0-2 is closed
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;  // -1: /dev/null for stdin, the caller's for the others
  bool new_session = true;                          // a session of its own: Ctrl-C goes to the runtime alone
  bool die_with_parent = true;                      // PDEATHSIG KILL: fires when the *thread* that called spawn() ends
  std::vector<std::pair<int, unsigned long>> rlimits;  // (RLIMIT_x, value), soft and hard
  std::vector<std::string> cgroup_procs;            // the child writes itself into each of these files before exec
};

// A started child. Destruction kills and reaps it: no process outlives its owner.
class Subprocess {
 public:
  static Subprocess spawn(const SpawnOptions&);     // throws Error, also where exec itself fails (names the program)
  Subprocess() noexcept = default;
  Subprocess(Subprocess&&) noexcept;
  Subprocess& operator=(Subprocess&&) noexcept;
  ~Subprocess();

  pid_t pid() const noexcept { return pid_; }
  int pidfd() const noexcept { return pidfd_.get(); }  // readable once the child has ended
  explicit operator bool() const noexcept { return pid_ > 0; }
  void signal(int number) noexcept;                    // the child
  void signal_group(int number) noexcept;              // its whole process group (new_session)
  ExitStatus wait();                                   // blocks, reaps

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

struct RunResult {
  ExitStatus status;
  std::string out, err;
};
// Runs to the end and collects both streams (each at most 16 MiB). on_line, where given, sees every line of stderr and stdout as it comes. An interrupt
// kills the child with all that it started, and throws.
RunResult run_to_end(SpawnOptions, const std::function<void(std::string_view line)>& on_line = nullptr, Interrupt* interrupt = nullptr);

std::map<std::string, std::string> current_environment();

}  // namespace hawse
