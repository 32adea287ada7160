// SPDX-License-Identifier: Apache-2.0
//
// A socket file that is mounted into one container, and at which its init comes to us: once, with the token (docs/protocol.md, `join`).
// Owns the file: it goes as soon as somebody has come, or with the object. Threading: one thread; wait() may be interrupted by any.
#pragma once

#include <filesystem>
#include <string>

#include "base/fd.hpp"
#include "base/interrupt.hpp"

namespace hawse::executor {

std::string random_token();  // what a container joins with: valid once, for one node

class JoinPoint {
 public:
  explicit JoinPoint(std::filesystem::path socket);
  ~JoinPoint();
  JoinPoint(const JoinPoint&) = delete;

  const std::filesystem::path& socket() const noexcept { return socket_; }
  const std::string& token() const noexcept { return token_; }
  // The connection of the init that has come. None where ended_fd became readable, or the time was over, before. Throws Error(interrupted).
  UniqueFd wait(int ended_fd, std::int64_t timeout_ns, Interrupt* interrupt);

 private:
  std::filesystem::path socket_;
  std::string token_;
  UniqueFd listener_;
};

}  // namespace hawse::executor
