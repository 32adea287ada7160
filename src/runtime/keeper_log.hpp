// SPDX-License-Identifier: Apache-2.0
//
// The keeper's log: what it says itself, and what modules print as they are imported and their children later, which may be without end.
//
// It has at most twice kBytes: at that size it becomes keeper.log.1, and a new one begins. User code has the writing end of a pipe and never the file; nobody waits
// for a disk but the keeper.
// Threading: any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string_view>

#include "base/fd.hpp"

namespace hawse::runtime {

class KeeperLog {
 public:
  static constexpr std::uintmax_t kBytes = 1 << 20;

  explicit KeeperLog(std::filesystem::path file);  // goes on with one that is there; throws Error
  void write(std::string_view text) noexcept;

 private:
  UniqueFd open(int how) const noexcept;

  const std::filesystem::path file_;
  std::mutex mutex_;  // over the following
  UniqueFd fd_;
  std::uintmax_t bytes_ = 0;
};

}  // namespace hawse::runtime
