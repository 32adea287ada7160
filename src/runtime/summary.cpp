// SPDX-License-Identifier: Apache-2.0
//
// Counts and times of a session at any moment. They come from memory that nodes write: shown, never relied on.
#include <algorithm>

#include "runtime/messages.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::int64_t kLongNs = 1'000'000'000;  // as long a node may be busy with a frame before anybody is told

json latency_of(const plane::Histogram& histogram) {
  if (histogram.count.load(std::memory_order_relaxed) == 0) return nullptr;
  return {{"p50", plane::quantile(histogram, 0.5)}, {"p99", plane::quantile(histogram, 0.99)}};
}

void add_histogram(plane::Histogram& sum, const plane::Histogram& one) {
  const auto plus = [](auto& into, const auto& value) { into.fetch_add(value.load(std::memory_order_relaxed), std::memory_order_relaxed); };
  plus(sum.count, one.count);
  for (std::uint32_t i = 0; i < plane::kHistogramBuckets; ++i) plus(sum.buckets[i], one.buckets[i]);
}

void add_counts(json& sum, const plane::LinkView& view) {
  const auto add = [&](const char* name, std::initializer_list<const std::atomic<std::uint64_t>*> counters) {
    std::uint64_t total = sum.value(name, std::uint64_t{0});
    for (const auto* counter : counters) total += counter->load(std::memory_order_relaxed);
    sum[name] = total;
  };
  const auto& writer = view.writer();
  const auto& reader = view.reader();
  add("frames", {&writer.frames});
  add("bytes", {&writer.bytes});
  add("copies", {&writer.copies});
  add("dropped", {&writer.dropped});
  add("received", {&reader.frames});
  add("given_again", {&writer.given_again});
  add("set_aside", {&writer.set_aside, &reader.set_aside});
  add("not_given_again", {&reader.set_aside});  // of those that replace_links() counted
  add("flushed", {&writer.flushed, &reader.flushed});
  add("unmatched", {&reader.unmatched});
  add("rejected", {&reader.rejected});
  sum["last_sequence"] = std::max(sum.value("last_sequence", std::uint64_t{0}), writer.last_sequence.load(std::memory_order_relaxed));
}

}  // namespace

// For how long it has been at one call of its own code, without a sign of life; 0 where that isn't long.
std::int64_t Session::busy_ns(const NodeRun& node) const {
  const auto& page = *reinterpret_cast<const plane::NodePage*>(node.page.data());
  if (!node.instance || page.state.load(std::memory_order_relaxed) != static_cast<std::uint32_t>(plane::NodeState::busy)) return 0;
  // Without a sign until it is looked at: the page may say anything.
  const auto ns = static_cast<std::int64_t>(static_cast<std::uint64_t>(plane::monotonic_ns()) - page.since_ns.load(std::memory_order_acquire));
  return ns >= kLongNs ? ns : 0;
}

json Session::node_summary(const NodeRun& node) const {
  const auto& page = *reinterpret_cast<const plane::NodePage*>(node.page.data());
  json out = {{"node", node.id},
              {"state", to_string(node.state)},
              {"where", node.where},
              {"executor", node.spec != nullptr ? pipeline::to_string(node.spec->executor) : "application"},
              {"language", node.language},
              {"environment", node.prepared.summary},
              {"limits_by", node.limited_by()},
              {"frames_in", page.frames_in.load(std::memory_order_relaxed)},
              {"frames_out", page.frames_out.load(std::memory_order_relaxed)},
              {"processing_ns", latency_of(page.processing)},
              {"restarts", node.attempt - 1},
              {"lines_left_out", log_.skipped(node.id)},
              {"phases_ms", node.phases}};
  if (const std::int64_t since = busy_ns(node)) {
    out["busy_ns"] = since;
    out["busy_with"] = frame_in_hand(node);
  }
  if (node.spec != nullptr && node.spec->match) {
    json& unmatched = out["unmatched"] = json::object();
    for (const std::size_t number : node.links) {
      const EdgeRun& edge = *edges_[number];
      const std::uint64_t before = unmatched.value(edge.spec->to.port, std::uint64_t{0});
      unmatched[edge.spec->to.port] = before + counts_of(edge)["unmatched"].get<std::uint64_t>();
    }
  }
  std::uint64_t peak = node.memory_peak_bytes;
  if (node.instance) {
    const auto usage = node.instance->usage();
    peak = std::max(peak, usage.memory_peak_bytes.value_or(0));
    if (usage.memory_bytes) out["memory_bytes"] = *usage.memory_bytes;
    if (usage.cpu_s) out["cpu_s"] = *usage.cpu_s;
  }
  out["memory_peak_bytes"] = peak != 0 ? json(peak) : json();
  if (node.spec != nullptr && node.spec->limits.memory_bytes) out["memory_limit_bytes"] = *node.spec->limits.own_memory_bytes();
  if (node.met.pids_refused != 0) out["pids_refused"] = node.met.pids_refused;
  if (node.met.held_back_s > 0) out["held_back_s"] = node.met.held_back_s;
  return out;
}

// The counts of a link that is about to go stay in the edge's.
void Session::keep_counts(EdgeRun& edge, const plane::LinkView& view) {
  add_counts(edge.before, view);
  if (!edge.latency) edge.latency = std::make_unique<plane::Histogram>();
  add_histogram(*edge.latency, view.reader().latency);
}

// Over all links that it ever had. `waiting`: what was sent and not received; a link that was replaced has it twice, until the new one is adopted.
json Session::counts_of(const EdgeRun& edge) {
  json counts = edge.before;
  std::uint64_t waiting = edge.view.unread();
  for (const EarlierLink& link : edge.earlier) {
    add_counts(counts, link.view);
    if (link.arenas) waiting += link.view.unread();
  }
  add_counts(counts, edge.view);
  if (!edge.view.adopted() && !edge.earlier.empty() && !edge.earlier.back().arenas) waiting += edge.earlier.back().view.unread();
  counts["waiting"] = waiting;
  const std::uint64_t again = counts["given_again"], not_again = counts["not_given_again"];
  counts["given_again"] = again - std::min(again, not_again);
  counts.erase("not_given_again");
  return counts;
}

json Session::edge_summary(const EdgeRun& edge) {
  json out = counts_of(edge);
  out.erase("last_sequence");
  if (out["rejected"] == 0) out.erase("rejected");
  plane::Histogram latency{};
  if (edge.latency) add_histogram(latency, *edge.latency);
  for (const EarlierLink& link : edge.earlier) add_histogram(latency, link.view.reader().latency);
  add_histogram(latency, edge.view.reader().latency);
  out["from"] = edge.spec->from.node + "." + edge.spec->from.port;
  out["to"] = edge.spec->to.node + "." + edge.spec->to.port;
  out["type"] = name_of(edge.spec->type);
  out["latency_ns"] = latency_of(latency);
  return out;
}

json Session::summary() const {
  json out = {{"pipeline", pipeline_.name}, {"id", id_}, {"nodes", json::array()}, {"edges", json::array()}};
  for (const auto& node : nodes_) out["nodes"].push_back(node_summary(*node));
  for (const auto& edge : edges_) out["edges"].push_back(edge_summary(*edge));
  if (started_) out["start_ms"] = static_cast<double>(started_ns_ - begun_ns_) / 1e6;
  if (ended_ns_ != 0) out["run_ms"] = static_cast<double>(ended_ns_ - (started_ ? started_ns_ : begun_ns_)) / 1e6;
  out["result"] = outcome_.failure ? outcome_.reason : "completed";
  return out;
}

}  // namespace hawse::runtime
