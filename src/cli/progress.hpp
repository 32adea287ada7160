// SPDX-License-Identifier: Apache-2.0
//
// Progress of long work: on a terminal a bar for each piece under way, at the bottom of the screen; elsewhere a line when a piece starts, ends, or
// has gone on for a while. Whatever else is printed meanwhile goes through print(), so that it ends up above the bars.
//
// Threading: every call may come from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "executor/executor.hpp"

namespace hawse::cli {

class ProgressDisplay {
 public:
  enum class Mode { bars, lines, silent };

  // `fd` is where progress goes; it is not owned.
  explicit ProgressDisplay(Mode mode, int fd = 2);
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;
  ~ProgressDisplay();  // takes its bars off the screen

  static Mode mode_for(int fd, bool quiet);

  // What `who` (a node) is doing. The first report of a piece starts its clock; done == total doesn't end it.
  void update(const std::string& who, const executor::Progress&);
  executor::Report report_for(std::string who);
  // Its work is over: the bar goes, and unless `summary` is empty a line "who: summary (2.1 s)" stays.
  void finish(const std::string& who, const std::string& summary);
  // A line (or several, each ended by \n) of other output, to `fd`.
  void print(int fd, std::string_view text);

 private:
  using Clock = std::chrono::steady_clock;
  struct Piece {
    executor::Progress latest = {};
    std::string last_line = {};  // of the tool's own output
    Clock::time_point began = {}, said = {};
  };

  void say(const std::string& who, Piece&);
  std::string erased();
  std::string drawn();
  void redraw(const std::string& above);
  std::string bar(const std::string& who, const Piece&, std::size_t columns) const;
  void keep_drawing(std::stop_token);

  const Mode mode_;
  const int fd_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Piece> pieces_;
  std::size_t drawn_lines_ = 0;
  std::jthread drawer_;  // only for bars; sleeps while there are none
};

}  // namespace hawse::cli
