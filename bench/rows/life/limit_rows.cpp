// SPDX-License-Identifier: Apache-2.0
//
// Limits met on purpose, and crashes: what the run says of it, how soon, and whether the limit holds.
#include <fmt/format.h>
#include <signal.h>

#include <cmath>
#include <sstream>

#include "base/files.hpp"
#include "base/text.hpp"
#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/many_nodes.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"

namespace hawse::bench::life {
namespace {

using nlohmann::json;

bool is_failure(const runtime::Event& event) { return event.type == "failure"; }

pipeline::Pipeline limited(Pass& pass, const std::string& node, const std::string& executor, json limits = json::object()) {
  return fed_once(pass, {{"node", node}, {"executor", executor}, {"limits", std::move(limits)}});
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
  LiveSession session(limited(pass, "limits.py:Eats", executor, {{"memory", "64MiB"}}));
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
  LiveSession session(limited(pass, "limits.py:Waits", executor));
  session.wait_for([](const runtime::Event& event) { return event.type == "log" && event.data.value("text", "") == "waiting"; });
  const pid_t pid = node_process(session);
  const auto killed_ns = now_ns();
  if (::kill(pid, SIGKILL) != 0) throw Unavailable(fmt::format("process {} can't be killed by this user", pid));
  const auto failure = session.wait_for(is_failure);
  session.finish();
  return static_cast<double>(failure.at_ns - killed_ns);
}

// From the node's word of the refusal, or of the last thing done before it was held back, to the run's notice of it.
double told(LiveSession& session, const char* limit, const std::string& executor, Pass& pass, const std::string& what) {
  const auto seen = session.wait_for([&](const runtime::Event& event) { return event.type == "notice" && event.data.value("limit", "") == limit; });
  session.finish_in_order();
  pass.fact({what + ": the run says", executor, seen.event.data["text"], true});
  const double took_ns = static_cast<double>(seen.at_ns) - last_number(session, "at");
  if (took_ns <= 0) throw Unavailable("the limit was met before, while the node started");
  return took_ns;
}

double pids_met(Pass& pass, const std::string& executor) {
  LiveSession session(limited(pass, "limits.py:Forks", executor, {{"pids", 24}}));
  const double took_ns = told(session, "pids", executor, pass, "pids limit of 24 met");
  const double started = last_number(session, "started");
  pass.fact({"pids limit of 24 holds", executor, fmt::format("the node could start {:.0f} processes", started), started < 24});
  return took_ns;
}

double cpus_met_once(Pass& pass, const std::string& executor) {
  LiveSession session(limited(pass, (resources_dir() / "bench/bench-spins").string(), executor, {{"cpus", 0.3}}));
  const double took_ns = told(session, "cpus", executor, pass, "CPU limit of 0.3 met");
  const double share = last_number(session, "share");
  pass.fact({"CPU limit of 0.3 holds for a node that spins", executor, fmt::format("it got {:.2f} of a core", share), share < 0.3 * 1.1});
  return took_ns;
}

// On a machine that has much else to do the start may be held back already, or nothing at all.
double cpus_met(Pass& pass, const std::string& executor) {
  for (int again = 3;;) {
    try {
      return cpus_met_once(pass, executor);
    } catch (const Unavailable&) {
      if (--again == 0) throw;
    }
  }
}

double child_killed(Pass& pass, const std::string& executor) {
  LiveSession session(limited(pass, "limits.py:Parent", executor, {{"memory", "64MiB"}}));
  return told(session, "memory", executor, pass, "memory limit of 64 MiB met by a child");
}

struct Met {
  const char* key;
  double (*meet)(Pass&, const std::string& executor);
  const char* target;
};
constexpr Met kMet[] = {{"out of memory", memory_met, "detected within 100 ms"},
                        {"child out of memory", child_killed, "a killed child told within 100 ms"},
                        {"pids limit", pids_met, "a pids limit told within 100 ms"},
                        {"CPU limit", cpus_met, "a CPU limit told within 100 ms"},
                        {"killed", killed, "a crash reported within 100 ms"}};

std::string key_of(const Met& met, const std::string& executor) { return fmt::format("{}, {}", met.key, executor); }

void measure(Pass& pass, const std::string& executor) {
  if (executor == "container") {
    try {
      engine_or_unavailable();
    } catch (const Unavailable& error) {
      for (const Met& met : kMet) pass.missing(key_of(met, executor), error.what());
      return;
    }
  }
  for (const Met& met : kMet) pass.measure(key_of(met, executor), [&] { return repeated(pass.samples(1, 3), [&] { return met.meet(pass, executor); }); });
}

}  // namespace

void add_limit_rows(std::vector<RowSpec>& rows) {
  RowSpec spec = row("limits", "Limits", "Limits met, and crashes: what the run says, and how soon",
                     "the time from the end of a node to the run's `failure` event: of a node killed by a signal from the kill on; of one that met its memory limit from the last line that it "
                     "had printed, before a MiB more was its end. Where it lives on, to the `notice`: of a child that was killed for want of memory from that child's last "
                     "line on, of a process that it was refused from the refusal, of a CPU limit from the last thing that it did before it was first held back");
  for (const char* executor : {"process", "container"}) {
    for (const Met& met : kMet) {
      spec.series.push_back(series(key_of(met, executor)));
      spec.row.targets.push_back(at_most(fmt::format("{}, {}", met.target, executor), key_of(met, executor), 100e6));
    }
  }
  spec.quick_passes = 1;
  spec.full_passes = 5;
  spec.seconds_a_pass = 25;
  spec.measure = [](Pass& pass) {
    pass.interleave({[&] { measure(pass, "process"); }, [&] { measure(pass, "container"); }});
  };
  rows.push_back(std::move(spec));
}

}  // namespace hawse::bench::life
