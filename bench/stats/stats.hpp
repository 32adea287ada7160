// SPDX-License-Identifier: Apache-2.0
//
// The statistics of the benchmark, as Criterion users know them: bootstrap confidence intervals, Tukey's fences, comparison with a baseline.
// Deterministic: the resampling's random numbers have a fixed seed, so the same data give the same figures. Checked against SciPy on fixed data.
//
// Samples of one pass are not independent (the machine changes slowly), so intervals resample whole passes first and samples within them second
// (a cluster bootstrap); with one pass that is the ordinary bootstrap. A percentile interval can't reach beyond the passes seen: with three it is
// about their range, and narrower than 95 % asks for.
//
// A comparison takes each pass as one observation, its median, and tests the logarithms of those medians with Yuen's test (Welch's t on 20 % trimmed
// means; scipy.stats.ttest_ind(equal_var=False, trim=0.2)). Of what is in use for such comparisons:
//   a permutation test can't go below p = 0.1 with three passes on each side, whatever happened; a t test sees a doubling there
//   (unless the passes themselves scatter by more than about 15 %);
//   Welch's form doesn't ask that both runs scatter alike: after a regression they don't;
//   the trimming (of one pass in five at each end, from five passes on) takes out the pass into which the machine put something else;
//   the logarithm makes a change a ratio, and a doubling as far from nothing as a halving.
// Its interval is that test's own, so figure and verdict can't contradict each other. Neither knows that two runs differ by more than their passes
// do: that is what `noise` is for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/core/result.hpp"

namespace hawse::bench {

struct Interval {
  double low = 0, high = 0;
};

struct Outliers {  // by Tukey's fences: mild beyond 1.5 interquartile ranges, severe beyond 3
  std::size_t low_severe = 0, low_mild = 0, high_mild = 0, high_severe = 0;
};

struct Summary {
  std::size_t samples = 0, passes = 0;
  double mean = 0, median = 0, deviation = 0, min = 0, max = 0;
  double p50 = 0, p90 = 0, p99 = 0, p999 = 0;  // linear interpolation, as numpy.percentile
  Interval mean_interval, median_interval;     // 95 %
  Outliers outliers;
};

// Passes of values of one placement. The order of `passes` doesn't matter.
using Passes = std::vector<std::span<const float>>;

double percentile(std::span<const float> sorted, double percent);  // NaN: of nothing
Outliers tukey_outliers(std::span<const float> sorted);
Summary summarise(const Passes&);

// The passes of a series that were taken in one placement. pick_placement: that with the most samples (near over far when equal); never `moved`.
Passes passes_of(const Series&, Placement);
std::optional<Placement> pick_placement(const Series&);
// The placement in which both have the most (the smaller count decides), for a ratio or a comparison: samples of different placement are never mixed.
std::optional<Placement> common_placement(const Series&, const Series&);

enum class Verdict : std::uint8_t { no_change, improved, regressed, too_few };

struct Change {
  Placement placement = Placement::any;
  double before = 0, after = 0;  // medians
  double relative = 0;           // after / before - 1; where a pass had a median of 0 or less: of the largest pass median
  Interval relative_interval;    // 95 %; just `relative` where the passes are too few
  double p_value = 1;            // two-sided
  Verdict verdict = Verdict::too_few;
};

// `after` against `before`: changed only where p < 0.01, the whole interval lies beyond the noise threshold (times 1 + noise, or divided by it), and
// both have at least three passes.
// noise: relative; what the machine does by itself between two runs.
Change compare(const Series& before, const Series& after, Better, double noise);

// The noise to compare with: twice the spread of the passes (the standard deviation of the logarithms of their medians, winsorised as in the test
// above), at least 5 %. What moves the passes of one run apart moves whole runs apart about as much; with the interval's own width on top an unchanged
// tree is then called unchanged in more than 95 % of its rows (simulation_test.cpp). Of two series: the larger one, in their common placement.
double default_noise(const Series&);
double default_noise(const Series& before, const Series& after);

struct Ratio {
  double value = 0;
  Interval interval;  // 95 %
  Placement placement = Placement::any;
};
// Ratio of a statistic of two series within one run, in their common placement; none where they have none.
std::optional<Ratio> ratio(const Series& of, const Series& against, Statistic);

enum class Met : std::uint8_t { met, missed, unknown };
struct Judgement {
  Met met = Met::unknown;
  std::optional<double> value;  // the ratio or the figure
  std::optional<Interval> interval;
  std::string why;  // unknown: the reason, of the series that has no figure
};
// Does the row meet this target in this run? Judged by the figure itself, the interval is shown beside it.
Judgement judge(const Row&, const Target&);

}  // namespace hawse::bench
