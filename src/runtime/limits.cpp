// SPDX-License-Identifier: Apache-2.0
//
// Limits that a node met and lives on with: processes that it was refused, a CPU share that held it back, a child of it killed for want of memory. (Where
// the node itself is killed, endings.cpp says so.)
//
// No kernel tells all of these by itself, so the files of the control groups are read 40 times a second, of nodes alone whose manifest gives such a
// limit; all the others cost nothing. What is met over and over is told again after ten seconds, with the sum so far.
#include <fmt/format.h>

#include "base/text.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::int64_t kLimitsLookNs = 25'000'000;  // a CPU limit is told by the kernel when its period is over: up to 100 ms less its share after it was met
constexpr std::int64_t kDiesNs = 30'000'000;  // a node that was killed itself is seen to be dead well before
constexpr std::int64_t kTellAgainNs = 10'000'000'000;

bool has_limits(const pipeline::Limits& limits) { return limits.memory_bytes || limits.cpus || limits.pids; }

bool due(std::int64_t& told_ns) {
  const std::int64_t now_ns = plane::monotonic_ns();
  if (told_ns != 0 && now_ns - told_ns < kTellAgainNs) return false;
  told_ns = now_ns;
  return true;
}

}  // namespace

std::string Session::attempt_in_words(const NodeRun& node, unsigned attempt) {
  const pipeline::Restart& policy = node.spec->restart;
  return policy.on == pipeline::RestartOn::failure && policy.attempts > 1 ? fmt::format("; attempt {} of {}", attempt, policy.attempts) : "";
}

void Session::tell_limit(NodeRun& node, const char* limit, const std::string& text, json more) {
  more["text"] = text + attempt_in_words(node, node.failures + 1);
  more["limit"] = limit;
  emit("notice", node.id, std::move(more));
}

void Session::watch_limits(NodeRun& node) {
  node.met.seen = {};
  if (has_limits(node.spec->limits) && !limits_timer_) limits_timer_ = loop_.after(kLimitsLookNs, [this] { look_at_all_limits(); });
}

void Session::look_at_all_limits() {
  bool any = false;
  for (auto& node : nodes_) {
    if (node->spec == nullptr || !has_limits(node->spec->limits) || !node->instance || node->collected) continue;
    any = true;
    look_at_limits(*node, node->instance->usage());
  }
  limits_timer_.reset();
  if (any) limits_timer_ = loop_.after(kLimitsLookNs, [this] { look_at_all_limits(); });
}

void Session::look_at_limits(NodeRun& node, const executor::Usage& usage) {
  LimitsMet& met = node.met;
  const executor::Usage before = std::exchange(met.seen, usage);
  const pipeline::Limits& limits = node.spec->limits;
  if (usage.pids_refused > before.pids_refused) {
    met.pids_refused += usage.pids_refused - before.pids_refused;
    const std::uint64_t limit = limits.pids.value_or(usage.pids_peak.value_or(0)), peak = usage.pids_peak.value_or(limit);
    if (due(met.pids_told_ns))
      tell_limit(node, "pids", fmt::format("met its pids limit: {} processes and threads, peak {}, {} refused", limit, peak, met.pids_refused),
                 {{"limit_pids", limit}, {"peak_pids", peak}, {"refused", met.pids_refused}});
  }
  if (usage.held_back_s > before.held_back_s) {
    met.held_back_s += usage.held_back_s - before.held_back_s;
    if (limits.cpus && due(met.cpu_told_ns))
      tell_limit(node, "cpus", fmt::format("met its CPU limit: {} CPUs, held back for {} so far", *limits.cpus, format_duration_ns(static_cast<std::int64_t>(met.held_back_s * 1e9))),
                 {{"limit_cpus", *limits.cpus}, {"held_back_s", met.held_back_s}});
  }
  if (usage.memory_kills <= before.memory_kills || node.collected) return;
  node.met.timer = loop_.after(kDiesNs, [this, &node, usage] {
    if (!node.instance || node.collected) return;
    const std::uint64_t limit = node.spec->limits.own_memory_bytes().value_or(0), peak = usage.memory_peak_bytes.value_or(0);
    tell_limit(node, "memory", fmt::format("met its memory limit: {}, peak {}, a process that it had started was killed", format_bytes(limit), format_bytes(peak)),
               {{"limit_bytes", limit}, {"peak_bytes", peak}});
  });
}

}  // namespace hawse::runtime
