// SPDX-License-Identifier: Apache-2.0
//
// The guard: a small process of its own that outlives a killed runtime by a moment, and removes what that left behind.
//
// It reads lines from a pipe: what there is to remove. When the pipe closes without "done" the runtime is gone, and the guard kills the named
// process groups, removes the control groups, the session's containers and its folder. Nodes end by themselves too (their socket hangs up); the
// guard is for those that don't get to it. If the guard is killed as well, the next start of a session removes containers by their label.
//
//   session ID | containers | group PID START_TICKS | cgroup FOLDER | folder FOLDER | done
#pragma once

#include <string>

#include "base/fd.hpp"
#include "base/subprocess.hpp"

namespace hawse::runtime {

class Guard {
 public:
  explicit Guard(const std::string& session);  // starts lib/hawse/hawse-guard
  ~Guard();                                    // "done"
  void add(const std::string& line) noexcept;  // any thread

 private:
  Subprocess process_;
  UniqueFd pipe_;
};

}  // namespace hawse::runtime
