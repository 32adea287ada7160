// SPDX-License-Identifier: Apache-2.0
//
// What grows with the number of nodes, containers and sessions.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include "base/files.hpp"
#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/many_nodes.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"

namespace hawse::bench::life {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const json kPython = {{"node", "bare.py:Ends"}};
const json kContainer = {{"node", "bare.py:Ends"}, {"executor", "container"}};

std::string counted(unsigned number, const char* noun) { return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s"); }

// Of a whole session: from its begin until every node is ready.
double session_start_ns(const pipeline::Pipeline& pipeline) {
  LiveSession session(pipeline);
  const auto running = session.wait_for([](const runtime::Event& event) { return event.type == "session" && event.data["state"] == "running"; });
  session.finish_in_order();
  return running.event.data["start_ms"].get<double>() * 1e6;
}

RowSpec python_nodes() {
  RowSpec spec = row("growth/python-nodes", kGrowth, "Start-up of many native Python nodes in one session",
                     "from the session's begin until all its nodes are ready: Python processes without packages, and one sink");
  for (const unsigned nodes : {1u, 10u, 100u}) spec.series.push_back(at(counted(nodes, "node"), "python process", nodes, "nodes"));
  spec.row.targets = {at_most("100 native Python nodes ≤ 0.5 s", "100 nodes", 0.5e9)};
  spec.quick_passes = 1;
  spec.full_passes = 5;
  spec.seconds_a_pass = 6;
  spec.measure = [](Pass& pass) {
    std::vector<std::function<void()>> calls;
    for (const unsigned nodes : {1u, 10u, 100u})
      calls.emplace_back([&pass, nodes] {
        pass.measure(counted(nodes, "node"), [&] { return std::vector{static_cast<float>(session_start_ns(many_sources(pass, nodes, kPython)))}; });
      });
    pass.interleave(calls);
  };
  return spec;
}

RowSpec containers() {
  constexpr const char* kSum = "20 one after another";
  RowSpec spec = row("growth/containers", kGrowth, "Containers started together",
                     "from the session's begin until all its nodes are ready: Python nodes without packages in containers, image cached; \"one after another\" is 20 times the mean of the "
                     "sessions with a single container that the same pass has started");
  for (const unsigned nodes : {1u, 5u, 20u}) spec.series.push_back(at(counted(nodes, "container"), "together", nodes, "containers"));
  spec.series.push_back(at(kSum, "one after another", 20, "containers", Role::floor));
  spec.row.targets = {at_most("20 together ≤ 0.5 × the sum", "20 containers", 0.5, kSum)};
  spec.quick_passes = 1;
  spec.full_passes = 5;
  spec.seconds_a_pass = 7;
  spec.measure = [](Pass& pass) {
    engine_or_unavailable();
    const auto take = [&pass](unsigned nodes) { return static_cast<float>(session_start_ns(many_sources(pass, nodes, kContainer))); };
    const auto single = [&] {
      std::vector<float> singles;
      pass.measure("1 container", [&] { return singles = repeated(pass.samples(2, 5), [&] { return take(1); }); });
      double sum = 0;
      for (const float value : singles) sum += value;
      if (!singles.empty()) pass.keep(kSum, {static_cast<float>(sum / static_cast<double>(singles.size()) * 20)});
    };
    pass.interleave({single, [&] { pass.measure("5 containers", [&] { return std::vector{take(5)}; }); },
                     [&] { pass.measure("20 containers", [&] { return std::vector{take(20)}; }); }});
  };
  return spec;
}

// What this process and the engine hold. Sessions come and go between two of these.
struct Holdings {
  std::size_t processes = 0, containers = 0, files = 0, descriptors = 0, allocated_bytes = 0;

  explicit Holdings(const std::vector<std::string>& sessions, const executor::Engine* engine) {
    processes = descendants(::getpid()).size();
    descriptors = open_descriptors();
    allocated_bytes = ::mallinfo2().uordblks;
    for (const auto& entry : fs::directory_iterator(run_dir()))
      for (const auto& session : sessions) files += entry.path().filename().string().starts_with(session + "-") ? 1 : 0;
    if (engine != nullptr)
      for (const auto& session : sessions) containers += engine->containers({{"hawse.session", session}}).size();
  }
};

constexpr std::size_t kAllocatedNoiseBytes = 64 << 10;  // progress line, figures kept meanwhile

void tell(Pass& pass, const Holdings& before, const Holdings& after, std::size_t sessions, bool engine) {
  const auto fact = [&](const std::string& what, std::size_t was, std::size_t is, std::size_t noise = 0) {
    pass.fact({what + " before and after", "sessions one after another", fmt::format("{} and, after {} sessions, {}", was, sessions, is), is <= was + noise});
  };
  fact("processes", before.processes, after.processes);
  fact("files in the run folder", before.files, after.files);
  fact("descriptors of the runtime", before.descriptors, after.descriptors);
  fact("bytes allocated by the runtime", before.allocated_bytes, after.allocated_bytes, kAllocatedNoiseBytes);
  if (engine) fact("containers", before.containers, after.containers);
  else pass.fact({"containers before and after", "sessions one after another", "not looked at: no container engine answers", std::nullopt});
}

std::shared_ptr<const executor::Engine> engine_if_any() {
  try {
    return engine_or_unavailable();
  } catch (const Unavailable&) {
    return nullptr;
  }
}

RowSpec sessions_row() {
  RowSpec spec = row("growth/sessions", kGrowth, "Sessions one after another",
                     "whole sessions in this process, each of two Python processes, every tenth also with a container; what is held before and after all of them");
  spec.series = {series("a session, start to end")};
  spec.quick_passes = 1;
  spec.full_passes = 1;
  spec.seconds_a_pass = 3;
  spec.measure = [](Pass& pass) {
    const auto engine = engine_if_any();
    const auto native = many_sources(pass, 2, kPython);
    const auto mixed = engine ? many_sources(pass, 1, kContainer) : native;
    const auto count = pass.samples(10, 100);
    std::vector<std::string> ids;
    const auto once = [&](const pipeline::Pipeline& pipeline) {
      const auto begun_ns = now_ns();
      LiveSession session(pipeline);
      session.finish_in_order();
      ids.push_back(session.id());
      return static_cast<float>(now_ns() - begun_ns);
    };
    std::vector<float> took_ns;
    took_ns.reserve(count);
    ids.reserve(count + 3);
    for (const auto* pipeline : {&native, &mixed, &native}) once(*pipeline);  // what is allocated once for good
    const Holdings before(ids, engine.get());
    for (std::size_t i = 0; i < count; ++i) {
      pass.progress(fmt::format("session {} of {}", i + 1, count));
      const float took = once(i % 10 == 9 ? mixed : native);
      if (i % 10 != 9) took_ns.push_back(took);
    }
    tell(pass, before, Holdings(ids, engine.get()), count, engine != nullptr);
    pass.keep("a session, start to end", took_ns);
  };
  return spec;
}

}  // namespace

void add_growth_rows(std::vector<RowSpec>& rows) {
  rows.push_back(python_nodes());
  rows.push_back(containers());
  rows.push_back(sessions_row());
}

}  // namespace hawse::bench::life
