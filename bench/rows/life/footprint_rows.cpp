// SPDX-License-Identifier: Apache-2.0
//
// What a node takes while it does nothing: memory, processor time.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <sstream>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/many_nodes.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"

namespace hawse::bench::life {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr unsigned kFew = 2, kMore = 4;
constexpr milliseconds kSettle{300};

struct Footprint {
  double nodes_bytes = 0, shims_bytes = 0;
  double bytes() const { return nodes_bytes + shims_bytes; }
};

// A process, its zygote where it has one, and all below them.
void add_tree(std::set<pid_t>& pids, pid_t pid) {
  const pid_t parent = parent_of(pid);
  for (const pid_t root : {pid, parent == ::getpid() ? pid : parent}) {
    pids.insert(root);
    for (const pid_t child : descendants(root)) pids.insert(child);
  }
}

double bytes_of(const std::set<pid_t>& pids) {
  double bytes = 0;
  for (const pid_t pid : pids) bytes += static_cast<double>(pss_bytes(pid));
  return bytes;
}

Footprint footprint(LiveSession& session, unsigned nodes) {
  std::set<pid_t> processes, shims;
  for (unsigned i = 0; i < nodes; ++i) {
    std::istringstream where(session.where(nth(i)));
    std::string kind, id;
    where >> kind >> id;
    if (kind == "process") {
      add_tree(processes, static_cast<pid_t>(std::stol(id)));
      continue;
    }
    const auto state = executor::Engine().inspect(id);
    if (!state || state->pid <= 0) throw Unavailable("the engine no longer has the container " + id);
    processes.insert(state->pid);
    for (const pid_t child : descendants(state->pid)) processes.insert(child);
    shims.insert(parent_of(state->pid));
  }
  return {bytes_of(processes), bytes_of(shims)};
}

Footprint of_session(Pass& pass, const json& node, unsigned nodes) {
  LiveSession session(many_waiting(pass, nodes, node));
  session.wait_running();
  std::this_thread::sleep_for(kSettle);
  const Footprint sum = footprint(session, nodes);
  session.stop();
  return sum;
}

Footprint of_one_more(Pass& pass, const json& node) {
  const Footprint few = of_session(pass, node, kFew), many = of_session(pass, node, kFew + kMore);
  return {(many.nodes_bytes - few.nodes_bytes) / kMore, (many.shims_bytes - few.shims_bytes) / kMore};
}

void measure_memory(Pass& pass) {
  const auto take = [&](const std::string& key, const json& node) {
    pass.measure(key, [&] { return std::vector{static_cast<float>(of_one_more(pass, node).bytes())}; });
  };
  pass.interleave({[&] { take("python process", {{"node", "bare.py:PassesOn"}}); },
                   [&] { take("C++ process", {{"node", (resources_dir() / "bench/bench-node").string()}}); },
                   [&] {
                     std::vector<float> shim;
                     pass.measure("container", [&] {
                       engine_or_unavailable();
                       const Footprint one = of_one_more(pass, {{"node", "bare.py:PassesOn"}, {"executor", "container"}});
                       shim.push_back(static_cast<float>(one.shims_bytes));
                       return std::vector{static_cast<float>(one.bytes())};
                     });
                     pass.keep("container: of it the engine's shim", shim);
                   }});
}

RowSpec memory_row() {
  RowSpec spec = row("memory/node", "Memory", "Memory of one more node",
                     fmt::format("PSS (smaps_rollup) of the nodes' processes and of their zygote: of a session with {} nodes and of one with {}, the difference divided by {}; of a container all "
                                 "its processes and the engine's shim, its parent. Nodes without packages that have handled one frame and wait. Memory of the runtime and of the engine's "
                                 "daemon isn't in it",
                                 kFew, kFew + kMore, kMore));
  for (const char* key : {"python process", "container", "container: of it the engine's shim", "C++ process"}) spec.series.push_back(series(key, Role::ours, "B"));
  spec.row.targets = {at_most("native Python ≤ 4 MB", "python process", 4e6), at_most("container with its share of the shim ≤ 20 MB", "container", 20e6)};
  spec.quick_passes = 1;
  spec.full_passes = 5;
  spec.seconds_a_pass = 5;
  spec.measure = measure_memory;
  return spec;
}

// The command with a pipeline that waits: a runtime that does nothing else, unlike this process.
class IdleRun {
 public:
  explicit IdleRun(const std::filesystem::path& manifest) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno("start hawse run", "pipe");
    out_.reset(ends[0]);
    UniqueFd write_end(ends[1]);
    SpawnOptions options;
    options.argv = {hawse_command().string(), "run", "--json", manifest.string(), "--set", "program=" + (resources_dir() / "bench/bench-node").string()};
    options.env = current_environment();
    const UniqueFd quiet(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    options.stdout_fd = write_end.get();
    options.stderr_fd = quiet.get();
    process_ = Subprocess::spawn(options);
    write_end.reset();
    std::string text;
    char block[4096];
    while (text.find(R"("state":"running","time_ns")") == std::string::npos) {
      const auto size = ::read(out_.get(), block, sizeof block);
      if (size <= 0) throw Unavailable("the session of 10 nodes did not start: " + text.substr(text.size() > 300 ? text.size() - 300 : 0));
      text.append(block, static_cast<std::size_t>(size));
    }
  }
  ~IdleRun() {
    process_.signal(SIGTERM);
    char block[4096];
    while (::read(out_.get(), block, sizeof block) > 0) {
    }
    process_.wait();
  }
  pid_t pid() const noexcept { return process_.pid(); }

 private:
  UniqueFd out_;
  Subprocess process_;
};

struct Spent {
  std::int64_t cpu_ns = 0, wake_ups = 0;
};
Spent spent_by(const std::vector<pid_t>& pids) {
  Spent sum;
  for (const pid_t pid : pids) {
    sum.cpu_ns += cpu_ns(pid);
    sum.wake_ups += wake_ups(pid);
  }
  return sum;
}

double idle_percent(Pass& pass) {
  const IdleRun run(scenario(pass, "idle.yaml"));
  std::this_thread::sleep_for(milliseconds(1000));
  auto pids = descendants(run.pid());
  pids.push_back(run.pid());
  const auto begun_ns = now_ns();
  const Spent before = spent_by(pids);
  std::this_thread::sleep_for(milliseconds(1000 * pass.samples(2, 10)));
  const Spent after = spent_by(pids);
  const double took_ns = static_cast<double>(now_ns() - begun_ns);
  pass.fact({"wake-ups of an idle session of 10 nodes", fmt::format("{} processes", pids.size()),
             fmt::format("{} voluntary context switches in {:.0f} s", after.wake_ups - before.wake_ups, took_ns / 1e9), after.wake_ups == before.wake_ups});
  return static_cast<double>(after.cpu_ns - before.cpu_ns) / took_ns * 100;
}

RowSpec idle_row() {
  RowSpec spec = row("idle/cpu", "Idle", "Idle CPU of a session of 10 nodes",
                     "processor time (schedstat of every thread) of `hawse run` and everything below it, as a share of one core: a chain of 5 Python and 4 C++ processes behind a source "
                     "that waits, after the first frame has gone through");
  spec.series = {series("session of 10 nodes", Role::ours, "percent")};
  spec.row.targets = {at_most("0.00 %", "session of 10 nodes", 0.005)};
  spec.quick_passes = 1;
  spec.full_passes = 5;
  spec.seconds_a_pass = 4;
  spec.measure = [](Pass& pass) { pass.measure("session of 10 nodes", [&] { return std::vector{static_cast<float>(idle_percent(pass))}; }); };
  return spec;
}

}  // namespace

void add_footprint_rows(std::vector<RowSpec>& rows) {
  rows.push_back(memory_row());
  rows.push_back(idle_row());
}

}  // namespace hawse::bench::life
