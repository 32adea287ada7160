// SPDX-License-Identifier: Apache-2.0
//
// The text of an Error is put together once, here, so that every message of the command has the same shape.
#include "base/error.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

namespace hawse {
namespace {

std::string message(const std::string& operation, const std::string& context, const std::string& hint) {
  std::string text = operation;
  if (!context.empty()) text += ": " + context;
  if (!hint.empty()) text += "\nhint: " + hint;
  return text;
}

}  // namespace

Error::Error(ErrorCode code, std::string operation, std::string context, std::string hint)
    : std::runtime_error(message(operation, context, hint)),
      code_(code),
      operation_(std::move(operation)),
      context_(std::move(context)),
      hint_(std::move(hint)) {}

Error Error::from_errno(std::string operation, std::string context, std::string hint) {
  const int number = errno;
  const std::string reason = std::system_category().message(number);
  return Error(ErrorCode::system, std::move(operation), context.empty() ? reason : context + ": " + reason, std::move(hint));
}

}  // namespace hawse
