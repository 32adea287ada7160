// SPDX-License-Identifier: Apache-2.0
//
// Closing and duplicating of UniqueFd.
#include "base/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "base/error.hpp"

namespace hawse {

void UniqueFd::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old >= 0 && old != fd) ::close(old);  // Linux frees the number even where close() fails: never try again
}

UniqueFd UniqueFd::duplicate_of(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw Error::from_errno("duplicate a descriptor", std::to_string(fd));
  return UniqueFd(copy);
}

}  // namespace hawse
