// SPDX-License-Identifier: Apache-2.0
//
// Counts and times of a session at any moment. They come from memory that nodes write: shown, never relied on.
#include <algorithm>

#include "runtime/messages.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

json latency_of(const plane::Histogram& histogram) {
  if (histogram.count.load(std::memory_order_relaxed) == 0) return nullptr;
  return {{"p50", plane::quantile(histogram, 0.5)}, {"p99", plane::quantile(histogram, 0.99)}};
}

}  // namespace

json Session::node_summary(const NodeRun& node) const {
  const auto& page = *reinterpret_cast<const plane::NodePage*>(node.page.data());
  json out = {{"node", node.id},
              {"state", to_string(node.state)},
              {"where", node.where},
              {"executor", node.spec != nullptr ? pipeline::to_string(node.spec->executor) : "application"},
              {"language", node.language},
              {"environment", node.prepared.summary},
              {"limits_by", node.limits_by},
              {"frames_in", page.frames_in.load(std::memory_order_relaxed)},
              {"frames_out", page.frames_out.load(std::memory_order_relaxed)},
              {"processing_ns", latency_of(page.processing)},
              {"restarts", node.attempt - 1},
              {"phases_ms", node.phases}};
  if (node.spec != nullptr && node.spec->match) {
    json& unmatched = out["unmatched"] = json::object();
    for (const std::size_t number : node.links) {
      const EdgeRun& edge = *edges_[number];
      const std::uint64_t before = unmatched.value(edge.spec->to.port, std::uint64_t{0});
      unmatched[edge.spec->to.port] = before + edge.total("unmatched", edge.view.reader().unmatched);
    }
  }
  std::uint64_t peak = node.memory_peak_bytes;
  if (node.instance)
    if (const auto usage = node.instance->usage(); usage.memory_peak_bytes) peak = std::max(peak, *usage.memory_peak_bytes);
  out["memory_peak_bytes"] = peak != 0 ? json(peak) : json();
  if (node.spec != nullptr && node.spec->limits.memory_bytes) out["memory_limit_bytes"] = *node.spec->limits.memory_bytes;
  return out;
}

json Session::edge_summary(const EdgeRun& edge) const {
  const auto& writer = edge.view.writer();
  const auto& reader = edge.view.reader();
  const auto total = [&](const char* name, const std::atomic<std::uint64_t>& now) { return edge.total(name, now); };
  json latency = latency_of(reader.latency);
  if (edge.latency) {
    plane::Histogram sum;
    const auto add = [](auto& into, const auto& value) { into.fetch_add(value.load(std::memory_order_relaxed), std::memory_order_relaxed); };
    for (const plane::Histogram* one : {static_cast<const plane::Histogram*>(edge.latency.get()), &reader.latency}) {
      add(sum.count, one->count);
      for (std::uint32_t i = 0; i < plane::kHistogramBuckets; ++i) add(sum.buckets[i], one->buckets[i]);
    }
    latency = latency_of(sum);
  }
  return {{"from", edge.spec->from.node + "." + edge.spec->from.port},
          {"to", edge.spec->to.node + "." + edge.spec->to.port},
          {"type", name_of(edge.spec->type)},
          {"frames", total("frames", writer.frames)},
          {"bytes", total("bytes", writer.bytes)},
          {"received", total("received", reader.frames)},
          {"copies", total("copies", writer.copies)},
          {"dropped", total("dropped", writer.dropped)},
          {"given_again", total("given_again", writer.given_again)},
          {"flushed", total("flushed", writer.flushed) + reader.flushed.load(std::memory_order_relaxed)},
          {"unmatched", total("unmatched", reader.unmatched)},
          {"waiting", edge.view.unread()},
          {"latency_ns", latency}};
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
