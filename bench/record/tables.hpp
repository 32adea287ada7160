// SPDX-License-Identifier: Apache-2.0
//
// The record in a terminal: what changed between two runs, and which runs there are. Ends with a newline.
#pragma once

#include <string>
#include <vector>

#include "bench/record/comparison.hpp"
#include "bench/record/record.hpp"

namespace hawse::bench {

// Head (which runs, what else differs), a line for each changed series, then for the others where `all`, and the counts.
std::string comparison_table(const Run& before, const Run& after, const std::vector<Comparison>&, bool all);
std::string history_table(const std::vector<RunSummary>&);

}  // namespace hawse::bench
