// SPDX-License-Identifier: Apache-2.0
//
// Limits met on purpose, and crashes: what the run says of it, how soon, and whether the limit holds.
#include <fmt/format.h>
#include <signal.h>

#include <cmath>
#include <sstream>

#include "base/text.hpp"
#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/many_nodes.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"

namespace hawse::bench::life {
namespace {

using nlohmann::json;

bool is_failure(const runtime::Event& event) { return event.type == "failure"; }

pipeline::Pipeline limited(Pass& pass, const char* node_class, const std::string& executor, json limits = json::object()) {
  return fed_once(pass, {{"node", std::string("limits.py:") + node_class}, {"executor", executor}, {"limits", std::move(limits)}});
}

// The number behind `word` in the last such line of the node.
double last_number(LiveSession& session, const std::string& word) {
  const auto lines = session.log("node");
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    if (line->starts_with(word + " ")) return std::stod(line->substr(word.size() + 1));
  throw Unavailable("the node did not say '" + word + "'");
}

// From the node's last sign of life before the kill to the run's word of it: never less than what passed since the kill.
double memory_met(Pass& pass, const std::string& executor) {
  LiveSession session(limited(pass, "Eats", executor, {{"memory", "64MiB"}}));
  const auto failure = session.wait_for(is_failure);
  session.finish();
  const json& said = failure.event.data;
  pass.fact({"memory limit of 64 MiB met: the run says", executor, said.value("text", ""), said.value("kind", "") == "out of memory" && said.value("limit_bytes", 0) == 64 << 20});
  return static_cast<double>(failure.at_ns) - last_number(session, "at");
}

pid_t node_process(LiveSession& session) {
  std::istringstream where(session.where("node"));
  std::string kind, id;
  where >> kind >> id;
  if (kind == "process") return static_cast<pid_t>(std::stol(id));
  const auto state = executor::Engine().inspect(id);
  const auto inside = descendants(state ? state->pid : 0);
  if (!state || state->pid <= 0 || inside.empty()) throw Unavailable("the container's process can't be seen");
  return inside.front();
}

double killed(Pass& pass, const std::string& executor) {
  LiveSession session(limited(pass, "Waits", executor));
  session.wait_for([](const runtime::Event& event) { return event.type == "log" && event.data.value("text", "") == "waiting"; });
  const pid_t pid = node_process(session);
  const auto killed_ns = now_ns();
  if (::kill(pid, SIGKILL) != 0) throw Unavailable(fmt::format("process {} can't be killed by this user", pid));
  const auto failure = session.wait_for(is_failure);
  session.finish();
  return static_cast<double>(failure.at_ns - killed_ns);
}

void pids_met(Pass& pass, const std::string& executor) {
  LiveSession session(limited(pass, "Forks", executor, {{"pids", 24}}));
  session.finish();
  const double started = last_number(session, "started");
  pass.fact({"pids limit of 24 holds", executor, fmt::format("the node could start {:.0f} processes", started), started < 24});
  const std::string said = session.first("failure", "node").value("text", "nothing");
  pass.fact({"pids limit of 24 met: the run says", executor, said, said.find("limit") != std::string::npos});
}

void cpus_met(Pass& pass, const std::string& executor) {
  LiveSession session(limited(pass, "Spins", executor, {{"cpus", 0.5}}));
  session.finish_in_order();
  const double share = last_number(session, "share");
  pass.fact({"cpus limit of 0.5 holds for a node that spins", executor, fmt::format("it got {:.2f} of a core", share), share < 0.5 * 1.1});
}

void measure(Pass& pass, const std::string& executor) {
  if (executor == "container") {
    try {
      engine_or_unavailable();
    } catch (const Unavailable& error) {
      for (const char* what : {"out of memory, ", "killed, "}) pass.missing(what + executor, error.what());
      return;
    }
  }
  pass.measure("out of memory, " + executor, [&] { return repeated(pass.samples(1, 3), [&] { return memory_met(pass, executor); }); });
  pass.measure("killed, " + executor, [&] { return repeated(pass.samples(1, 3), [&] { return killed(pass, executor); }); });
  if (pass.number() != 0) return;
  for (const auto& [limit, meet] : {std::pair("pids limit", &pids_met), std::pair("cpus limit", &cpus_met)}) {
    try {
      meet(pass, executor);
    } catch (const Unavailable& error) {
      pass.fact({limit, executor, error.what(), std::nullopt});
    }
  }
}

}  // namespace

void add_limit_rows(std::vector<RowSpec>& rows) {
  RowSpec spec = row("limits", "Limits", "Limits met, and crashes: what the run says, and how soon",
                     "the time from the end of a node to the run's `failure` event: of a node killed by a signal from the kill on; of one that met its memory limit from the last line that it "
                     "had printed, before a MiB more was its end");
  for (const char* executor : {"process", "container"}) {
    spec.series.push_back(series(std::string("out of memory, ") + executor));
    spec.series.push_back(series(std::string("killed, ") + executor));
    spec.row.targets.push_back(at_most(fmt::format("detected within 100 ms, {}", executor), std::string("out of memory, ") + executor, 100e6));
    spec.row.targets.push_back(at_most(fmt::format("a crash reported within 100 ms, {}", executor), std::string("killed, ") + executor, 100e6));
  }
  spec.quick_passes = 1;
  spec.full_passes = 5;
  spec.seconds_a_pass = 6;
  spec.measure = [](Pass& pass) {
    pass.interleave({[&] { measure(pass, "process"); }, [&] { measure(pass, "container"); }});
  };
  rows.push_back(std::move(spec));
}

}  // namespace hawse::bench::life
