// SPDX-License-Identifier: Apache-2.0
#include "executor/python/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/error.hpp"

namespace hawse::executor {

FileLock::FileLock(const std::filesystem::path& file, Interrupt* interrupt) {
  std::filesystem::create_directories(file.parent_path());
  fd_.reset(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd_) throw Error::from_errno("lock", file.string());
  while (::flock(fd_.get(), interrupt ? LOCK_EX | LOCK_NB : LOCK_EX) != 0) {
    if (errno != EINTR && errno != EWOULDBLOCK) throw Error::from_errno("lock", file.string());
    if (!interrupt) continue;
    interrupt->check("wait for " + file.string());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // nothing wakes a thread out of flock() but a signal to the very thread
  }
}

}  // namespace hawse::executor
