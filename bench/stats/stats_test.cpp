// SPDX-License-Identifier: Apache-2.0
//
// Against NumPy and SciPy on fixed data (scipy_reference.py), and what the contract promises on small series written out here.
#include "bench/stats/stats.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

namespace hawse::bench {
namespace {

using nlohmann::json;

const json& reference() {
  static const json kReference = json::parse(std::ifstream(SCIPY_REFERENCE));
  return kReference;
}

Series series_of(const std::string& key, const std::vector<std::vector<float>>& passes, Placement placement = Placement::any) {
  Series series;
  series.spec.key = key;
  for (std::uint32_t pass = 0; pass < passes.size(); ++pass) series.batches.push_back({pass, placement, passes[pass]});
  return series;
}

Series one_sample_a_pass(const std::vector<float>& values) {
  std::vector<std::vector<float>> passes;
  for (const float value : values) passes.push_back({value});
  return series_of("", passes);
}

void expect_close(double seen, double expected, double relative = 1e-9) {
  EXPECT_NEAR(seen, expected, relative * std::max(1e-6, std::abs(expected)));
}

// Two bootstraps of the same data differ by their random numbers (by 2 % of the width at each end, with 2,000 draws), those of a median by a whole
// step from sample to sample; `part` of the interval's width is allowed at each end.
void expect_interval(const Interval& seen, const json& expected, double part) {
  const double low = expected[0], high = expected[1];
  EXPECT_NEAR(seen.low, low, part * (high - low));
  EXPECT_NEAR(seen.high, high, part * (high - low));
}

TEST(AgainstScipy, mean_median_deviation_and_percentiles_are_the_same) {
  for (const json& data : reference()["samples"]) {
    SCOPED_TRACE(data["name"]);
    auto values = data["values"].get<std::vector<float>>();
    const Summary summary = summarise({values});
    expect_close(summary.mean, data["mean"]);
    expect_close(summary.median, data["median"]);
    expect_close(summary.deviation, data["deviation"]);
    std::sort(values.begin(), values.end());
    for (const json& pair : data["percentiles"]) expect_close(percentile(values, pair[0]), pair[1]);
    expect_close(summary.p90, data["percentiles"][4][1]);
    expect_close(summary.p99, data["percentiles"][5][1]);
    expect_close(summary.p999, data["percentiles"][6][1]);
    expect_close(summary.min, data["percentiles"][0][1]);
    expect_close(summary.max, data["percentiles"][7][1]);
  }
}

TEST(AgainstScipy, tukeys_fences_count_the_same_outliers) {
  for (const json& data : reference()["samples"]) {
    SCOPED_TRACE(data["name"]);
    const Outliers seen = summarise({data["values"].get<std::vector<float>>()}).outliers;
    const json& expected = data["tukey"];
    EXPECT_EQ(seen.low_severe, expected["low_severe"]);
    EXPECT_EQ(seen.low_mild, expected["low_mild"]);
    EXPECT_EQ(seen.high_mild, expected["high_mild"]);
    EXPECT_EQ(seen.high_severe, expected["high_severe"]);
  }
}

TEST(AgainstScipy, intervals_of_one_pass_are_those_of_the_ordinary_bootstrap) {
  for (const json& data : reference()["samples"]) {
    SCOPED_TRACE(data["name"]);
    const Summary summary = summarise({data["values"].get<std::vector<float>>()});
    expect_interval(summary.mean_interval, data["bootstrap"]["mean_percentile"], 0.06);
    expect_interval(summary.median_interval, data["bootstrap"]["median_percentile"], 0.1);
  }
}

TEST(AgainstScipy, the_bias_corrected_interval_of_the_mean_is_near_where_the_data_are_many_and_tame) {
  for (const json& data : reference()["samples"])
    if (data["name"] == "skewed" || data["name"] == "large" || data["name"] == "many ties")
      expect_interval(summarise({data["values"].get<std::vector<float>>()}).mean_interval, data["bootstrap"]["mean_bca"], 0.1);
}

TEST(AgainstScipy, a_comparison_is_yuens_test_on_the_logarithms_of_the_pass_medians) {
  for (const json& runs : reference()["runs"]) {
    SCOPED_TRACE(runs["name"]);
    const Change change = compare(one_sample_a_pass(runs["before"]), one_sample_a_pass(runs["after"]), Better::less, 0.05);
    expect_close(change.p_value, runs["yuen_p"], 1e-6);
    expect_close(change.relative_interval.low, runs["yuen_interval"][0], 1e-6);
    expect_close(change.relative_interval.high, runs["yuen_interval"][1], 1e-6);
  }
}

TEST(AgainstScipy, other_tests_agree_on_what_is_significant_where_they_can) {
  std::size_t compared = 0;
  for (const json& runs : reference()["runs"]) {
    // Nothing that counts arrangements gets below 0.01 with three passes, and such tests take the runs to scatter alike.
    if (runs["before"].size() < 5 || runs["before"].size() != runs["after"].size()) continue;
    SCOPED_TRACE(runs["name"]);
    const Change change = compare(one_sample_a_pass(runs["before"]), one_sample_a_pass(runs["after"]), Better::less, 0.05);
    EXPECT_EQ(change.p_value < 0.01, runs["mann_whitney_p"] < 0.01);
    EXPECT_EQ(change.p_value < 0.01, runs["permutation_p"] < 0.01);
    ++compared;
  }
  EXPECT_EQ(compared, 2u);
}

TEST(Summary, of_nothing_is_empty_and_of_one_sample_is_that_sample) {
  EXPECT_EQ(summarise({}).samples, 0u);
  EXPECT_TRUE(std::isnan(percentile({}, 50)));
  const std::vector<float> one = {4};
  const Summary summary = summarise({one, {}});
  EXPECT_EQ(summary.samples, 1u);
  EXPECT_EQ(summary.passes, 1u);
  EXPECT_EQ(summary.median_interval.low, 4);
  EXPECT_EQ(summary.mean_interval.high, 4);
  EXPECT_EQ(summary.deviation, 0);
}

TEST(Bootstrap, gives_the_same_interval_for_the_same_data_in_any_order_of_passes) {
  const std::vector<std::vector<float>> passes = {{1, 2, 3, 4}, {3, 4, 5}, {9, 8, 7, 6, 5}};
  const Summary one = summarise({passes[0], passes[1], passes[2]}), other = summarise({passes[2], passes[0], passes[1]});
  EXPECT_EQ(one.median_interval.low, other.median_interval.low);
  EXPECT_EQ(one.median_interval.high, other.median_interval.high);
  EXPECT_EQ(one.mean_interval.low, other.mean_interval.low);
}

TEST(Bootstrap, of_passes_that_differ_is_as_wide_as_the_passes_and_not_as_their_many_samples) {
  std::vector<float> slow, fast;
  for (int i = 0; i < 5000; ++i) {
    fast.push_back(100.0f + static_cast<float>(i % 10));
    slow.push_back(200.0f + static_cast<float>(i % 10));
  }
  const Interval interval = summarise({slow, fast, slow, fast, fast, slow, fast}).median_interval;
  EXPECT_LT(interval.low, 110);
  EXPECT_GT(interval.high, 199);
}

TEST(Bootstrap, drawing_the_samples_one_by_one_or_their_normal_limit_comes_to_the_same) {
  // The same distribution within seven passes, once with few samples and once with many, between passes that differ.
  const auto passes_of_size = [](int count) {
    std::vector<std::vector<float>> passes;
    for (int pass = 0; pass < 7; ++pass) {
      passes.emplace_back();
      for (int i = 0; i < count; ++i)
        passes.back().push_back(1000.0f + 30.0f * static_cast<float>(pass) -
                                60.0f * std::log(1 - (static_cast<float>(i) + 0.5f) / static_cast<float>(count)));
    }
    return passes;
  };
  const auto few = passes_of_size(145), many = passes_of_size(148);  // 1015 and 1036: on the two sides of the limit
  const Summary exact = summarise(Passes(few.begin(), few.end())), limit = summarise(Passes(many.begin(), many.end()));
  const double median_width = exact.median_interval.high - exact.median_interval.low, mean_width = exact.mean_interval.high - exact.mean_interval.low;
  EXPECT_NEAR(exact.median_interval.low, limit.median_interval.low, 0.05 * median_width);
  EXPECT_NEAR(exact.median_interval.high, limit.median_interval.high, 0.05 * median_width);
  EXPECT_NEAR(exact.mean_interval.low, limit.mean_interval.low, 0.05 * mean_width);
  EXPECT_NEAR(exact.mean_interval.high, limit.mean_interval.high, 0.05 * mean_width);
}

TEST(Placements, that_with_the_most_samples_is_picked_and_moved_never) {
  Series series;
  EXPECT_FALSE(pick_placement(series));
  series.batches = {{0, Placement::moved, {1, 2, 3, 4, 5}}};
  EXPECT_FALSE(pick_placement(series));
  series.batches.push_back({1, Placement::far, {1, 2}});
  series.batches.push_back({2, Placement::near, {1, 2}});
  EXPECT_EQ(pick_placement(series), Placement::near);
  series.batches.push_back({3, Placement::far, {1}});
  EXPECT_EQ(pick_placement(series), Placement::far);
  EXPECT_EQ(passes_of(series, Placement::far).size(), 2u);
}

TEST(Placements, in_common_is_that_in_which_the_smaller_count_is_the_largest) {
  Series one, other;
  one.batches = {{0, Placement::near, {1, 2, 3, 4}}, {1, Placement::far, {1, 2}}};
  other.batches = {{0, Placement::near, {1}}, {1, Placement::far, {1, 2, 3}}};
  EXPECT_EQ(common_placement(one, other), Placement::far);
  other.batches.clear();
  EXPECT_FALSE(common_placement(one, other));
}

TEST(Compare, sees_a_doubling_in_three_passes_and_calls_it_by_what_is_better) {
  const Series before = one_sample_a_pass({9.0f, 9.6f, 9.3f}), after = one_sample_a_pass({18.0f, 19.4f, 18.5f});
  const Change change = compare(before, after, Better::less, default_noise(before, after));
  EXPECT_EQ(change.verdict, Verdict::regressed);
  EXPECT_NEAR(change.relative, 0.989, 0.001);
  EXPECT_EQ(compare(before, after, Better::more, 0.05).verdict, Verdict::improved);
  EXPECT_EQ(compare(after, before, Better::less, 0.05).verdict, Verdict::improved);
  EXPECT_EQ(compare(before, after, Better::less, 1.5).verdict, Verdict::no_change) << "a noise of 150 % covers it";
  EXPECT_EQ(compare(after, before, Better::less, 1.5).verdict, Verdict::no_change) << "and so it does the way back";
}

TEST(Compare, needs_three_passes_on_each_side) {
  const Series two = one_sample_a_pass({9, 9}), three = one_sample_a_pass({90, 90, 90});
  EXPECT_EQ(compare(two, three, Better::less, 0.05).verdict, Verdict::too_few);
  EXPECT_EQ(compare(three, two, Better::less, 0.05).verdict, Verdict::too_few);
  EXPECT_EQ(compare(three, three, Better::less, 0.05).verdict, Verdict::no_change);
  EXPECT_EQ(compare(three, one_sample_a_pass({99, 99, 99}), Better::less, 0.05).verdict, Verdict::regressed)
      << "what never varies has changed when it differs";
}

TEST(Compare, never_mixes_placements) {
  Series before = series_of("", {{100}, {101}, {99}, {100}}, Placement::near);
  const Series far = series_of("", {{400}, {404}, {396}, {400}}, Placement::far);
  EXPECT_EQ(compare(before, far, Better::less, 0.05).verdict, Verdict::too_few);
  before.batches.insert(before.batches.end(), far.batches.begin(), far.batches.end());
  const Change change = compare(before, far, Better::less, 0.05);
  EXPECT_EQ(change.verdict, Verdict::no_change);
  EXPECT_EQ(change.placement, Placement::far);
}

TEST(Compare, figures_of_zero_are_compared_by_their_difference) {
  const Series idle = one_sample_a_pass({0, 0, 0}), busy = one_sample_a_pass({0.5f, 0.52f, 0.48f});
  EXPECT_EQ(compare(idle, idle, Better::less, 0.05).verdict, Verdict::no_change);
  EXPECT_EQ(compare(idle, busy, Better::less, 0.05).verdict, Verdict::regressed);
  EXPECT_EQ(compare(busy, idle, Better::less, 0.05).verdict, Verdict::improved);
}

TEST(Noise, is_at_least_five_percent_and_grows_with_the_spread_of_the_passes) {
  EXPECT_EQ(default_noise(one_sample_a_pass({100, 100.1f, 99.9f})), 0.05);
  EXPECT_EQ(default_noise(one_sample_a_pass({100})), 0.05);
  const Series wide = one_sample_a_pass({100, 110, 90, 105, 95, 100, 104});
  EXPECT_GT(default_noise(wide), 0.1);
  EXPECT_LT(default_noise(wide), 0.4);
  EXPECT_EQ(default_noise(wide, one_sample_a_pass({100, 100, 100})), default_noise(wide));
}

TEST(Ratio, what_the_machine_does_to_a_pass_cancels_out) {
  Series of = series_of("", {{20, 22, 21}, {40, 44, 42}, {10, 11, 10.5f}, {80, 88, 84}, {30, 33, 31.5f}});
  Series against = of;
  for (Batch& batch : against.batches)
    for (float& value : batch.values) value /= 2;
  const auto seen = ratio(of, against, Statistic::median);
  ASSERT_TRUE(seen);
  EXPECT_DOUBLE_EQ(seen->value, 2);
  EXPECT_GT(seen->interval.low, 1.5) << "the passes differ by a factor of eight";
  EXPECT_LT(seen->interval.high, 2.6);
  EXPECT_NEAR(ratio(of, against, Statistic::mean)->value, 2, 1e-12);
  EXPECT_NEAR(ratio(of, against, Statistic::p999)->value, 2, 1e-12);
  against.batches[0].placement = Placement::near;
  EXPECT_TRUE(ratio(of, against, Statistic::median)) << "of the passes in the common placement";
  for (Batch& batch : against.batches) batch.placement = Placement::near;
  EXPECT_FALSE(ratio(of, against, Statistic::median));
}

Row row_with_targets() {
  Row row;
  row.series = {series_of("total", {{100, 102}, {101, 99}, {100, 100}}), series_of("floor", {{50}, {50}, {50}}),
                series_of("create", {{60}, {61}, {59}}), series_of("start", {{41}, {39}, {40}})};
  row.series[2].spec.phase_of = row.series[3].spec.phase_of = "total";
  Series absent = series_of("docker", {});
  absent.missing = "no engine answers";
  row.series.push_back(absent);
  return row;
}

Target target(const std::string& of, Target::Relation relation, double limit, const std::string& against = "",
              Statistic statistic = Statistic::median) {
  return {"", of, statistic, relation, limit, against};
}

TEST(Judge, absolute_figures_and_ratios_against_each_relation) {
  using enum Target::Relation;
  const Row row = row_with_targets();
  EXPECT_EQ(judge(row, target("total", at_most, 100)).met, Met::met);
  EXPECT_EQ(judge(row, target("total", at_most, 99.9)).met, Met::missed);
  EXPECT_EQ(judge(row, target("total", at_least, 100)).met, Met::met);
  EXPECT_EQ(judge(row, target("total", at_least, 101)).met, Met::missed);
  const Judgement twice = judge(row, target("total", at_most, 2, "floor"));
  EXPECT_EQ(twice.met, Met::met);
  EXPECT_DOUBLE_EQ(twice.value.value(), 2);
  EXPECT_NEAR(twice.interval.value().low, 2, 0.05);
  EXPECT_EQ(judge(row, target("total", at_most, 1.9, "floor")).met, Met::missed);
  EXPECT_EQ(judge(row, target("total", within, 0.02, "total")).met, Met::met);
  EXPECT_EQ(judge(row, target("total", within, 0.02, "floor")).met, Met::missed);
  EXPECT_EQ(judge(row, target("total", at_most, 102, "", Statistic::p999)).met, Met::met);
  EXPECT_EQ(judge(row, target("total", at_most, 101, "", Statistic::p99)).met, Met::missed);
  EXPECT_NEAR(judge(row, target("total", at_most, 0, "", Statistic::mean)).value.value(), 602.0 / 6, 1e-9);
}

TEST(Judge, a_pass_without_samples_counts_for_nothing) {
  Row row = row_with_targets();
  row.series[0].batches.push_back({9, Placement::any, {}});
  EXPECT_DOUBLE_EQ(judge(row, target("total", Target::Relation::at_most, 2, "floor")).value.value(), 2);
}

TEST(Judge, the_phases_sum_up_to_the_total) {
  const Row row = row_with_targets();
  const Judgement sum = judge(row, target("total", Target::Relation::within, 0.02, "total", Statistic::sum_of_phases));
  EXPECT_EQ(sum.met, Met::met);
  EXPECT_DOUBLE_EQ(sum.value.value(), 1.0);
  EXPECT_EQ(judge(row, target("floor", Target::Relation::within, 0.02, "floor", Statistic::sum_of_phases)).met, Met::unknown);
}

TEST(Judge, what_cant_be_judged_says_why) {
  Row row = row_with_targets();
  EXPECT_EQ(judge(row, target("docker", Target::Relation::at_most, 1)).why, "docker: no engine answers");
  EXPECT_EQ(judge(row, target("total", Target::Relation::at_most, 1, "docker")).why, "docker: no engine answers");
  EXPECT_EQ(judge(row, target("elsewhere", Target::Relation::at_most, 1)).why, "the row has no series 'elsewhere'");
  for (Batch& batch : row.series[1].batches) batch.placement = Placement::near;
  EXPECT_THAT(judge(row, target("total", Target::Relation::at_most, 1, "floor")).why, testing::HasSubstr("never measured in the same placement"));
  for (Batch& batch : row.series[1].batches) batch.placement = Placement::moved;
  EXPECT_THAT(judge(row, target("floor", Target::Relation::at_most, 1)).why, testing::HasSubstr("placement changed during every sample"));
  row.series[1] = series_of("floor", {{0}, {0}});
  EXPECT_EQ(judge(row, target("total", Target::Relation::at_most, 1, "floor")).met, Met::unknown);
  row.series.clear();
  row.missing = "not on this kernel";
  EXPECT_EQ(judge(row, target("total", Target::Relation::at_most, 1)).why, "not on this kernel");
}

}  // namespace
}  // namespace hawse::bench
