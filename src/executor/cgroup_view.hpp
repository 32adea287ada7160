// SPDX-License-Identifier: Apache-2.0
//
// What a control group says of the processes in it, under cgroup v2 or v1: what they use, and how often they met which limit. Nothing is written.
// A figure that can't be seen (the engine runs in another namespace, the kernel is too old) is missing, or 0 where it is a count.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

#include "executor/executor.hpp"

namespace hawse::executor {

class CgroupView {
 public:
  static std::optional<CgroupView> of_process(pid_t pid);  // pid on the host; nullopt: can't be seen
  // v2: all in one folder. v1: a folder in each hierarchy; empty where it has none.
  static CgroupView v2(const std::filesystem::path& folder) { return {true, folder, folder, folder, folder}; }
  static CgroupView v1(std::filesystem::path memory, std::filesystem::path cpu, std::filesystem::path pids) { return {false, std::move(memory), std::move(cpu), {}, std::move(pids)}; }

  Usage usage() const noexcept;

 private:
  CgroupView(bool v2, std::filesystem::path memory, std::filesystem::path cpu, std::filesystem::path cpuacct, std::filesystem::path pids)
      : memory_(std::move(memory)), cpu_(std::move(cpu)), cpuacct_(std::move(cpuacct)), pids_(std::move(pids)), v2_(v2) {}

  std::filesystem::path memory_, cpu_, cpuacct_, pids_;
  bool v2_ = false;
};

}  // namespace hawse::executor
