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

// The pipelines of a row that measures a process beside a container; null: that one can't be made.
using Both = std::array<std::unique_ptr<LivePipeline>, 2>;

Both both(Pass& pass, const std::function<std::unique_ptr<LivePipeline>(std::size_t)>& make) {
  Both pipelines;
  for (const std::size_t i : kStartOrder) pipelines[i] = made_for(pass, {kExecutors[i]}, [&] { return make(i); });
  return pipelines;
}

void measure_in_turns(Pass& pass, const Both& pipelines, const json& request, std::size_t rounds) {
  std::vector<std::function<void()>> calls;
  for (std::size_t i = 0; i < 2; ++i)
    if (pipelines[i]) calls.emplace_back([&, i] { pass.measure(kExecutors[i], [&] { return pipelines[i]->ask(request); }); });
  for (std::size_t round = 0; round < rounds; ++round) pass.interleave(calls);
}

// ---- latency ----------------------------------------------------------------------------------------------------------------------

// A pipeline that lives through the pass. The polling ones have a core for each end and look for far longer than a round trip takes, but are asleep soon after a burst.
struct Way {
  const char* who;       // what its series begin with
  const char* executor;
  Wait wait;
};
constexpr Way kWays[] = {  // those that may fail come first, see above
    {"container", "container", Wait::sleeping},
    {"container, polling", "container", Wait::polling},
    {"process", "process", Wait::sleeping},
    {"process, polling", "process", Wait::polling},
};

struct Mode {
  const char* command;
  const char* name;
};
constexpr Mode kModes[] = {{"round_trip", "round trip"}, {"one_way", "one way"}};

std::string latency_key(const std::string& who, const Mode& mode) { return fmt::format("{}, {}", who, mode.name); }

std::unique_ptr<LivePipeline> hop(const std::string& nodes, const Way& way) {
  const bool polls = way.wait == Wait::polling;
  auto pipeline = std::make_unique<LivePipeline>(nodes + "/hop.yaml",
                                                 std::map<std::string, std::string>{{"executor", way.executor}, {"spin", polls ? "5ms" : "0ns"}, {"cpu", "0"}, {"relay_cpu", polls ? "1" : "0"}});
  pipeline->ask({{"mode", "round_trip"}, {"count", 200}, {"bytes", 64}});
  return pipeline;
}

void measure_latency(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  std::vector<std::unique_ptr<LivePipeline>> pipelines;
  std::vector<std::function<void()>> calls;
  for (const Way& way : kWays) {
    auto made = made_for(pass, {latency_key(way.who, kModes[0]), latency_key(way.who, kModes[1])}, [&] { return hop(nodes, way); });
    if (!made) continue;
    LivePipeline* pipeline = pipelines.emplace_back(std::move(made)).get();
    for (const Mode& mode : kModes)
      calls.emplace_back([&pass, pipeline, key = latency_key(way.who, mode), command = mode.command] {
        pass.measure(key, [&] { return pipeline->ask({{"mode", command}, {"count", pass.samples(200, 300)}, {"bytes", 64}}); });
      });
  }
  for (std::size_t round = 0; round < pass.samples(4, 8); ++round) pass.interleave(calls);
}

RowSpec latency() {
  RowSpec spec;
  spec.row = {.id = "nodes/container-latency",
              .group = "Container against native",
              .title = "Latency, 64 B",
              .measured = "A C++ process sends to a node and has the answer back; the node is a process, or the same program in a container. One frame at a time. Polling: each side has a core and looks "
                          "without a pause. Sleeping: both share one core, without a look before: on two, where the scheduler happens to put each process decides more than all else. There a container pays for "
                          "its CPU control group, which lies one level deeper than a process's own, at each switch, and for the engine's filter at each system call. One way: until the node has it, by the "
                          "same clock.",
              .better = Better::less,
              .targets = {},
              .missing = "",
              .series = {},
              .facts = {}};
  for (const Mode& mode : kModes) {
    for (const Way& way : kWays) spec.series.push_back(series(latency_key(way.who, mode), way.executor, "ns", way.wait, Payload::untouched));
    for (const char* how : {"", ", polling"})
      spec.row.targets.push_back({fmt::format("{}{}: ratio within 1 ± 0.02", mode.name, how), latency_key(fmt::format("container{}", how), mode), Statistic::median, Target::Relation::within, 0.02,
                                  latency_key(fmt::format("process{}", how), mode)});
  }
  spec.placement = true;
  spec.seconds_a_pass = 2.5;
  spec.measure = measure_latency;
  return spec;
}

// ---- three Pythons ----------------------------------------------------------------------------------------------------------------

void measure_three_pythons(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  const Both pipelines = both(pass, [&](std::size_t i) {
    auto pipeline = std::make_unique<LivePipeline>(nodes + "/three_pythons.yaml", std::map<std::string, std::string>{{"executor", kExecutors[i]}, {"spin", "0ns"}});
    pipeline->ask({{"count", 50}, {"bytes", kMiB}});
    return pipeline;
  });
  measure_in_turns(pass, pipelines, {{"count", pass.samples(100, 300)}, {"bytes", kMiB}}, pass.samples(2, 4));
}

RowSpec three_pythons() {
  RowSpec spec;
  spec.row = {.id = "nodes/three-pythons",
              .group = "Container against native",
              .title = "End to end through three Pythons, 1 MiB",
              .measured = "A Python process builds a frame, and has it back when three more Python nodes have each built and sent one of the same size: in containers with Python 3.9, 3.11 and 3.13, or "
                          "as three processes of the host's Python. One frame at a time, all sides sleep; one word of each frame is written and checked.",
              .better = Better::less,
              .targets = {{"three containers with three Pythons ≤ 100 ms", "container", Statistic::median, Target::Relation::at_most, 100e6, ""}},
              .missing = "",
              .series = {},
              .facts = {}};
  for (const char* executor : kExecutors) spec.series.push_back(series(executor, "", "ns", Wait::sleeping, Payload::untouched));
  spec.placement = true;
  spec.seconds_a_pass = 3;
  spec.measure = measure_three_pythons;
  return spec;
}

// ---- throughput -------------------------------------------------------------------------------------------------------------------

void measure_throughput(Pass& pass) {
  const std::string nodes = lay_out_nodes(pass.folder());
  const json burst = {{"mode", "stream"}, {"count", kStreamFrames}, {"bytes", kMiB}};
  const Both pipelines = both(pass, [&](std::size_t i) {
    auto pipeline = std::make_unique<LivePipeline>(nodes + "/hop.yaml", std::map<std::string, std::string>{{"executor", kExecutors[i]}});
    pipeline->ask(burst);
    return pipeline;
  });
  measure_in_turns(pass, pipelines, burst, pass.samples(3, 6));
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
  std::array<std::string, 2> numpy;
  const Both pipelines = both(pass, [&](std::size_t i) {
    auto pipeline = std::make_unique<LivePipeline>(nodes + "/matmul.yaml", std::map<std::string, std::string>{{"executor", kExecutors[i]}, {"python", host_python()}});
    const json about = pipeline->ask_json({{"about", true}});
    numpy[i] = about.at("numpy");
    pass.version(kExecutors[i], fmt::format("NumPy {}, Python {}", numpy[i], about.at("python").get<std::string>()));
    pipeline->ask(burst);
    return pipeline;
  });
  if (pipelines[0] && pipelines[1] && numpy[0] != numpy[1])
    throw Unavailable(fmt::format("the process has NumPy {} and the container {}: that is not the same work", numpy[0], numpy[1]));
  measure_in_turns(pass, pipelines, burst, pass.samples(2, 4));
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
  rows.push_back(three_pythons());
  rows.push_back(throughput());
  rows.push_back(matmul());
}

}  // namespace hawse::bench
