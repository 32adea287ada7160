// SPDX-License-Identifier: Apache-2.0
//
// A text output: a file, or standard output. What is written is on its way at once: nothing waits in a buffer of ours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hawse::nodes {

class TextFile {
 public:
  TextFile() noexcept = default;
  explicit TextFile(const std::string& path);  // "-": standard output. Throws std::runtime_error that names the file
  TextFile(TextFile&&) noexcept;
  TextFile& operator=(TextFile&&) noexcept;
  ~TextFile();
  void write(std::string_view text);           // in one piece where the system takes it

 private:
  std::string name_;
  int fd_ = -1;
  bool own_ = false;
};

// Control characters but \n and \t as \xNN: text of a node never drives the terminal.
std::string printable(std::string_view utf8);

// "00:01:02,345" of a media time. A negative one counts as 0.
std::string media_time(std::int64_t ns, char before_milliseconds);
// A time since 1970 (later than 1973) as UTC: "2026-11-24T08:42:11.345Z"; everything else as media time.
std::string time_text(std::int64_t ns);
bool is_wall_time(std::int64_t ns) noexcept;

}  // namespace hawse::nodes
