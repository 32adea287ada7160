// SPDX-License-Identifier: Apache-2.0
//
// The one exception of the control plane. What a user reads is what(): "operation: context" and, on a line of its own,
// "hint: what to do". The code decides the exit code of the command (docs/exit-codes.md).
#pragma once

#include <stdexcept>
#include <string>

namespace hawse {

enum class ErrorCode {
  usage,        // the command line
  manifest,     // the pipeline file
  environment,  // packages, images, base images
  engine,       // the container engine is absent, refuses or answers nonsense
  node,         // a node failed for good
  interrupted,  // the user ended the run
  system,       // the operating system refuses
  internal,     // our own mistake
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string operation, std::string context, std::string hint = "");
  // "operation: context: strerror(errno)"
  static Error from_errno(std::string operation, std::string context, std::string hint = "");

  ErrorCode code() const noexcept { return code_; }
  const std::string& operation() const noexcept { return operation_; }
  const std::string& context() const noexcept { return context_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  ErrorCode code_;
  std::string operation_, context_, hint_;
};

}  // namespace hawse
