// SPDX-License-Identifier: Apache-2.0
//
// Two runs of one series: Yuen's test (Welch's t on 20 % trimmed means) on the logarithms of the pass medians; stats.hpp says why.
#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/statistics/univariate_statistics.hpp>
#include <cmath>

#include "bench/stats/stats.hpp"

namespace hawse::bench {
namespace {

constexpr double kTrim = 0.2;
constexpr std::size_t kFewestPasses = 3;
constexpr double kSignificant = 0.01;
constexpr double kNoiseFloor = 0.05, kNoiseSpreads = 2;

std::vector<double> pass_medians(const Series& series, Placement placement) {
  std::vector<double> medians;
  for (const auto& pass : passes_of(series, placement)) {
    std::vector<double> values(pass.begin(), pass.end());
    medians.push_back(boost::math::statistics::median(values));
  }
  return medians;
}

double pooled_median(const Series& series, Placement placement) {
  std::vector<double> all;
  for (const auto& pass : passes_of(series, placement)) all.insert(all.end(), pass.begin(), pass.end());
  return boost::math::statistics::median(all);
}

// Ratios are differences of logarithms. Where a median isn't positive (no CPU used, memory given back), differences are taken as they are, relative
// to the largest median in sight.
struct Scale {
  double largest = 0;
  bool logarithmic = true;

  explicit Scale(std::initializer_list<const std::vector<double>*> all) {
    for (const auto* medians : all)
      for (const double median : *medians) {
        largest = std::max(largest, std::abs(median));
        logarithmic = logarithmic && median > 0;
      }
    if (largest == 0) largest = 1;
  }
  double to(double median) const { return logarithmic ? std::log(median) : median / largest; }
  double relative(double difference) const { return logarithmic ? std::expm1(difference) : difference; }
};

struct Trimmed {
  double mean = 0;
  double error_squared = 0;  // of that mean
  double degrees = 0;        // of freedom
};

Trimmed trimmed(const std::vector<double>& medians, const Scale& scale) {
  std::vector<double> values;
  for (const double median : medians) values.push_back(scale.to(median));
  std::sort(values.begin(), values.end());
  const std::size_t count = values.size(), cut = static_cast<std::size_t>(kTrim * static_cast<double>(count)), kept = count - 2 * cut;
  const auto first = values.begin() + static_cast<std::ptrdiff_t>(cut), last = values.end() - static_cast<std::ptrdiff_t>(cut);
  Trimmed result;
  result.mean = boost::math::statistics::mean(first, last);
  result.degrees = static_cast<double>(kept - 1);
  std::fill(values.begin(), first, *first);  // winsorised
  std::fill(last, values.end(), *(last - 1));
  const double squares = boost::math::statistics::sample_variance(values) * static_cast<double>(count - 1);
  result.error_squared = squares / static_cast<double>(kept * (kept - 1));
  return result;
}

struct Difference {
  Interval interval;  // 95 %
  double p_value = 1;
};

Difference yuen(const Trimmed& before, const Trimmed& after) {
  const double difference = after.mean - before.mean, b = before.error_squared, a = after.error_squared;
  if (a + b == 0) return {{difference, difference}, difference == 0 ? 1.0 : 0.0};  // nothing varies: a count, a size
  const double error = std::sqrt(a + b);
  const boost::math::students_t student((a + b) * (a + b) / (a * a / after.degrees + b * b / before.degrees));
  const double half = boost::math::quantile(boost::math::complement(student, 0.025)) * error;
  const double p_value = 2 * boost::math::cdf(boost::math::complement(student, std::abs(difference) / error));
  return {{difference - half, difference + half}, p_value};
}

double noise_of(const std::vector<double>& medians) {
  if (medians.size() < kFewestPasses) return kNoiseFloor;
  const Scale scale({&medians});
  const double spread = std::sqrt(trimmed(medians, scale).error_squared * static_cast<double>(medians.size()));
  return std::max(kNoiseFloor, scale.relative(kNoiseSpreads * spread));
}

Verdict verdict_of(const Change& change, Better better, double noise) {
  if (change.p_value >= kSignificant) return Verdict::no_change;
  const bool more = change.relative_interval.low > noise, less = change.relative_interval.high < 1 / (1 + noise) - 1;
  if (!more && !less) return Verdict::no_change;
  return more == (better == Better::more) ? Verdict::improved : Verdict::regressed;
}

}  // namespace

double default_noise(const Series& series) {
  const auto placement = pick_placement(series);
  return placement ? noise_of(pass_medians(series, *placement)) : kNoiseFloor;
}

double default_noise(const Series& before, const Series& after) {
  const auto placement = common_placement(before, after);
  return placement ? std::max(noise_of(pass_medians(before, *placement)), noise_of(pass_medians(after, *placement))) : kNoiseFloor;
}

Change compare(const Series& before, const Series& after, Better better, double noise) {
  Change change;
  const auto placement = common_placement(before, after);
  if (!placement) return change;
  change.placement = *placement;
  const std::vector<double> before_medians = pass_medians(before, *placement), after_medians = pass_medians(after, *placement);
  const Scale scale({&before_medians, &after_medians});
  change.before = pooled_median(before, *placement);
  change.after = pooled_median(after, *placement);
  change.relative = scale.relative(scale.to(change.after) - scale.to(change.before));
  change.relative_interval = {change.relative, change.relative};
  if (before_medians.size() < kFewestPasses || after_medians.size() < kFewestPasses) return change;
  const Difference difference = yuen(trimmed(before_medians, scale), trimmed(after_medians, scale));
  change.relative_interval = {scale.relative(difference.interval.low), scale.relative(difference.interval.high)};
  change.p_value = difference.p_value;
  change.verdict = verdict_of(change, better, noise);
  return change;
}

}  // namespace hawse::bench
