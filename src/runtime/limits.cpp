// SPDX-License-Identifier: Apache-2.0
//
// Limits that a node met and lives on with: processes that it was refused, a CPU share that held it back, a child of it killed for want of memory. (Where
// the node itself is killed, endings.cpp says so.)
//
// No kernel tells all of these by itself, so the files of the control groups are read 40 times a second where a node's manifest gives such a limit, once a
// second where only a container's default of processes holds; all the others cost nothing. What is met over and over is told again after ten seconds, with the sum so far.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "pipeline/default_limits.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::int64_t kLimitsLookNs = 25'000'000;  // a CPU limit is told by the kernel when its period is over: up to 100 ms less its share after it was met
constexpr std::int64_t kDefaultsLookNs = 1'000'000'000;
constexpr std::int64_t kDiesNs = 30'000'000;  // a node that was killed itself is seen to be dead well before
constexpr std::int64_t kTellAgainNs = 10'000'000'000;

// How often a node is looked at; 0: never.
std::int64_t looks_ns(const pipeline::Node& node) {
  const pipeline::Limits& limits = node.limits;
  if (limits.memory_bytes || limits.cpus || limits.pids) return kLimitsLookNs;
  return pids_limit(node) ? kDefaultsLookNs : 0;
}

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
  const std::int64_t after_ns = looks_ns(*node.spec);
  const bool soon_enough = std::ranges::any_of(nodes_, [&](const auto& other) {
    return other.get() != &node && other->spec != nullptr && other->instance && !other->collected && looks_ns(*other->spec) != 0 && looks_ns(*other->spec) <= after_ns;
  });
  if (after_ns == 0 || (limits_timer_ && soon_enough)) return;
  limits_timer_ = loop_.after(after_ns, [this] { look_at_all_limits(); });
}

void Session::look_at_all_limits() {
  std::int64_t again_ns = 0;
  for (auto& node : nodes_) {
    const std::int64_t after_ns = node->spec != nullptr && node->instance && !node->collected ? looks_ns(*node->spec) : 0;
    if (after_ns == 0) continue;
    again_ns = again_ns == 0 ? after_ns : std::min(again_ns, after_ns);
    look_at_limits(*node, node->instance->usage());
  }
  limits_timer_.reset();
  if (again_ns != 0) limits_timer_ = loop_.after(again_ns, [this] { look_at_all_limits(); });
}

void Session::look_at_limits(NodeRun& node, const executor::Usage& usage) {
  LimitsMet& met = node.met;
  const executor::Usage before = std::exchange(met.seen, usage);
  const pipeline::Limits& limits = node.spec->limits;
  if (usage.pids_refused > before.pids_refused) {
    met.pids_refused += usage.pids_refused - before.pids_refused;
    const std::uint64_t limit = pids_limit(*node.spec).value_or(usage.pids_peak.value_or(0)), peak = usage.pids_peak.value_or(limit);
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
