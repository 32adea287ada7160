// SPDX-License-Identifier: Apache-2.0
//
// Nodes in a chain, 1 to 100: does the latency grow by one hop a node and no more?
//
// All on one core: where two share the work, it is the scheduler's choice for each process that decides how long a wake takes. The first hop is no
// measure of the others on one core either, as the bare futexes beside it show: with two processes in turns each finds the caches as it left them.
#include <fmt/format.h>

#include "base/files.hpp"
#include "bench/rows/nodes/futex_chain.hpp"
#include "bench/rows/nodes/live_pipeline.hpp"
#include "bench/rows/nodes/row_groups.hpp"

namespace hawse::bench {
namespace {

using nlohmann::json;

constexpr unsigned kLengths[] = {1, 3, 10, 30, 100};

std::string key_of(unsigned length) { return length == 1 ? "1 node" : fmt::format("{} nodes", length); }
std::string futex_key_of(unsigned length) { return fmt::format("futex, {}", length); }

// head -> relay1 -> ... -> relayN, and back to the head, which sends the next frame when the last has come back.
json chain(unsigned length) {
  const json stage = {{"node", "./hawse-bench-stage"}, {"spin", 0}, {"params", {{"cpu", 0}}}};
  json nodes = {{"head", stage}}, edges = json::array();
  std::string before = "head";
  for (unsigned i = 1; i <= length; ++i) {
    const std::string relay = fmt::format("relay{}", i);
    nodes[relay] = stage;
    edges.push_back(fmt::format("{}.out -> {}", before, relay));
    before = relay;
  }
  edges.push_back({{"from", before + ".out"}, {"to", "head"}, {"feedback", true}});
  return {{"version", 1}, {"name", "chain"}, {"inputs", {{"command", "head"}}}, {"outputs", {{"samples", "head.samples"}}}, {"nodes", nodes}, {"edges", edges}};
}

void measure_chain(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  std::vector<std::function<void()>> calls;
  for (const unsigned length : kLengths) {
    calls.emplace_back([&pass, length] { pass.measure(futex_key_of(length), [&] { return futex_chain(length, pass.samples(50, 100)); }); });
    calls.emplace_back([&pass, &nodes, length] {
      const std::string key = key_of(length);
      const auto pipeline = made_for(pass, {key}, [&] {
        const std::string manifest = fmt::format("{}/chain{}.json", nodes, length);
        write_file(manifest, chain(length).dump());
        auto started = std::make_unique<LivePipeline>(manifest);
        started->ask({{"mode", "one_way"}, {"count", 20}, {"bytes", 64}});
        return started;
      });
      if (pipeline) pass.measure(key, [&] { return pipeline->ask({{"mode", "one_way"}, {"count", pass.samples(50, 100)}, {"bytes", 64}}); });
    });
  }
  pass.interleave(std::move(calls));
}

}  // namespace

void add_chain_row(std::vector<RowSpec>& rows) {
  RowSpec spec;
  spec.row = {.id = "nodes/chain",
              .group = "Growth",
              .title = "Nodes in a chain, 1 → 100",
              .measured = "From before a 64-byte frame is allocated by the head to its receipt by the last of n C++ processes, each of which passes it on to the next in a frame of its own; one frame at a time; all sleep, "
                          "without a look before (`spin: 0`), and share one core. Floor: as many processes that wake each other by futex, on one core, too.",
              .better = Better::less,
              .targets = {},
              .missing = "",
              .series = {},
              .facts = {}};
  for (const unsigned length : kLengths) {
    spec.series.push_back({.key = key_of(length), .variant = "chain", .role = Role::ours, .unit = "ns", .wait = Wait::sleeping, .payload = Payload::untouched, .x = length, .x_name = "nodes", .phase_of = ""});
    spec.series.push_back({.key = futex_key_of(length), .variant = "futex", .role = Role::floor, .unit = "ns", .wait = Wait::sleeping, .payload = Payload::none, .x = length, .x_name = "nodes", .phase_of = ""});
    if (length > 1)
      spec.row.targets.push_back({fmt::format("{} nodes: ≤ {} × one hop", length, length), key_of(length), Statistic::median, Target::Relation::at_most, static_cast<double>(length), key_of(1)});
  }
  spec.placement = true;
  spec.seconds_a_pass = 2;
  spec.measure = measure_chain;
  rows.push_back(std::move(spec));
}

}  // namespace hawse::bench
