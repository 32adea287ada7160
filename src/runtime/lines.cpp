// SPDX-License-Identifier: Apache-2.0
#include "runtime/lines.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace hawse::runtime {

LineReader::LineReader(Loop& loop, UniqueFd read_end, std::function<void(std::string_view)> on_line)
    : fd_(std::move(read_end)), on_line_(std::move(on_line)) {
  fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
  watch_ = loop.on_readable(fd_.get(), [this] { read_some(); });
}

void LineReader::drain() {
  while (fd_ && read_some()) {
  }
}

bool LineReader::read_some() {
  char buffer[16384];
  const ssize_t count = read(fd_.get(), buffer, sizeof buffer);
  if (count > 0) {
    take({buffer, static_cast<std::size_t>(count)});
    return true;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  watch_.reset();
  fd_.reset();
  if (!partial_.empty()) on_line_(partial_);
  partial_.clear();
  return false;
}

void LineReader::take(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    partial_.append(text.substr(0, end));
    if (end == std::string_view::npos && partial_.size() < kMaxLineBytes) return;
    if (partial_.size() > kMaxLineBytes) partial_.resize(kMaxLineBytes);
    on_line_(partial_);
    partial_.clear();
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

}  // namespace hawse::runtime
