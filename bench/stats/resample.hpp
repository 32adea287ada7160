// SPDX-License-Identifier: Apache-2.0
//
// The cluster bootstrap under every interval of bench/stats: whole passes are drawn with replacement, then from each drawn pass as many of
// its samples as it has. A series may hold hundreds of thousands of samples, so the second stage has two forms:
//   up to kExactSamples samples   they are drawn one by one, as the textbook says;
//   above                         their effect is drawn from its normal limit: the mean moves by the standard error within the drawn passes, a
//                                 quantile by as many ranks as the binomial counts of the drawn passes vary at that quantile.
// The first stage, which carries the slow changes of the machine, is exact in both: a quantile is found in the samples of the drawn passes.
// The random numbers have a fixed seed: the same data give the same interval.
#pragma once

#include <array>
#include <boost/random/taus88.hpp>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/stats/stats.hpp"

namespace hawse::bench {

using Random = boost::random::taus88;
constexpr std::size_t kResamples = 2000;
constexpr std::size_t kExactSamples = 1024;

// The samples of one series in one placement, sorted, each knowing its cluster. Immutable.
class Pool {
 public:
  struct Part {
    std::uint32_t cluster;
    std::span<const float> values;
  };
  Pool(const std::vector<Part>&, std::size_t clusters);

  std::span<const float> sorted() const noexcept { return sorted_; }
  std::size_t clusters() const noexcept { return clusters_.size(); }

 private:
  friend class Resample;
  struct Cluster {
    std::vector<std::uint32_t> ranks;  // of its samples in sorted_; kept only where they are drawn one by one
    double size = 0, mean = 0, variance = 0;
  };
  bool exact() const noexcept { return sorted_.size() <= kExactSamples; }

  std::vector<float> sorted_;
  std::vector<std::uint32_t> cluster_;  // of each
  std::vector<Cluster> clusters_;
  std::vector<std::uint32_t> before_;  // [block][cluster]: how many samples of the cluster lie before the block's first
};

// One resample after the other of a pool, which it refers to.
class Resample {
 public:
  explicit Resample(const Pool&);
  void draw(std::span<const std::uint32_t> times, Random&);  // times: how often each cluster was drawn
  bool empty() const noexcept { return size_ == 0; }
  double mean() const;
  double quantile(double fraction) const;  // linear interpolation; not of an empty one

 private:
  struct Place {
    std::size_t index;  // in sorted_
    std::uint64_t end;  // how many of the resample lie up to and with it
  };
  Place locate(std::uint64_t rank, std::vector<double>* counts) const;
  double rank_error(double rank) const;

  const Pool& pool_;
  std::vector<std::uint32_t> times_;
  std::vector<std::uint32_t> drawn_;  // exact: how often each sample was drawn
  std::uint64_t size_ = 0;
  double z_mean_ = 0, z_rank_ = 0;
};

// 95 % percentile intervals of the `Figures` numbers that `statistic(times, random)` gives for each draw of clusters; a draw for which the first
// is no number (no sample of a series was in it) doesn't count.
template <std::size_t Figures, class Statistic>
std::array<Interval, Figures> bootstrap(std::size_t clusters, Statistic statistic);

// ---

void draw_clusters(std::vector<std::uint32_t>& times, Random&);
Interval middle_95(std::vector<double>& values);

template <std::size_t Figures, class Statistic>
std::array<Interval, Figures> bootstrap(std::size_t clusters, Statistic statistic) {
  Random random;
  std::vector<std::uint32_t> times(clusters);
  std::array<std::vector<double>, Figures> seen;
  for (std::size_t i = 0; i < kResamples; ++i) {
    draw_clusters(times, random);
    const std::array<double, Figures> figures = statistic(times, random);
    if (std::isnan(figures[0])) continue;
    for (std::size_t f = 0; f < Figures; ++f) seen[f].push_back(figures[f]);
  }
  std::array<Interval, Figures> intervals;
  for (std::size_t f = 0; f < Figures; ++f) intervals[f] = middle_95(seen[f]);
  return intervals;
}

}  // namespace hawse::bench
