// SPDX-License-Identifier: Apache-2.0
#include "bench/core/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>

#include "base/error.hpp"
#include "bench/core/placement.hpp"

namespace hawse::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SeriesSpec series(const std::string& key, Role role = Role::ours) {
  SeriesSpec spec;
  spec.key = key;
  spec.unit = "ns";
  spec.role = role;
  return spec;
}

RowSpec row(const std::string& id, std::vector<SeriesSpec> all, std::function<void(Pass&)> measure, unsigned passes = 3) {
  RowSpec spec;
  spec.row.id = id;
  spec.series = std::move(all);
  spec.measure = std::move(measure);
  spec.quick_passes = spec.full_passes = passes;
  return spec;
}

TEST(Runner, goes_over_all_rows_before_it_begins_again_and_spreads_those_with_fewer_passes) {
  std::vector<std::string> order;
  const auto note = [&](const char* name) {
    return [&order, name](Pass& pass) { order.push_back(name + std::to_string(pass.number())); };
  };
  run_rows({row("a", {}, note("a"), 4), row("b", {}, note("b"), 2)}, {});
  EXPECT_THAT(order, ElementsAre("a0", "a1", "b1", "a2", "a3", "b3"));
}

TEST(Runner, keeps_every_sample_with_its_pass) {
  const auto run = run_rows({row("r", {series("x")}, [](Pass& pass) { pass.measure("x", [&] { return std::vector<float>{1, 2, static_cast<float>(pass.number())}; }); }, 2)}, {});
  const auto& batches = run.rows.at(0).series.at(0).batches;
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[1].pass, 1u);
  EXPECT_EQ(batches[1].placement, Placement::any);
  EXPECT_THAT(batches[1].values, ElementsAre(1, 2, 1));
}

TEST(Runner, tags_what_depends_on_the_cores_and_gives_the_affinity_back) {
  if (!line_round_trip_ns()) GTEST_SKIP() << "fewer than two cores";
  cpu_set_t before, after;
  sched_getaffinity(0, sizeof before, &before);
  auto spec = row("r", {series("x")}, [](Pass& pass) { pass.measure("x", [] { return std::vector<float>{1}; }); }, 3);
  spec.placement = true;
  const auto run = run_rows({spec}, {});
  sched_getaffinity(0, sizeof after, &after);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  ASSERT_GE(run.rows[0].series[0].batches.size(), 3u);
  for (const auto& batch : run.rows[0].series[0].batches) EXPECT_NE(batch.placement, Placement::any);
  EXPECT_GT(run.near_ns + run.far_ns, 0);
}

TEST(Runner, runs_peers_only_when_asked) {
  auto spec = row("r", {series("ours"), series("zeromq", Role::peer)}, [](Pass& pass) {
    pass.version("zeromq", "4.3.4");
    for (const char* key : {"ours", "zeromq"}) pass.measure(key, [] { return std::vector<float>{1}; });
  });
  spec.row.targets = {{"at most 1", "ours", Statistic::median, Target::Relation::at_most, 1, ""}, {"half of zeromq", "ours", Statistic::median, Target::Relation::at_most, 0.5, "zeromq"}};
  const auto without = run_rows({spec}, {}).rows[0];
  EXPECT_EQ(without.series.size(), 1u);
  EXPECT_EQ(without.targets.size(), 1u);
  RunOptions options;
  options.peers = true;
  EXPECT_EQ(run_rows({spec}, options).rows[0].series[1].batches.size(), 3u);
}

TEST(Runner, says_why_there_is_no_figure_and_goes_on) {
  unsigned calls = 0;
  const auto run = run_rows(
      {row("a", {series("x"), series("y")}, [&](Pass& pass) {
         pass.measure("x", [&]() -> std::vector<float> { ++calls; throw Unavailable("no engine answers"); });
         pass.measure("y", [] { return std::vector<float>{1}; });
       }),
       row("b", {series("x")}, [](Pass&) { throw Error(ErrorCode::node, "node a", "ended"); }), row("c", {series("x")}, [](Pass&) { throw Unavailable("nothing here"); })},
      {});
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(run.rows[0].series[0].missing, "no engine answers");
  EXPECT_EQ(run.rows[0].series[1].batches.size(), 3u);
  EXPECT_EQ(run.rows[0].missing, "");
  EXPECT_THAT(run.rows[1].missing, HasSubstr("failed: node a: ended"));
  EXPECT_EQ(run.rows[2].missing, "nothing here");
}

TEST(Runner, a_fact_that_failed_once_stays_failed) {
  const auto run = run_rows({row("r", {}, [](Pass& pass) {
                      pass.fact({"frames lost", "process", pass.number() == 1 ? "3" : "0", pass.number() != 1});
                    })}, {});
  ASSERT_EQ(run.rows[0].facts.size(), 1u);
  EXPECT_EQ(run.rows[0].facts[0].seen, "3");
}

TEST(Runner, an_interrupted_run_keeps_what_it_has) {
  std::atomic<bool> interrupted{false};
  RunOptions options;
  options.interrupted = &interrupted;
  const auto run = run_rows({row("r", {series("x"), series("y")}, [&](Pass& pass) {
                      pass.measure("x", [&] { interrupted = true; return std::vector<float>{1}; });
                      pass.measure("y", [] { return std::vector<float>{1}; });
                    })}, options);
  EXPECT_EQ(run.rows[0].series[0].batches.size(), 1u);
  EXPECT_EQ(run.rows[0].series[1].missing, "the run ended before its turn");
}

TEST(Runner, removes_the_folder_of_a_pass) {
  std::string folder;
  run_rows({row("r", {}, [&](Pass& pass) {
     folder = pass.folder();
     EXPECT_TRUE(std::filesystem::is_empty(folder));
     EXPECT_EQ(pass.folder(), folder);
   }, 1)}, {});
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Rows, are_chosen_by_name_group_and_glob) {
  const auto ids = [](const std::vector<std::string>& patterns) {
    std::vector<std::string> all;
    for (const auto& each : select_rows({row("start/python", {}, nullptr), row("start/container", {}, nullptr), row("limits", {}, nullptr)}, patterns)) all.push_back(each.row.id);
    return all;
  };
  EXPECT_EQ(ids({}).size(), 3u);
  EXPECT_THAT(ids({"limits"}), ElementsAre("limits"));
  EXPECT_THAT(ids({"start"}), ElementsAre("start/python", "start/container"));
  EXPECT_THAT(ids({"*/cont*", "limits"}), ElementsAre("start/container", "limits"));
  try {
    ids({"start/pyton"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_THAT(error.hint(), HasSubstr("start/python"));
  }
}

}  // namespace
}  // namespace hawse::bench
