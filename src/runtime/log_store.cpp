// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_store.hpp"

#include <algorithm>
#include <utility>

namespace hawse::runtime {

void LogStore::add(LogLine line) {
  Share& share = shares_[line.node];
  line.id = ++last_id_;
  line.number = ++share.lines;
  share.bytes += cost(line);
  share.ids.push_back(line.id);
  lines_.emplace_hint(lines_.end(), line.id, std::move(line));
  while (share.bytes > bytes_a_node_ && share.ids.size() > 1) {
    const auto oldest = lines_.find(share.ids.front());
    share.bytes -= cost(oldest->second);
    lines_.erase(oldest);
    share.ids.pop_front();
  }
}

void LogStore::skip(const std::string& node) {
  Share& share = shares_[node];
  ++share.lines;
  ++share.skipped;
}

const LogLine* LogStore::after(std::uint64_t id) const {
  const auto found = lines_.upper_bound(id);
  return found == lines_.end() ? nullptr : &found->second;
}

std::uint64_t LogStore::skipped(const std::string& node) const {
  const auto found = shares_.find(node);
  return found == shares_.end() ? 0 : found->second.skipped;
}

bool LogLimit::admits(std::size_t text_bytes, std::int64_t now_ns) {
  if (filled_ns_ != 0) left_bytes_ = std::min<double>(kLogBurstBytes, left_bytes_ + static_cast<double>(now_ns - filled_ns_) / 1e9 * kLogBytesASecond);
  filled_ns_ = now_ns;
  const auto cost = static_cast<double>(text_bytes + kLogLineBytes);
  if (left_bytes_ < cost) return false;
  left_bytes_ -= cost;
  return true;
}

}  // namespace hawse::runtime
