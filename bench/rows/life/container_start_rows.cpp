// SPDX-License-Identifier: Apache-2.0
//
// Start-up of a node in a container, phase by phase, beside what the engine itself needs for a container of the same image that runs `true`.
//
// The phases are what the runtime saw. What the messages in between took (`connect`) is in none, so their sum shows whether they tell the whole.
#include <fmt/format.h>
#include <unistd.h>

#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"
#include "executor/container/ownership.hpp"
#include "executor/container/container_spec.hpp"
#include "executor/warm.hpp"

namespace hawse::bench::life {
namespace {

using nlohmann::json;
using pipeline::ExecutorKind;

constexpr const char* kNode = "container";
constexpr const char* kNumpy = "container with numpy";
constexpr const char* kEngine = "engine: create and start `true`";
constexpr const char* kDocker = "docker run --rm IMAGE true";
constexpr const char* kWarm = "container, warm";

struct Phase {
  const char* key;
  std::vector<const char*> parts;  // of `phases_ms`
};
const Phase kPhases[] = {{"create (layers)", {"create"}},
                         {"start (namespaces, init)", {"start", "join"}},
                         {"interpreter", {"interpreter"}},
                         {"import", {"import"}},
                         {"setup()", {"setup"}}};

double phase_ns(const json& phases, const Phase& phase) {
  double ms = 0;
  for (const char* part : phase.parts) ms += phases.value(part, 0.0);
  return ms * 1e6;
}

void measure_node(Pass& pass, const pipeline::Pipeline& pipeline, std::size_t samples) {
  std::vector<std::vector<float>> phases(std::size(kPhases));
  pass.measure(kNode, [&] {
    return repeated(samples, [&] {
      const json seen = start_once(pipeline);
      if (!seen.contains("create")) throw Unavailable("the engine answered only after the node was ready: its phases can't be told apart");
      for (std::size_t i = 0; i < phases.size(); ++i) phases[i].push_back(static_cast<float>(phase_ns(seen, kPhases[i])));
      return total_ns(seen);
    });
  });
  for (std::size_t i = 0; i < phases.size(); ++i) pass.keep(kPhases[i].key, phases[i]);
}

// One that waits, made for this start alone: nothing is made in the background while others are measured.
double warm_start(const pipeline::Pipeline& pipeline, const executor::Recipe& recipe) {
  executor::keep_warm(*pipeline.find("node"), recipe, 1, true, nullptr);
  const json seen = start_once(pipeline);
  executor::stop_warm(pipeline.file);
  if (seen.contains("create")) throw Unavailable("the start was given no container that waited");
  return total_ns(seen);
}

// By the client that the executor uses, with the least that a container can be asked for.
double engine_true(const executor::Engine& engine, const std::string& image, unsigned number) {
  const json body = {{"Image", image},
                     {"Cmd", {"true"}},
                     {"Labels", executor::owner_labels("bench")},
                     {"NetworkDisabled", true},
                     {"HostConfig", {{"NetworkMode", "none"}}}};
  const auto begun_ns = now_ns();
  const std::string id = engine.create(fmt::format("hawse-bench-{}-{}", ::getpid(), number), body);
  try {
    engine.start(id);
  } catch (...) {
    engine.remove(id);
    throw;
  }
  const auto took_ns = now_ns() - begun_ns;
  engine.wait(id);
  engine.remove(id);
  return static_cast<double>(took_ns);
}

double docker_run(const std::string& image) {
  const auto begun_ns = now_ns();
  RunResult done;
  try {
    done = run_command({"docker", "run", "--rm", image, "true"});
  } catch (const Error&) {
    throw Unavailable("the command docker is not on PATH");
  }
  const auto took_ns = now_ns() - begun_ns;
  if (done.status.signalled || done.status.value != 0) throw Unavailable("docker run failed: " + last_line(done));
  return static_cast<double>(took_ns);
}

std::string docker_version() {
  try {
    const RunResult done = run_command({"docker", "--version"});
    return done.out.substr(0, done.out.find('\n'));
  } catch (const Error&) {
    return "";
  }
}

void measure(Pass& pass) {
  const auto engine = engine_or_unavailable();
  const auto samples = pass.samples(1, 2);
  const auto executor = executor::make_container_executor();
  const auto bare = load_pipeline(scenario(pass, "start_python.yaml"), moved_to(ExecutorKind::container));
  const auto numpy = load_pipeline(scenario(pass, "start_python_numpy.yaml"), moved_to(ExecutorKind::container));
  pass.progress("image");
  const executor::Prepared prepared = prepare(*executor, *bare.find("node"));
  const std::string image = prepared.image;
  pass.version(kEngine, fmt::format("{}, API {}", engine->version().engine, engine->api()));
  if (pass.wants(kDocker)) pass.version(kDocker, docker_version());
  unsigned number = 0;
  pass.interleave({[&] { measure_node(pass, bare, samples); },
                   [&] {
                     pass.measure(kWarm, [&] {
                       return repeated(samples, [&] { return warm_start(bare, executor::container_recipe(*bare.find("node"), prepared)); });
                     });
                   },
                   [&] { pass.measure(kEngine, [&] { return repeated(samples, [&] { return engine_true(*engine, image, number++); }); }); },
                   [&] {
                     pass.measure(kNumpy, [&] {
                       prepare(*executor, *numpy.find("node"));
                       return repeated(samples, [&] { return total_ns(start_once(numpy)); });
                     });
                   },
                   [&] { pass.measure(kDocker, [&] { return repeated(samples, [&] { return docker_run(image); }); }); }});
}

RowSpec container_row() {
  RowSpec spec = row("start/container", kStartUp, "Container node, image cached, cold: start to ready",
                     "from the session's decision to start the node to its `ready`: a Python node without packages (and one whose setup() imports "
                     "numpy), no network; warm: in a container that `hawse warm` has made before; the floor is the "
                     "engine's own create and start of `true` in the same image by the same client, until the call for the start has returned. The "
                     "engine makes layers ready within "
                     "`create` and namespaces within `start`, and doesn't tell them apart");
  spec.series = {series(kNode)};
  for (const Phase& each : kPhases) spec.series.push_back(phase(each.key, kNode));
  for (const auto& each : {series(kNumpy), series(kWarm), series(kEngine, Role::floor), series(kDocker, Role::peer)}) spec.series.push_back(each);
  Target sum = at_most("the phases sum to the total within 5 %", kNode, 0.05, kNode);
  sum.statistic = Statistic::sum_of_phases;
  sum.relation = Target::Relation::within;
  spec.row.targets = {at_most("≤ 1.3 × the engine's own create + start of `true`", kNode, 1.3, kEngine), sum, at_most("≤ 5 ms warm", kWarm, 5e6)};
  spec.seconds_a_pass = 1.7;
  spec.measure = measure;
  return spec;
}

}  // namespace

void add_container_start_rows(std::vector<RowSpec>& rows) { rows.push_back(container_row()); }

}  // namespace hawse::bench::life
