// SPDX-License-Identifier: Apache-2.0
//
// Each kind of row, measured for real by one quick pass: figures that fit together, facts that show that the probes work, reasons where there is none.
#include "bench/rows/life/life_rows.hpp"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "bench/core/runner.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"

namespace hawse::bench {
namespace {

using testing::Contains;
using testing::HasSubstr;

std::vector<RowSpec> rows_of(const std::vector<std::string>& ids) {
  std::vector<RowSpec> rows;
  add_life_rows(rows);
  rows = select_rows(rows, ids);
  for (RowSpec& row : rows) row.quick_passes = 1;
  return rows;
}

Row measured(const std::string& id) {
  ::setenv("HAWSE_RESOURCES", HAWSE_PARTS, 0);
  RunOptions options;
  options.effort = Effort::quick;
  return run_rows(rows_of({id}), options).rows.at(0);
}

float figure(const Row& row, const std::string& key) {
  const auto found = std::ranges::find_if(row.series, [&](const Series& series) { return series.spec.key == key; });
  if (found == row.series.end()) throw std::runtime_error(row.id + " has no series " + key);
  if (found->batches.empty()) throw std::runtime_error(key + " has no figure: " + found->missing);
  return *std::ranges::min_element(found->batches.front().values);
}

std::string why_missing(const Row& row, const std::string& key) {
  const auto found = std::ranges::find_if(row.series, [&](const Series& series) { return series.spec.key == key; });
  return found == row.series.end() ? "no such series: " + key : found->missing;
}

std::vector<std::string> facts(const Row& row, const std::string& variant, std::optional<bool> ok) {
  std::vector<std::string> seen;
  for (const Fact& fact : row.facts)
    if (fact.variant == variant && fact.ok == ok) seen.push_back(fact.what + ": " + fact.seen);
  return seen;
}

bool engine_answers() {
  try {
    return life::engine_or_unavailable() != nullptr;
  } catch (const Unavailable&) {
    return false;
  }
}

#define SKIP_WITHOUT_ENGINE() \
  if (!engine_answers()) GTEST_SKIP() << "no container engine answers on this machine"

TEST(LifeRows, have_targets_about_series_that_they_declare) {
  std::set<std::string> ids;
  for (const RowSpec& row : rows_of({})) {
    EXPECT_TRUE(ids.insert(row.row.id).second) << row.row.id;
    std::set<std::string> keys;
    for (const SeriesSpec& series : row.series) EXPECT_TRUE(keys.insert(series.key).second) << series.key;
    for (const Target& target : row.row.targets) {
      EXPECT_TRUE(keys.contains(target.of)) << row.row.id << ": " << target.text;
      EXPECT_TRUE(target.against.empty() || keys.contains(target.against)) << row.row.id << ": " << target.text;
    }
    for (const SeriesSpec& series : row.series) EXPECT_TRUE(series.phase_of.empty() || keys.contains(series.phase_of)) << series.key;
  }
}

TEST(LifeRows, say_why_they_have_no_figure_where_no_engine_answers) {
  const char* before = ::getenv("DOCKER_HOST");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("DOCKER_HOST", "unix:///nowhere/docker.sock", 1);
  const Row row = measured("start/container");
  before != nullptr ? ::setenv("DOCKER_HOST", kept.c_str(), 1) : ::unsetenv("DOCKER_HOST");
  EXPECT_THAT(row.missing, HasSubstr("no container engine answers"));
}

TEST(LifeRows, time_a_session_and_the_first_frame_of_a_command) {
  EXPECT_GT(figure(measured("start/executor-native"), "session"), 0);
  const Row row = measured("start/first-frame");
  EXPECT_GT(figure(row, "cold"), 0);
  EXPECT_GT(figure(row, "warm"), 0);
}

TEST(LifeRows, time_nodes_as_processes_beside_what_the_machine_needs) {
  const Row python = measured("start/python");
  EXPECT_GT(figure(python, "python without packages"), 0);
  EXPECT_GT(figure(python, "python -c pass"), 0);
  const Row program = measured("start/cpp");
  EXPECT_GT(figure(program, "program"), 0);
  EXPECT_GT(figure(program, "stock node"), 0);
  EXPECT_GT(figure(program, "posix_spawn of a static program"), 0);
}

TEST(LifeRows, tell_a_containers_start_apart_into_phases_that_make_up_most_of_it) {
  SKIP_WITHOUT_ENGINE();
  const Row row = measured("start/container");
  float sum = 0;
  for (const Series& series : row.series)
    if (series.spec.phase_of == "container") sum += figure(row, series.spec.key);
  EXPECT_LE(sum, figure(row, "container"));
  EXPECT_GE(sum, figure(row, "container") / 2);
  EXPECT_GT(figure(row, "engine: create and start `true`"), 0);
  EXPECT_TRUE(std::ranges::none_of(row.series, [](const Series& series) { return series.spec.role == Role::peer; }));  // a run without --peers
}

TEST(Processes, see_the_work_and_the_wake_ups_of_this_one) {
  const auto cpu_ns = life::cpu_ns(::getpid()), wake_ups = life::wake_ups(::getpid());
  for (const auto until_ns = life::now_ns() + 30'000'000; life::now_ns() < until_ns;) {
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_GT(life::cpu_ns(::getpid()), cpu_ns);
  EXPECT_GT(life::wake_ups(::getpid()), wake_ups);
}

TEST(LifeRows, weigh_nodes) {
  const Row row = measured("memory/node");
  EXPECT_GT(figure(row, "python process"), figure(row, "C++ process"));
  if (engine_answers()) {
    EXPECT_GT(figure(row, "container"), figure(row, "container: of it the engine's shim"));
  } else {
    EXPECT_THAT(why_missing(row, "container"), HasSubstr("no container engine answers"));
  }
}

TEST(LifeRows, see_an_idle_session_of_ten_nodes) {
  const Row row = measured("idle/cpu");
  EXPECT_GE(figure(row, "session of 10 nodes"), 0);
  ASSERT_EQ(row.facts.size(), 1u);
  EXPECT_EQ(row.facts.front().variant, "13 processes");  // the command, its guard, the zygote of the Python nodes, the nodes
}

TEST(LifeRows, count_what_sessions_leave) {
  const Row row = measured("growth/sessions");
  EXPECT_THAT(facts(row, "sessions one after another", false), testing::IsEmpty());
  EXPECT_THAT(facts(row, "sessions one after another", true), Contains(HasSubstr("descriptors of the runtime")));
}

TEST(LifeRows, probe_doors_that_are_open_in_a_process_and_shut_in_a_container) {
  const Row row = measured("isolation");
  EXPECT_THAT(facts(row, "process", std::nullopt), Contains("read a file in the host's /dev/shm: read 11 bytes of it"));
  EXPECT_THAT(facts(row, "process", true), Contains(HasSubstr("input arena: make the mapping writable: refused")));
  EXPECT_THAT(facts(row, "container", false), testing::IsEmpty());
  if (!engine_answers()) return;
  EXPECT_THAT(facts(row, "container", true), Contains("read a file in the host's /dev/shm: refused: ENOENT"));
}

TEST(LifeRows, tell_a_limit_that_was_met) {
  SKIP_WITHOUT_ENGINE();
  ::setenv("HAWSE_RESOURCES", HAWSE_PARTS, 0);
  auto rows = rows_of({"limits", "start/executor-native"});
  for (RowSpec& each : rows) each.quick_passes = each.row.id == "limits" ? 1 : 2;  // the row's one pass is not the run's first, as in a full run
  RunOptions options;
  options.effort = Effort::quick;
  const auto run = run_rows(rows, options);
  const Row& row = *std::ranges::find(run.rows, "limits", &Row::id);
  EXPECT_GT(figure(row, "killed, process"), 0);
  EXPECT_GT(figure(row, "out of memory, container"), 0);
  for (const char* executor : {"process", "container"}) {
    SCOPED_TRACE(executor);
    EXPECT_THAT(facts(row, executor, false), testing::IsEmpty());
    if (executor == std::string("process") && !why_missing(row, "pids limit, process").empty()) continue;  // no control group holds it here
    const auto seen = facts(row, executor, true);
    EXPECT_THAT(seen, Contains(HasSubstr("met its memory limit: 64 MiB, peak")));
    EXPECT_THAT(seen, Contains(HasSubstr("a process that it had started was killed")));
    EXPECT_THAT(seen, Contains(HasSubstr("met its pids limit: 24 processes and threads, peak 24")));
    const std::string held_back = std::string("CPU limit, ") + executor;
    if (why_missing(row, held_back).empty()) EXPECT_THAT(seen, Contains(HasSubstr("met its CPU limit: 0.3 CPUs, held back for")));
    else EXPECT_THAT(why_missing(row, held_back), testing::AnyOf("the limit was met before, while the node started", "the run ended too early"));  // a machine with much else to do
    for (const char* met : {"pids limit, ", "child out of memory, "}) EXPECT_GT(figure(row, met + std::string(executor)), 0);
  }
}

}  // namespace
}  // namespace hawse::bench
