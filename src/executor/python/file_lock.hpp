// SPDX-License-Identifier: Apache-2.0
//
// A lock between processes on a file that is made for it (flock): held as long as the object lives, gone with its process.
#pragma once

#include <filesystem>

#include "base/fd.hpp"
#include "base/interrupt.hpp"

namespace hawse::executor {

class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& file, Interrupt* interrupt = nullptr);  // waits; throws Error

 private:
  UniqueFd fd_;
};

}  // namespace hawse::executor
