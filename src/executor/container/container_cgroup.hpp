// SPDX-License-Identifier: Apache-2.0
//
// A running container's control group, read from the host: what the engine's own API doesn't tell (the peak, the count of out-of-memory kills).
// Nothing is written. Where it can't be seen from here (the engine runs in another namespace), every figure is simply missing.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

#include "executor/executor.hpp"

namespace hawse::executor {

class ContainerCgroup {
 public:
  static std::optional<ContainerCgroup> of_process(pid_t pid);  // pid on the host; nullopt: can't be seen

  Usage usage() const noexcept;
  std::uint64_t oom_kills() const noexcept;

 private:
  std::filesystem::path memory_, cpu_;  // v2: the same folder
  bool v2_ = false;
};

}  // namespace hawse::executor
