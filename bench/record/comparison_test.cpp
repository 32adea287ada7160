// SPDX-License-Identifier: Apache-2.0
#include "bench/record/comparison.hpp"

#include <gmock/gmock.h>

#include "bench/record/tables.hpp"

namespace hawse::bench {
namespace {

using testing::HasSubstr;

Series series_of(const std::string& key, std::vector<float> pass_medians, Placement placement = Placement::any) {
  Series series;
  series.spec.key = key;
  series.spec.unit = "ns";
  for (std::uint32_t pass = 0; pass < pass_medians.size(); ++pass) series.batches.push_back({pass, placement, {pass_medians[pass]}});
  return series;
}

Run run_of(std::vector<Series> series) {
  Row row;
  row.id = "latency";
  row.series = std::move(series);
  Run run;
  run.id = 1;
  run.commit = "82f1d3255aa93c6bb1a05a39bb4e1e5b8b9b4b61";
  run.effort = "quick";
  run.rows = {row};
  return run;
}

Run before() {
  return run_of({series_of("same", {100, 101, 99, 100}), series_of("slower", {9000, 9050, 9100, 8990}), series_of("faster", {100, 101, 99, 100}),
                 series_of("two passes", {5, 5}), series_of("gone", {1, 1, 1}), series_of("elsewhere", {100, 100, 100}, Placement::near),
                 series_of("never", {})});
}
Run after() {
  Series gone = series_of("gone", {});
  gone.missing = "no engine answers";
  Run run = run_of({series_of("same", {100, 99, 101, 100}), series_of("slower", {70000, 70100, 69900, 70050}),
                    series_of("faster", {50, 51, 49.5f, 50}), series_of("two passes", {9, 9, 9}), gone,
                    series_of("elsewhere", {400, 400, 400}, Placement::far), series_of("never", {}), series_of("new", {1, 1, 1})});
  run.id = 2;
  return run;
}

TEST(Comparing, matches_series_by_key_and_says_what_cant_be_compared) {
  const auto all = compare_runs(before(), after());
  ASSERT_EQ(all.size(), 7u) << "all but `never`, which has no figure in either";
  const auto verdict = [&](std::size_t i) { return std::pair(all[i].series, all[i].change.verdict); };
  EXPECT_EQ(verdict(0), std::pair(std::string("same"), Verdict::no_change));
  EXPECT_EQ(verdict(1), std::pair(std::string("slower"), Verdict::regressed));
  EXPECT_EQ(verdict(2), std::pair(std::string("faster"), Verdict::improved));
  EXPECT_EQ(all[3].note, "fewer than three passes");
  EXPECT_EQ(all[4].note, "after has no figure: no engine answers");
  EXPECT_EQ(all[5].note, "measured in different placements of the machine's cores");
  EXPECT_EQ(all[6].series, "new");
  EXPECT_EQ(all[6].note, "before has no figure");
  EXPECT_EQ(count(all).too_few, 4u);
}

TEST(Comparing, a_rows_word_for_better_decides_what_a_regression_is) {
  auto old = before(), now = after();
  old.rows[0].better = now.rows[0].better = Better::more;
  const auto all = compare_runs(old, now);
  EXPECT_EQ(all[1].change.verdict, Verdict::improved);
  EXPECT_EQ(all[2].change.verdict, Verdict::regressed);
}

TEST(ComparisonTable, shows_the_changes_or_all_and_counts_them) {
  const auto comparisons = compare_runs(before(), after());
  const std::string changes = comparison_table(before(), after(), comparisons, false), all = comparison_table(before(), after(), comparisons, true);
  EXPECT_THAT(changes, HasSubstr("7 rows compared: 1 no change, 1 improved, 1 regressed, 4 too few\n"));
  EXPECT_THAT(changes, HasSubstr("REGRESSED"));
  EXPECT_THAT(changes, HasSubstr("70.0 µs"));
  EXPECT_THAT(changes, testing::Not(HasSubstr("same")));
  EXPECT_THAT(all, HasSubstr("same"));
  EXPECT_THAT(all, HasSubstr("too few: after has no figure: no engine answers"));
}

TEST(ComparisonTable, says_what_else_differs_between_the_runs) {
  auto old = before(), now = after();
  EXPECT_TRUE(circumstances(old, now).empty());
  old.machine.kernel = "6.1";
  now.machine.kernel = "6.6";
  now.machine.more["governor"] = "performance";
  EXPECT_EQ(circumstances(old, now), (std::vector<std::string>{"kernel: 6.1 → 6.6", "governor: ? → performance"}));
  EXPECT_THAT(comparison_table(old, now, {}, true), HasSubstr("differs: kernel: 6.1 → 6.6\n"));
}

TEST(HistoryTable, has_a_line_for_each_run) {
  RunSummary run{12,  1795000000,         3725, "hawse bench --full", "full", "0.1.0", "82f1d3255aa93c6bb1a05a39bb4e1e5b8b9b4b61+", 31,
                 120, {"main", "release"}};
  const std::string table = history_table({run});
  for (const char* part : {"12", "31", "120", "82f1d3255aa9+", "main, release", "hawse bench --full", "full"}) EXPECT_THAT(table, HasSubstr(part));
  EXPECT_THAT(history_table({}), HasSubstr("no run was kept yet"));
}

}  // namespace
}  // namespace hawse::bench
