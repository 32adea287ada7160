// SPDX-License-Identifier: Apache-2.0
//
// What nodes print and log: shown as an event, kept for `hawse logs`, and limited, so that a node that prints without end costs the others nothing.
#include <chrono>

#include "base/text.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::size_t kTailLines = 20;
constexpr std::int64_t kCalmNs = 2'000'000'000;   // a storm is over when nothing has been left out for as long
constexpr std::int64_t kGatherNs = 20'000'000;    // whoever follows the log gets the lines of as long at once

std::int64_t realtime_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

void Session::take_line(NodeRun& node, const char* stream, std::string_view text) {
  if (node.hung) note_where_it_stands(node, text);
  node.tail.emplace_back(text);
  if (node.tail.size() > kTailLines) node.tail.pop_front();
  if (!options_.room_for_output && !admit(node, text.size())) return;
  keep({.time_ns = realtime_ns(), .node = node.id, .stream = stream, .text = std::string(text)});
  emit("log", node.id, {{"stream", stream}, {"text", text}});
}

void Session::take_log(NodeRun& node, json data) {
  const std::string text = data["text"];
  if (!admit(node, text.size())) return;
  data["stream"] = "log";
  keep({.time_ns = data["time_ns"], .node = node.id, .stream = "log", .level = data["level"], .text = text});
  emit("log", node.id, std::move(data));
}

// False: it is one too many, and counted.
bool Session::admit(NodeRun& node, std::size_t bytes) {
  if (node.log_limit.admits(bytes, plane::monotonic_ns())) return true;
  log_.skip(node.id);
  if (node.left_out++ == 0) {
    emit("notice", node.id, {{"text", "prints more than " + format_bytes(kLogBytesASecond) + " a second: lines are left out until it slows down"}});
    look_at_storm(node);
  }
  return false;
}

void Session::look_at_storm(NodeRun& node) {
  node.left_out_before = node.left_out;
  node.storm_timer = loop_.after(kCalmNs, [this, &node] {
    if (node.left_out == node.left_out_before) end_storm(node);
    else look_at_storm(node);
  });
}

void Session::end_storm(NodeRun& node) {
  node.storm_timer.reset();
  if (const auto left_out = std::exchange(node.left_out, 0); left_out != 0)
    emit("notice", node.id, {{"text", std::to_string(left_out) + " of its lines were left out: it printed too fast"}, {"lines", left_out}});
}

void Session::keep(LogLine line) {
  if (line.time_ns == 0) line.time_ns = realtime_ns();
  log_.add(std::move(line));
  if (!control_ || log_wake_) return;
  log_wake_ = loop_.after(kGatherNs, [this] {
    log_wake_.reset();
    control_->wake();
  });
}

}  // namespace hawse::runtime
