// SPDX-License-Identifier: Apache-2.0
//
// Figures within one run: ratios of two series, and whether a row meets its targets. Both series of a ratio were measured in the same passes, in
// turn, so a pass is drawn for both at once: what the machine did to a pass cancels out.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <variant>

#include "bench/stats/resample.hpp"
#include "bench/stats/stats.hpp"

namespace hawse::bench {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Term {
  const Series* series;
  Placement placement;
};

double fraction_of(Statistic statistic) { return statistic == Statistic::p99 ? 0.99 : statistic == Statistic::p999 ? 0.999 : 0.5; }

// The sum of a statistic over terms, as it is and in a resample.
class Sum {
 public:
  Sum(const std::vector<Term>& terms, Statistic statistic, const std::map<std::uint32_t, std::uint32_t>& cluster_of_pass) : statistic_(statistic) {
    for (const Term& term : terms) {
      std::vector<Pool::Part> parts;
      for (const Batch& batch : term.series->batches)
        if (batch.placement == term.placement && !batch.values.empty()) parts.push_back({cluster_of_pass.at(batch.pass), batch.values});
      pools_.emplace_back(parts, cluster_of_pass.size());
    }
    for (const Pool& pool : pools_) resamples_.emplace_back(pool);
  }

  double value() const {
    double sum = 0;
    for (const Pool& pool : pools_) {
      double mean = 0;
      for (const double sample : pool.sorted()) mean += sample / static_cast<double>(pool.sorted().size());
      sum += statistic_ == Statistic::mean ? mean : percentile(pool.sorted(), fraction_of(statistic_) * 100);
    }
    return sum;
  }

  double drawn(const std::vector<std::uint32_t>& times, Random& random) {
    double sum = 0;
    for (Resample& resample : resamples_) {
      resample.draw(times, random);
      if (resample.empty()) return kNone;
      sum += statistic_ == Statistic::mean ? resample.mean() : resample.quantile(fraction_of(statistic_));
    }
    return sum;
  }

 private:
  Statistic statistic_;
  std::vector<Pool> pools_;
  std::vector<Resample> resamples_;  // of pools_, which doesn't change any more
};

std::map<std::uint32_t, std::uint32_t> clusters_of(const std::vector<Term>& terms) {
  std::map<std::uint32_t, std::uint32_t> clusters;
  for (const Term& term : terms)
    for (const Batch& batch : term.series->batches)
      if (batch.placement == term.placement && !batch.values.empty()) clusters.emplace(batch.pass, 0);
  std::uint32_t next = 0;
  for (auto& [pass, cluster] : clusters) cluster = next++;
  return clusters;
}

struct Figure {
  double value;
  Interval interval;
};

// below: empty where the figure is absolute.
Figure figure_of(const std::vector<Term>& above, Statistic statistic, const std::vector<Term>& below) {
  std::vector<Term> all = above;
  all.insert(all.end(), below.begin(), below.end());
  const auto clusters = clusters_of(all);
  Sum numerator(above, statistic, clusters), denominator(below, statistic, clusters);
  const auto interval = bootstrap<1>(clusters.size(), [&](const std::vector<std::uint32_t>& times, Random& random) {
    const double top = numerator.drawn(times, random);
    return std::array{below.empty() ? top : top / denominator.drawn(times, random)};
  });
  return {below.empty() ? numerator.value() : numerator.value() / denominator.value(), interval[0]};
}

using OrReason = std::variant<std::vector<Term>, std::string>;  // a reason where there are no terms

std::string why_no_samples(const Row& row, const Series& series) {
  if (!series.missing.empty()) return series.spec.key + ": " + series.missing;
  if (!row.missing.empty()) return row.missing;
  const bool moved = std::any_of(series.batches.begin(), series.batches.end(), [](const Batch& batch) { return !batch.values.empty(); });
  return series.spec.key + (moved ? ": the machine's placement changed during every sample" : ": it has no samples");
}

const Series* find(const Row& row, const std::string& key) {
  const auto found = std::find_if(row.series.begin(), row.series.end(), [&](const Series& series) { return series.spec.key == key; });
  return found == row.series.end() ? nullptr : &*found;
}

std::string why_absent(const Row& row, const std::string& key) { return row.missing.empty() ? "the row has no series '" + key + "'" : row.missing; }

OrReason one(const Row& row, const std::string& key) {
  const Series* series = find(row, key);
  if (!series) return why_absent(row, key);
  const auto placement = pick_placement(*series);
  if (!placement) return why_no_samples(row, *series);
  return std::vector{Term{series, *placement}};
}

OrReason phases(const Row& row, const std::string& of) {
  std::vector<Term> terms;
  for (const Series& series : row.series) {
    if (series.spec.phase_of != of) continue;
    const auto placement = pick_placement(series);
    if (!placement) return why_no_samples(row, series);
    terms.push_back({&series, *placement});
  }
  if (terms.empty()) return row.missing.empty() ? "'" + of + "' has no phases" : row.missing;
  return terms;
}

bool meets(const Target& target, double value) {
  switch (target.relation) {
    case Target::Relation::at_most: return value <= target.limit;
    case Target::Relation::at_least: return value >= target.limit;
    case Target::Relation::within: return std::abs(value - 1) <= target.limit;
  }
  return false;
}

Judgement unknown(std::string why) { return {Met::unknown, std::nullopt, std::nullopt, std::move(why)}; }

}  // namespace

std::optional<Ratio> ratio(const Series& of, const Series& against, Statistic statistic) {
  const auto placement = common_placement(of, against);
  if (!placement || statistic == Statistic::sum_of_phases) return std::nullopt;
  const Figure figure = figure_of({{&of, *placement}}, statistic, {{&against, *placement}});
  if (!std::isfinite(figure.value)) return std::nullopt;
  return Ratio{figure.value, figure.interval, *placement};
}

Judgement judge(const Row& row, const Target& target) {
  const bool of_phases = target.statistic == Statistic::sum_of_phases;
  OrReason above = of_phases ? phases(row, target.of) : one(row, target.of);
  OrReason below = target.against.empty() ? OrReason(std::vector<Term>()) : one(row, target.against);
  for (const OrReason* side : {&above, &below})
    if (const auto* why = std::get_if<std::string>(side)) return unknown(*why);
  auto& numerator = std::get<0>(above);
  auto& denominator = std::get<0>(below);
  if (!of_phases && !denominator.empty()) {
    const auto common = common_placement(*numerator[0].series, *denominator[0].series);
    if (!common) return unknown("'" + target.of + "' and '" + target.against + "' were never measured in the same placement of the machine's cores");
    numerator[0].placement = denominator[0].placement = *common;
  }
  const Figure figure = figure_of(numerator, target.statistic, denominator);
  if (!std::isfinite(figure.value)) return unknown("the figure of '" + target.against + "' is 0");
  return {meets(target, figure.value) ? Met::met : Met::missed, figure.value, figure.interval, ""};
}

}  // namespace hawse::bench
