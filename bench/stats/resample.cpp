// SPDX-License-Identifier: Apache-2.0
#include "bench/stats/resample.hpp"

#include <algorithm>
#include <bit>
#include <boost/random/normal_distribution.hpp>
#include <boost/sort/spreadsort/integer_sort.hpp>
#include <numeric>

namespace hawse::bench {
namespace {

constexpr std::size_t kBlock = 256;  // samples between two entries of Pool::before_

// A float's bits in an order that integers have; `value_of` is the way back.
std::uint32_t key_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
float value_of(std::uint32_t key) { return std::bit_cast<float>(key & 0x80000000u ? key & 0x7fffffffu : ~key); }

std::uint32_t below(std::size_t limit, Random& random) { return static_cast<std::uint32_t>((std::uint64_t{random()} * limit) >> 32); }

}  // namespace

Pool::Pool(const std::vector<Part>& parts, std::size_t clusters) : clusters_(clusters) {
  std::size_t samples = 0;
  for (const Part& part : parts) samples += part.values.size();
  std::vector<std::uint64_t> keys;
  keys.reserve(samples);
  sorted_.reserve(samples);
  cluster_.reserve(samples);
  for (const Part& part : parts) {
    Cluster& cluster = clusters_[part.cluster];
    for (const float value : part.values) {
      keys.push_back(std::uint64_t{key_of(value)} << 32 | part.cluster);
      cluster.size += 1;
      const double away = value - cluster.mean;  // Welford
      cluster.mean += away / cluster.size;
      cluster.variance += away * (value - cluster.mean);
    }
  }
  for (Cluster& cluster : clusters_) cluster.variance = cluster.size > 0 ? cluster.variance / cluster.size : 0;
  boost::sort::spreadsort::integer_sort(keys.begin(), keys.end());
  std::vector<std::uint32_t> counts(clusters);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (i % kBlock == 0) before_.insert(before_.end(), counts.begin(), counts.end());
    sorted_.push_back(value_of(static_cast<std::uint32_t>(keys[i] >> 32)));
    cluster_.push_back(static_cast<std::uint32_t>(keys[i]));
    ++counts[cluster_.back()];
    if (samples <= kExactSamples) clusters_[cluster_.back()].ranks.push_back(static_cast<std::uint32_t>(i));
  }
}

Resample::Resample(const Pool& pool) : pool_(pool), times_(pool.clusters()), drawn_(pool.exact() ? pool.sorted_.size() : 0) {}

void Resample::draw(std::span<const std::uint32_t> times, Random& random) {
  times_.assign(times.begin(), times.end());
  size_ = 0;
  for (std::size_t c = 0; c < times_.size(); ++c) size_ += times_[c] * static_cast<std::uint64_t>(pool_.clusters_[c].size);
  if (pool_.exact()) {
    std::fill(drawn_.begin(), drawn_.end(), 0u);
    for (std::size_t c = 0; c < times_.size(); ++c) {
      const auto& ranks = pool_.clusters_[c].ranks;
      for (std::size_t i = times_[c] * ranks.size(); i > 0; --i) ++drawn_[ranks[below(ranks.size(), random)]];
    }
  } else {
    boost::random::normal_distribution<double> normal;
    z_mean_ = normal(random);
    z_rank_ = normal(random);
  }
}

double Resample::mean() const {
  double sum = 0, variance = 0;
  if (pool_.exact()) {
    for (std::size_t i = 0; i < drawn_.size(); ++i) sum += drawn_[i] * static_cast<double>(pool_.sorted_[i]);
  } else {
    for (std::size_t c = 0; c < times_.size(); ++c) {
      const Pool::Cluster& cluster = pool_.clusters_[c];
      sum += times_[c] * cluster.size * cluster.mean;
      variance += times_[c] * cluster.size * cluster.variance;
    }
    sum += z_mean_ * std::sqrt(variance);
  }
  return sum / static_cast<double>(size_);
}

// Where the sample of this rank (from 0) of the resample lies; counts: how many of each cluster's samples lie before it.
Resample::Place Resample::locate(std::uint64_t rank, std::vector<double>* counts) const {
  if (pool_.exact()) {
    std::uint64_t end = 0;
    for (std::size_t i = 0;; ++i)
      if ((end += drawn_[i]) > rank) return {i, end};
  }
  const std::size_t clusters = times_.size();
  const auto before = [&](std::size_t block) {
    return std::inner_product(times_.begin(), times_.end(), pool_.before_.begin() + static_cast<std::ptrdiff_t>(block * clusters), std::uint64_t{0});
  };
  std::size_t block = 0;
  for (std::size_t high = pool_.before_.size() / clusters; high - block > 1;) {
    const std::size_t middle = (block + high) / 2;
    (before(middle) <= rank ? block : high) = middle;
  }
  if (counts)
    counts->assign(pool_.before_.begin() + static_cast<std::ptrdiff_t>(block * clusters),
                   pool_.before_.begin() + static_cast<std::ptrdiff_t>((block + 1) * clusters));
  std::uint64_t end = before(block);
  for (std::size_t i = block * kBlock;; ++i) {
    const std::uint32_t cluster = pool_.cluster_[i];
    if ((end += times_[cluster]) > rank) return {i, end};
    if (counts) (*counts)[cluster] += 1;
  }
}

// By how many ranks the second stage moves the sample of this rank: one standard deviation of how many samples fall before it.
double Resample::rank_error(double rank) const {
  std::vector<double> counts;
  locate(static_cast<std::uint64_t>(rank), &counts);
  double variance = 0;
  for (std::size_t c = 0; c < times_.size(); ++c)
    if (times_[c] > 0 && counts[c] > 0) variance += times_[c] * counts[c] * (1 - counts[c] / pool_.clusters_[c].size);
  return std::sqrt(variance);
}

double Resample::quantile(double fraction) const {
  const double last = static_cast<double>(size_ - 1);
  double rank = fraction * last;
  if (!pool_.exact()) rank = std::clamp(rank + z_rank_ * rank_error(rank), 0.0, last);
  const auto whole = static_cast<std::uint64_t>(rank);
  const Place low = locate(whole, nullptr);
  const double value = pool_.sorted_[low.index];
  if (whole + 1 >= size_ || low.end > whole + 1) return value;
  const double next = pool_.sorted_[locate(whole + 1, nullptr).index];
  return value + (next - value) * (rank - static_cast<double>(whole));
}

void draw_clusters(std::vector<std::uint32_t>& times, Random& random) {
  std::fill(times.begin(), times.end(), 0u);
  for (std::size_t i = 0; i < times.size(); ++i) ++times[below(times.size(), random)];
}

Interval middle_95(std::vector<double>& values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double fraction) {
    const double rank = fraction * static_cast<double>(values.size() - 1);
    const auto whole = static_cast<std::size_t>(rank);
    const double next = values[std::min(whole + 1, values.size() - 1)];
    return values[whole] + (next - values[whole]) * (rank - static_cast<double>(whole));
  };
  return {at(0.025), at(0.975)};
}

}  // namespace hawse::bench
