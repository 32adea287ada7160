// SPDX-License-Identifier: Apache-2.0
#include "executor/python/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/error.hpp"

namespace hawse::executor {

FileLock::FileLock(const std::filesystem::path& file) {
  std::filesystem::create_directories(file.parent_path());
  fd_.reset(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd_) throw Error::from_errno("lock", file.string());
  while (::flock(fd_.get(), LOCK_EX) != 0)
    if (errno != EINTR) throw Error::from_errno("lock", file.string());
}

}  // namespace hawse::executor
