// SPDX-License-Identifier: Apache-2.0
//
// A session's log in memory: its last lines, and how fast a node may add to them.
//
// LogStore keeps lines in the order in which they came. Each node has its own share of the memory: one that prints without end pushes out its own lines
//   and nobody else's. Every line has its node's own number, also one that was not kept: a gap in the numbers is what is missing.
// LogLimit says whether a line may be shown and kept: a node has kLogBytesASecond and may save up kLogBurstBytes. Lines over that are counted.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

namespace hawse::runtime {

inline constexpr std::size_t kLogBytes = 16 << 20;         // of a session, over all its nodes
inline constexpr std::size_t kLogLineBytes = 256;          // what a line costs beside its text: here, and whoever shows it
inline constexpr std::size_t kLogBytesASecond = 4 << 20;   // of a node
inline constexpr std::size_t kLogBurstBytes = 8 << 20;

struct LogLine {
  std::uint64_t id = 0;       // of the session, from 1
  std::uint64_t number = 0;   // of the node, from 1
  std::int64_t time_ns = 0;   // since the epoch: the node's own for what it logged, the arrival's for what it printed
  std::string node = {};   // "": the session
  std::string stream = {}; // stdout, stderr, log (with a level), runtime (what the run says about the node, with a level)
  std::string level = {}, text = {};
};

class LogStore {
 public:
  explicit LogStore(std::size_t bytes_a_node) : bytes_a_node_(bytes_a_node) {}
  void add(LogLine);                                  // sets id and number
  void skip(const std::string& node);                 // a line that is not kept
  const LogLine* after(std::uint64_t id) const;       // the next one that is kept; null: none
  std::uint64_t skipped(const std::string& node) const;

 private:
  struct Share {
    std::deque<std::uint64_t> ids;
    std::size_t bytes = 0;
    std::uint64_t lines = 0, skipped = 0;
  };
  static std::size_t cost(const LogLine& line) { return line.text.size() + kLogLineBytes; }

  const std::size_t bytes_a_node_;
  std::map<std::uint64_t, LogLine> lines_;  // by id
  std::map<std::string, Share> shares_;     // by node
  std::uint64_t last_id_ = 0;
};

class LogLimit {
 public:
  bool admits(std::size_t text_bytes, std::int64_t now_ns);

 private:
  double left_bytes_ = kLogBurstBytes;
  std::int64_t filled_ns_ = 0;
};

}  // namespace hawse::runtime
