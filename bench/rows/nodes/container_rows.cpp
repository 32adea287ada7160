// SPDX-License-Identifier: Apache-2.0
//
// Container against native: the same node file, one word changed in the manifest, both sessions alive and taking turns in short bursts, so that whatever the machine
// does meanwhile hits both alike. Both head and relay are the same C++ program, so no difference between two Python builds comes in.
#include <fmt/format.h>

#include <array>

#include "base/error.hpp"
#include "bench/rows/nodes/live_pipeline.hpp"
#include "bench/rows/nodes/row_groups.hpp"
#include "executor/python/interpreter.hpp"

namespace hawse::bench {
namespace {

using nlohmann::json;

constexpr const char* kExecutors[] = {"process", "container"};
// A session that can't be prepared ends every process that this one has started so far, so the one that may fail comes first.
constexpr std::size_t kStartOrder[] = {1, 0};
constexpr std::size_t kStreamFrames = 500, kMiB = 1u << 20;

SeriesSpec series(const std::string& key, const char* variant, const char* unit, Wait wait, Payload payload) {
  return {.key = key, .variant = variant, .role = Role::ours, .unit = unit, .wait = wait, .payload = payload, .x = {}, .x_name = "", .phase_of = ""};
}

std::unique_ptr<LivePipeline> hop(const std::string& nodes, std::map<std::string, std::string> variables, const json& warm_up) {
  auto pipeline = std::make_unique<LivePipeline>(nodes + "/hop.yaml", variables);
  pipeline->ask(warm_up);
  return pipeline;
}

// ---- latency ----------------------------------------------------------------------------------------------------------------------

struct Mode {
  const char* command;
  const char* name;
};
constexpr Mode kModes[] = {{"round_trip", "round trip"}, {"one_way", "one way"}};

std::string latency_key(const char* executor, const Mode& mode) { return fmt::format("{}, {}", executor, mode.name); }

void measure_latency(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  std::array<std::unique_ptr<LivePipeline>, 2> pipelines;
  for (const std::size_t i : kStartOrder)
    pipelines[i] = made_for(pass, {latency_key(kExecutors[i], kModes[0]), latency_key(kExecutors[i], kModes[1])},
                            [&] { return hop(nodes, {{"executor", kExecutors[i]}, {"spin", "0ns"}, {"cpu", "0"}}, {{"mode", "round_trip"}, {"count", 200}, {"bytes", 64}}); });
  std::vector<std::function<void()>> calls;
  for (const Mode& mode : kModes)
    for (std::size_t i = 0; i < 2; ++i)
      if (pipelines[i])
        calls.emplace_back([&, i] {
          pass.measure(latency_key(kExecutors[i], mode), [&] { return pipelines[i]->ask({{"mode", mode.command}, {"count", pass.samples(200, 300)}, {"bytes", 64}}); });
        });
  for (std::size_t round = 0; round < pass.samples(4, 8); ++round) pass.interleave(calls);
}

RowSpec latency() {
  RowSpec spec;
  spec.row = {.id = "nodes/container-latency",
              .group = "Container against native",
              .title = "Latency, 64 B",
              .measured = "A C++ process sends to a node and has the answer back; the node is a process, or the same program in a container. One frame at a time; both sides sleep, without a look before, and share one "
                          "core: on two, where the scheduler happens to put each process decides more than all else. One way: until the node has it, by the same clock.",
              .better = Better::less,
              .targets = {},
              .missing = "",
              .series = {},
              .facts = {}};
  for (const Mode& mode : kModes) {
    for (const char* executor : kExecutors) spec.series.push_back(series(latency_key(executor, mode), executor, "ns", Wait::sleeping, Payload::untouched));
    spec.row.targets.push_back({fmt::format("{}: ratio within 1 ± 0.02", mode.name), latency_key("container", mode), Statistic::median, Target::Relation::within, 0.02, latency_key("process", mode)});
  }
  spec.placement = true;
  spec.seconds_a_pass = 1.5;
  spec.measure = measure_latency;
  return spec;
}

// ---- throughput -------------------------------------------------------------------------------------------------------------------

void measure_throughput(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  const json burst = {{"mode", "stream"}, {"count", kStreamFrames}, {"bytes", kMiB}};
  std::array<std::unique_ptr<LivePipeline>, 2> pipelines;
  for (const std::size_t i : kStartOrder) pipelines[i] = made_for(pass, {kExecutors[i]}, [&] { return hop(nodes, {{"executor", kExecutors[i]}}, burst); });
  std::vector<std::function<void()>> calls;
  for (std::size_t i = 0; i < 2; ++i)
    if (pipelines[i]) calls.emplace_back([&, i] { pass.measure(kExecutors[i], [&] { return pipelines[i]->ask(burst); }); });
  for (std::size_t round = 0; round < pass.samples(3, 6); ++round) pass.interleave(calls);
}

// The row whose two series are a node's executors.
RowSpec compared(Row row, const char* unit, Wait wait, Payload payload) {
  RowSpec spec;
  spec.row = std::move(row);
  spec.row.targets.push_back({"ratio within 1 ± 0.02", "container", Statistic::median, Target::Relation::within, 0.02, "process"});
  for (const char* executor : kExecutors) spec.series.push_back(series(executor, "", unit, wait, payload));
  return spec;
}

RowSpec throughput() {
  Row row;
  row.id = "nodes/container-throughput";
  row.group = "Container against native";
  row.title = "Throughput, 1 MiB frames, written and read";
  row.measured = "A C++ process fills 500 frames of 1 MiB and sends them as fast as the edge takes them; a node sums every word of each: a process, or the same program in a container. From the first "
                 "fill to the last sum.";
  row.better = Better::more;
  RowSpec spec = compared(std::move(row), "B/s", Wait::adaptive, Payload::written_and_read);
  for (SeriesSpec& each : spec.series) each.operations_per_sample = kStreamFrames;
  spec.placement = true;
  spec.seconds_a_pass = 2;
  spec.measure = measure_throughput;
  return spec;
}

// ---- matrix multiplication ----------------------------------------------------------------------------------------------------------

// The container's Python is the host's version, so that uv resolves the same NumPy for both.
std::string host_python() {
  try {
    return executor::find_python("").tag();
  } catch (const Error& error) {
    throw Unavailable(error.what());
  }
}

void measure_matmul(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  const json burst = {{"size", 512}, {"count", pass.samples(5, 15)}};
  std::array<std::unique_ptr<LivePipeline>, 2> pipelines;
  std::array<std::string, 2> numpy;
  for (const std::size_t i : kStartOrder) {
    pipelines[i] = made_for(pass, {kExecutors[i]}, [&] {
      auto pipeline = std::make_unique<LivePipeline>(nodes + "/matmul.yaml", std::map<std::string, std::string>{{"executor", kExecutors[i]}, {"python", host_python()}});
      const json about = pipeline->ask_json({{"about", true}});
      numpy[i] = about.at("numpy");
      pass.version(kExecutors[i], fmt::format("NumPy {}, Python {}", numpy[i], about.at("python").get<std::string>()));
      pipeline->ask(burst);
      return pipeline;
    });
  }
  if (pipelines[0] && pipelines[1] && numpy[0] != numpy[1])
    throw Unavailable(fmt::format("the process has NumPy {} and the container {}: that is not the same work", numpy[0], numpy[1]));
  std::vector<std::function<void()>> calls;
  for (std::size_t i = 0; i < 2; ++i)
    if (pipelines[i]) calls.emplace_back([&, i] { pass.measure(kExecutors[i], [&] { return pipelines[i]->ask(burst); }); });
  for (std::size_t round = 0; round < pass.samples(2, 4); ++round) pass.interleave(calls);
}

RowSpec matmul() {
  Row row;
  row.id = "nodes/container-matmul";
  row.group = "Container against native";
  row.title = "Matrix multiplication, 512 × 512 float32";
  row.measured = "numpy.matmul on one thread, timed inside a Python node: a process, or the same node in a container; the same version of NumPy in both.";
  RowSpec spec = compared(std::move(row), "ns", Wait::none, Payload::none);
  spec.seconds_a_pass = 1.5;
  spec.measure = measure_matmul;
  return spec;
}

}  // namespace

void add_container_rows(std::vector<RowSpec>& rows) {
  rows.push_back(latency());
  rows.push_back(throughput());
  rows.push_back(matmul());
}

}  // namespace hawse::bench
