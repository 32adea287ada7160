// SPDX-License-Identifier: Apache-2.0
//
// The lines of a node's stdout or stderr, read from a pipe as they come. A line that doesn't end is cut at kMaxLineBytes, so that no node can
// make the runtime keep what it prints.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "runtime/loop.hpp"

namespace hawse::runtime {

inline constexpr std::size_t kMaxLineBytes = 16384;

class LineReader {
 public:
  // `may_read`, if given: while it says false the pipe stays unread.
  LineReader(Loop&, UniqueFd read_end, std::function<void(std::string_view line)> on_line, std::function<bool()> may_read = {});
  void drain();   // what is there now
  void finish();  // that, and a line without an end

 private:
  void read_when_allowed();
  bool read_some();  // false: nothing there, or the end
  void end_line();
  void take(std::string_view);

  UniqueFd fd_;
  Loop& loop_;
  std::function<void(std::string_view)> on_line_;
  std::function<bool()> may_read_;
  std::string partial_;
  Loop::Handle watch_, pause_;
};

}  // namespace hawse::runtime
