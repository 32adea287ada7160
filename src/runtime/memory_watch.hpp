// SPDX-License-Identifier: Apache-2.0
//
// Tells when shared memory has really gone: nobody maps it any more and no message with its descriptor is on its way. The kernel knows (inotify tells of an
// inode's end), so nobody is taken at his word.
//
// Threading: the loop's thread.
#pragma once

#include <functional>
#include <unordered_map>

#include "base/fd.hpp"
#include "runtime/loop.hpp"

namespace hawse::runtime {

class MemoryWatch {
 public:
  explicit MemoryWatch(Loop& loop) : loop_(loop) {}
  // Calls `gone` once, when all is closed and unmapped; the caller closes his own afterwards. False: the kernel can't tell, and it never calls.
  bool add(int fd, std::function<void()> gone);

 private:
  void read();

  Loop& loop_;
  UniqueFd fd_;
  std::unordered_map<int, std::function<void()>> waiting_;  // by inotify's number
  Loop::Handle watch_;
};

}  // namespace hawse::runtime
