// SPDX-License-Identifier: Apache-2.0
//
// An owned file descriptor. Move-only; closes at the end.
#pragma once

#include <utility>

namespace hawse {

class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;
  UniqueFd duplicate() const { return duplicate_of(fd_); }
  static UniqueFd duplicate_of(int fd);  // which stays its owner's; close-on-exec; throws Error

 private:
  int fd_ = -1;
};

}  // namespace hawse
