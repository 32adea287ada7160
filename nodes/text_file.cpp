// SPDX-License-Identifier: Apache-2.0
//
// Plain write(2): a line is complete in the file when the frame that caused it has been processed.
#include "text_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace hawse::nodes {
namespace {

constexpr std::int64_t kMillisecond_ns = 1'000'000;
constexpr std::int64_t kSecond_ns = 1'000'000'000;
constexpr std::int64_t kEarliestWallTime_ns = 100'000'000 * kSecond_ns;  // 1973: no medium is that long

[[noreturn]] void fail(const std::string& name) { throw std::runtime_error("write " + name + ": " + std::system_category().message(errno)); }

}  // namespace

TextFile::TextFile(const std::string& path) : name_(path == "-" ? "standard output" : path), fd_(STDOUT_FILENO) {
  if (path == "-") return;
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  own_ = true;
  if (fd_ < 0) fail(name_);
}

TextFile::TextFile(TextFile&& other) noexcept : name_(std::move(other.name_)), fd_(std::exchange(other.fd_, -1)), own_(std::exchange(other.own_, false)) {}

TextFile& TextFile::operator=(TextFile&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(fd_, other.fd_);
  std::swap(own_, other.own_);
  return *this;
}

TextFile::~TextFile() {
  if (own_ && fd_ >= 0) ::close(fd_);
}

void TextFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd_, text.data(), text.size());
    if (written < 0 && errno != EINTR) fail(name_);
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string printable(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  const auto escape = [&](unsigned char byte) {
    char text[8];
    std::snprintf(text, sizeof text, "\\x%02x", byte);
    out += text;
  };
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    const bool c1 = byte == 0xc2 && i + 1 < utf8.size() && static_cast<unsigned char>(utf8[i + 1]) < 0xa0;  // U+0080 to U+009F
    if (c1) {
      escape(static_cast<unsigned char>(utf8[++i]));
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      escape(byte);
    } else {
      out += utf8[i];
    }
  }
  return out;
}

bool is_wall_time(std::int64_t ns) noexcept { return ns >= kEarliestWallTime_ns; }

std::string media_time(std::int64_t ns, char before_milliseconds) {
  const long long ms = std::max<std::int64_t>(ns, 0) / kMillisecond_ns;
  char text[48];
  std::snprintf(text, sizeof text, "%02lld:%02lld:%02lld%c%03lld", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, before_milliseconds, ms % 1000);
  return text;
}

std::string time_text(std::int64_t ns) {
  if (!is_wall_time(ns)) return media_time(ns, '.');
  const std::time_t seconds = ns / kSecond_ns;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char day[32], text[48];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text, sizeof text, "%s.%03lldZ", day, static_cast<long long>(ns % kSecond_ns / kMillisecond_ns));
  return text;
}

}  // namespace hawse::nodes
