// SPDX-License-Identifier: Apache-2.0
#include "runtime/lines.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace hawse::runtime {
namespace {

constexpr std::int64_t kPauseNs = 5'000'000;

}  // namespace

LineReader::LineReader(Loop& loop, UniqueFd read_end, std::function<void(std::string_view)> on_line, std::function<bool()> may_read)
    : fd_(std::move(read_end)), loop_(loop), on_line_(std::move(on_line)), may_read_(std::move(may_read)) {
  fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
  watch_ = loop_.on_readable(fd_.get(), [this] { read_when_allowed(); });
}

void LineReader::read_when_allowed() {
  if (!may_read_ || may_read_()) {
    read_some();
    return;
  }
  watch_.reset();
  pause_ = loop_.after(kPauseNs, [this] { watch_ = loop_.on_readable(fd_.get(), [this] { read_when_allowed(); }); });
}

void LineReader::drain() {
  while (fd_ && read_some()) {
  }
}

void LineReader::finish() {
  drain();
  end_line();
}

void LineReader::end_line() {
  if (!partial_.empty()) on_line_(partial_);
  partial_.clear();
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
  pause_.reset();
  fd_.reset();
  end_line();
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
