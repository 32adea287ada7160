// SPDX-License-Identifier: Apache-2.0
//
// The command's exit codes, as docs/exit-codes.md tells them.
#pragma once

#include "base/error.hpp"

namespace hawse {

inline constexpr int kOk = 0;
inline constexpr int kInternal = 1;
inline constexpr int kUsage = 2;
inline constexpr int kManifest = 3;
inline constexpr int kEnvironment = 4;
inline constexpr int kNode = 5;
inline constexpr int kEngine = 6;
inline constexpr int kInterrupted = 130;  // as a shell reports a program that SIGINT ended

constexpr int exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::usage: return kUsage;
    case ErrorCode::manifest: return kManifest;
    case ErrorCode::environment: return kEnvironment;
    case ErrorCode::engine: return kEngine;
    case ErrorCode::node: return kNode;
    case ErrorCode::interrupted: return kInterrupted;
    case ErrorCode::system:
    case ErrorCode::internal: break;
  }
  return kInternal;
}

}  // namespace hawse
