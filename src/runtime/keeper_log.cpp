// SPDX-License-Identifier: Apache-2.0
#include "runtime/keeper_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.hpp"

namespace hawse::runtime {

KeeperLog::KeeperLog(std::filesystem::path file) : file_(std::move(file)), fd_(open(O_APPEND)) {
  if (!fd_) throw Error::from_errno("keep nodes warm", file_.string());
  std::error_code unknown;
  bytes_ = std::filesystem::file_size(file_, unknown);
}

UniqueFd KeeperLog::open(int how) const noexcept { return UniqueFd(::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | how, 0600)); }

void KeeperLog::write(std::string_view text) noexcept {
  const std::lock_guard lock(mutex_);
  if (bytes_ + text.size() > kBytes) {
    ::rename(file_.c_str(), (file_.string() + ".1").c_str());
    if (auto next = open(O_TRUNC)) fd_ = std::move(next);
    bytes_ = 0;
  }
  bytes_ += text.size();
  while (!text.empty()) {
    const ssize_t written = ::write(fd_.get(), text.data(), text.size());
    if (written <= 0) return;  // a full disk
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace hawse::runtime
