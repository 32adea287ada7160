// SPDX-License-Identifier: Apache-2.0
//
// Two runs side by side: rows and series matched by their keys, each judged by stats.hpp's compare() with its own noise. Figures of different
// placements, and series that one of the runs doesn't have, are listed with the reason, never compared.
#pragma once

#include <string>
#include <vector>

#include "bench/core/result.hpp"
#include "bench/stats/stats.hpp"

namespace hawse::bench {

struct Comparison {
  std::string row, series, unit;
  Change change;
  double noise = 0;  // the change had to be beyond it; 0: there were no two figures to put side by side
  std::string note;  // why there is no verdict; "" where there is one
};

struct Counts {
  std::size_t no_change = 0, improved = 0, regressed = 0, too_few = 0;
};

// In the order of `before`, then what only `after` has. Series without a figure in both runs are left out.
std::vector<Comparison> compare_runs(const Run& before, const Run& after);
Counts count(const std::vector<Comparison>&);
// What else differs between the runs and may be why: "kernel: 6.1 → 6.6". Empty where nothing does.
std::vector<std::string> circumstances(const Run& before, const Run& after);

}  // namespace hawse::bench
