// SPDX-License-Identifier: Apache-2.0
//
// One series by itself: which of its samples count together, and what they say.
#include <algorithm>
#include <boost/math/statistics/univariate_statistics.hpp>
#include <cmath>
#include <limits>

#include "bench/stats/resample.hpp"
#include "bench/stats/stats.hpp"

namespace hawse::bench {

double percentile(std::span<const float> sorted, double percent) {
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double rank = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto whole = static_cast<std::size_t>(rank);
  const double low = sorted[whole], next = sorted[std::min(whole + 1, sorted.size() - 1)];
  return low + (next - low) * (rank - static_cast<double>(whole));
}

Outliers tukey_outliers(std::span<const float> sorted) {
  const double q1 = percentile(sorted, 25), q3 = percentile(sorted, 75), range = q3 - q1;
  Outliers found;
  for (const double value : sorted) {
    if (value < q1 - 3 * range)
      ++found.low_severe;
    else if (value < q1 - 1.5 * range)
      ++found.low_mild;
    else if (value > q3 + 3 * range)
      ++found.high_severe;
    else if (value > q3 + 1.5 * range)
      ++found.high_mild;
  }
  return found;
}

Summary summarise(const Passes& given) {
  Passes passes = given;
  std::erase_if(passes, [](const auto& pass) { return pass.empty(); });
  std::sort(passes.begin(), passes.end(),
            [](const auto& a, const auto& b) { return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end()); });
  if (passes.empty()) return {};
  std::vector<Pool::Part> parts;
  for (std::uint32_t i = 0; i < passes.size(); ++i) parts.push_back({i, passes[i]});
  const Pool pool(parts, passes.size());
  const std::span<const float> sorted = pool.sorted();
  const std::vector<double> values(sorted.begin(), sorted.end());  // Boost computes in the type that it is given

  Summary summary;
  summary.samples = values.size();
  summary.passes = passes.size();
  summary.mean = boost::math::statistics::mean(values);
  summary.deviation = values.size() > 1 ? std::sqrt(boost::math::statistics::sample_variance(values)) : 0;
  summary.min = values.front();
  summary.max = values.back();
  summary.median = summary.p50 = percentile(sorted, 50);
  summary.p90 = percentile(sorted, 90);
  summary.p99 = percentile(sorted, 99);
  summary.p999 = percentile(sorted, 99.9);
  summary.outliers = tukey_outliers(sorted);
  Resample resample(pool);
  const auto intervals = bootstrap<2>(passes.size(), [&](const std::vector<std::uint32_t>& times, Random& random) {
    resample.draw(times, random);
    return std::array{resample.quantile(0.5), resample.mean()};
  });
  summary.median_interval = intervals[0];
  summary.mean_interval = intervals[1];
  return summary;
}

Passes passes_of(const Series& series, Placement placement) {
  Passes passes;
  for (const Batch& batch : series.batches)
    if (batch.placement == placement && !batch.values.empty()) passes.emplace_back(batch.values);
  return passes;
}

namespace {

std::size_t samples_in(const Series& series, Placement placement) {
  std::size_t samples = 0;
  for (const auto& pass : passes_of(series, placement)) samples += pass.size();
  return samples;
}

template <class Count>
std::optional<Placement> most(Count count) {
  std::optional<Placement> best;
  std::size_t best_count = 0;
  for (const Placement placement : {Placement::any, Placement::near, Placement::far}) {
    const std::size_t samples = count(placement);
    if (samples <= best_count) continue;
    best = placement;
    best_count = samples;
  }
  return best;
}

}  // namespace

std::optional<Placement> pick_placement(const Series& series) {
  return most([&](Placement placement) { return samples_in(series, placement); });
}

std::optional<Placement> common_placement(const Series& one, const Series& other) {
  return most([&](Placement placement) { return std::min(samples_in(one, placement), samples_in(other, placement)); });
}

}  // namespace hawse::bench
