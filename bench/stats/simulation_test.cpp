// SPDX-License-Identifier: Apache-2.0
//
// The verdicts on simulated runs of a noisy machine, with a fixed seed: how often an unchanged tree is called changed, and how often a change is
// seen. Every run has an offset of its own, so has every pass in it, and now and then a pass is disturbed; samples within a pass are skewed and
// have outliers.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "bench/stats/stats.hpp"

namespace hawse::bench {
namespace {

struct Noise {
  double between_runs, between_passes;  // standard deviations of the logarithm
  double disturbed;                     // probability that a pass is twice as slow
};

Series simulated_run(std::mt19937_64& random, const Noise& machine, std::uint32_t passes, std::size_t samples, double median) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  Series series;
  const double run = machine.between_runs * normal(random);
  for (std::uint32_t pass = 0; pass < passes; ++pass) {
    const double offset = run + machine.between_passes * normal(random) + (uniform(random) < machine.disturbed ? std::log(2) : 0);
    Batch batch{pass, Placement::any, {}};
    for (std::size_t i = 0; i < samples; ++i)
      batch.values.push_back(static_cast<float>(median * std::exp(offset + 0.2 * std::abs(normal(random))) * (uniform(random) < 0.02 ? 5 : 1)));
    series.batches.push_back(std::move(batch));
  }
  return series;
}

struct Counts {
  int no_change = 0, improved = 0, regressed = 0;
};

Counts simulate(const Noise& machine, std::uint32_t passes, double factor, int pairs = 400, std::size_t samples = 30) {
  std::mt19937_64 random(7);
  Counts counts;
  for (int i = 0; i < pairs; ++i) {
    const Series before = simulated_run(random, machine, passes, samples, 9000),
                 after = simulated_run(random, machine, passes, samples, 9000 * factor);
    switch (compare(before, after, Better::less, default_noise(before, after)).verdict) {
      case Verdict::improved: ++counts.improved; break;
      case Verdict::regressed: ++counts.regressed; break;
      default: ++counts.no_change;
    }
  }
  return counts;
}

constexpr Noise kQuiet{0.01, 0.01, 0}, kSteady{0.04, 0.04, 0}, kUsual{0.04, 0.04, 0.05}, kNoisy{0.15, 0.15, 0.1};

TEST(Simulation, an_unchanged_tree_is_called_unchanged_in_at_least_95_percent) {
  for (const Noise& noise : {kQuiet, kSteady, kUsual, kNoisy})
    for (const std::uint32_t passes : {3u, 5u, 8u, 20u}) {
      const Counts counts = simulate(noise, passes, 1);
      EXPECT_LE(counts.improved + counts.regressed, 20) << passes << " passes, spread " << noise.between_passes;
    }
}

// The machine drifts: one slow process through both runs, one after the other. `memory`: after how many runs it has forgotten where it was.
int changed_by_drift(double spread, std::uint32_t passes, double memory) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  const double kept = std::exp(-1 / (memory * passes));
  double drift = normal(random);
  const auto run = [&] {
    Series series;
    for (std::uint32_t pass = 0; pass < passes; ++pass) {
      drift = kept * drift + std::sqrt(1 - kept * kept) * normal(random);
      Batch batch{pass, Placement::any, {}};
      for (int i = 0; i < 30; ++i) batch.values.push_back(static_cast<float>(9000 * std::exp(spread * drift + 0.05 * normal(random))));
      series.batches.push_back(std::move(batch));
    }
    return series;
  };
  int changed = 0;
  for (int pair = 0; pair < 400; ++pair) {
    const Series before = run(), after = run();
    changed += compare(before, after, Better::less, default_noise(before, after)).verdict != Verdict::no_change;
  }
  return changed;
}

TEST(Simulation, a_machine_that_drifts_within_a_run_and_across_runs_is_no_change_either) {
  for (const double spread : {0.03, 0.1})
    for (const std::uint32_t passes : {3u, 8u, 20u})
      for (const double memory : {0.2, 1.0})
        EXPECT_LE(changed_by_drift(spread, passes, memory), 20) << spread << ", " << passes << " passes, " << memory;
}

TEST(Simulation, thirty_percent_more_is_seen_in_eight_quiet_passes_and_in_twenty_usual_ones) {
  EXPECT_GE(simulate(kQuiet, 8, 1.3).regressed, 380);
  EXPECT_GE(simulate(kSteady, 20, 1.3).regressed, 360);
  EXPECT_GE(simulate(kUsual, 20, 1.3).regressed, 340);
  EXPECT_GE(simulate(kUsual, 20, 1 / 1.3).improved, 340);
}

TEST(Simulation, three_passes_see_a_doubling_and_nine_microseconds_that_became_seventy) {
  EXPECT_GE(simulate(kQuiet, 3, 2).regressed, 396);
  EXPECT_GE(simulate(kSteady, 3, 2).regressed, 340);
  EXPECT_GE(simulate(kSteady, 3, 70.0 / 9).regressed, 396);
  EXPECT_GE(simulate(kNoisy, 5, 70.0 / 9).regressed, 340);
  EXPECT_GE(simulate(kNoisy, 20, 70.0 / 9).regressed, 396);
}

}  // namespace
}  // namespace hawse::bench
