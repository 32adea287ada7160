// SPDX-License-Identifier: Apache-2.0
//
// What a reader should not have to look for: the lists that follow the table.
#pragma once

#include <string>
#include <vector>

#include "bench/report/view.hpp"

namespace hawse::bench {

struct Finding {
  const RowView* row = nullptr;
  std::string text;
};

struct Findings {
  std::vector<Finding> wins;     // a peer's median is better than ours
  std::vector<Finding> missed;   // targets, and probes that saw what they shouldn't
  std::vector<Finding> unknown;  // targets and rows without a figure, and why
};

Findings findings_of(const RunView&);
Findings findings_of(RunView&&) = delete;  // findings point at its rows
const char* no_wins(const RunView&);       // what stands there when no peer is better

}  // namespace hawse::bench
