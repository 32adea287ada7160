// SPDX-License-Identifier: Apache-2.0
//
// Start-up of everything but a node: executors, the look at an unchanged environment, the command up to the first frame.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "base/error.hpp"
#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"
#include "embed/stock.hpp"

namespace hawse::bench::life {
namespace {

using pipeline::ExecutorKind;

RowSpec native_executor() {
  RowSpec spec = row("start/executor-native", kStartUp, "Native executor ready",
                     "from nothing to a session that can start nodes: the three executors made, the session with its event loop constructed around a pipeline that is loaded already");
  spec.series = {series("session")};
  spec.row.targets = {at_most("≤ 15 µs", "session", 15'000)};
  spec.seconds_a_pass = 0.1;
  spec.measure = [](Pass& pass) {
    const auto pipeline = load_pipeline(scenario(pass, "start_python.yaml"));
    pass.measure("session", [&] {
      return repeated(pass.samples(50, 100), [&] {
        auto mine = pipeline;
        const auto begun_ns = now_ns();
        const auto session = std::make_unique<runtime::Session>(std::move(mine), runtime::make_executors(embed::make_stock_node), runtime::Session::Options{});
        return static_cast<double>(now_ns() - begun_ns);
      });
    });
  };
  return spec;
}

RowSpec container_executor() {
  RowSpec spec = row("start/executor-container", kStartUp, "Container executor ready",
                     "from nothing to an engine that was found at its socket and has agreed on a version of its API, a new connection each time");
  spec.series = {series("engine found")};
  spec.row.targets = {at_most("≤ 3 ms", "engine found", 3e6)};
  spec.seconds_a_pass = 0.1;
  spec.measure = [](Pass& pass) {
    engine_or_unavailable();
    pass.measure("engine found", [&] {
      return repeated(pass.samples(10, 20), [] {
        const auto begun_ns = now_ns();
        const executor::Engine engine;
        return static_cast<double>(now_ns() - begun_ns);
      });
    });
  };
  return spec;
}

double prepare_once(const pipeline::Node& node, ExecutorKind kind) {
  const auto begun_ns = now_ns();
  const auto where = kind == ExecutorKind::container ? executor::make_container_executor() : executor::make_process_executor();
  prepare(*where, node);
  return static_cast<double>(now_ns() - begun_ns);
}

void check(const RunResult& done, const std::string& what) {
  if (done.status.signalled || done.status.value != 0) throw Unavailable(what + " failed: " + last_line(done));
}

double build_once(const std::filesystem::path& manifest) {
  const auto begun_ns = now_ns();
  const RunResult done = run_command({hawse_command().string(), "build", "-q", manifest.string()});
  const auto took_ns = now_ns() - begun_ns;
  check(done, "hawse build");
  return static_cast<double>(took_ns);
}

RowSpec second_build() {
  RowSpec spec = row("start/second-build", kStartUp, "Second build of an unchanged environment",
                     "a new executor's prepare() of a Python node with packages that was prepared before: index, store and image are looked at, nothing is made; and the whole "
                     "command `hawse build` on that pipeline");
  spec.series = {series("container"), series("process"), series("hawse build")};
  spec.row.targets = {at_most("≤ 5 ms", "container", 5e6)};
  spec.seconds_a_pass = 0.5;
  spec.measure = [](Pass& pass) {
    const auto manifest = scenario(pass, "start_python_numpy.yaml");
    const auto take = [&pass](const std::string& key, ExecutorKind kind, const pipeline::Node& node) {
      pass.measure(key, [&] {
        prepare_once(node, kind);
        return repeated(pass.samples(3, 5), [&] { return prepare_once(node, kind); });
      });
    };
    const auto native = load_pipeline(manifest), contained = load_pipeline(manifest, moved_to(ExecutorKind::container));
    pass.interleave({[&] { take("container", ExecutorKind::container, *contained.find("node")); }, [&] { take("process", ExecutorKind::process, *native.find("node")); },
                     [&] { pass.measure("hawse build", [&] { return repeated(pass.samples(1, 2), [&] { return build_once(manifest); }); }); }});
  };
  return spec;
}

// The receiving node says when it had the frame in hand, by the clock that is ours too.
double first_frame(const std::filesystem::path& manifest) {
  const auto begun_ns = now_ns();
  const RunResult done = run_command({hawse_command().string(), "run", manifest.string()});
  check(done, "hawse run");
  const std::string words = "in hand at ";
  const auto place = done.err.find(words);
  if (place == std::string::npos) throw Unavailable("no frame came out of the run");
  return static_cast<double>(std::stoll(done.err.substr(place + words.size())) - begun_ns);
}

// What waits was made for this run alone: nothing is made in the background while others are measured.
double warm_first_frame(const std::filesystem::path& manifest) {
  check(run_command({hawse_command().string(), "warm", "--quiet", manifest.string()}), "hawse warm");
  const double took_ns = first_frame(manifest);
  check(run_command({hawse_command().string(), "warm", "--stop", manifest.string()}), "hawse warm --stop");
  return took_ns;
}

RowSpec first_frame_row() {
  RowSpec spec = row("start/first-frame", kStartUp, "hawse run to the first frame out, 2 Python processes",
                     "from the start of the command `hawse run` to the moment when the second node's process() has the first node's frame in hand; both are Python processes without packages; warm: forked from zygotes that `hawse warm` has made before");
  spec.series = {series("cold"), series("warm")};
  spec.row.targets = {at_most("≤ 150 ms cold", "cold", 150e6), at_most("≤ 30 ms warm", "warm", 30e6)};
  spec.seconds_a_pass = 1.5;
  spec.measure = [](Pass& pass) {
    const auto manifest = scenario(pass, "first_frame.yaml");
    pass.interleave({[&] { pass.measure("cold", [&] { return repeated(pass.samples(2, 3), [&] { return first_frame(manifest); }); }); },
                     [&] { pass.measure("warm", [&] { return repeated(pass.samples(2, 3), [&] { return warm_first_frame(manifest); }); }); }});
  };
  return spec;
}

}  // namespace

void add_start_rows(std::vector<RowSpec>& rows) {
  rows.push_back(native_executor());
  rows.push_back(container_executor());
  rows.push_back(second_build());
  rows.push_back(first_frame_row());
}

}  // namespace hawse::bench::life
