// SPDX-License-Identifier: Apache-2.0
//
// Runs rows in passes and makes a Run of them. Rows with fewer passes than the longest are spread evenly over the run.
//
// Threading: one thread, the caller's; `interrupted` may be set from a signal handler: the run then ends after the series under way.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "bench/core/row.hpp"

namespace hawse::bench {

struct RunOptions {
  Effort effort = Effort::normal;
  bool peers = false;
  const std::atomic<bool>* interrupted = nullptr;
  // (pass, passes, row's id, what it does, part of the whole that is done)
  std::function<void(unsigned, unsigned, const std::string&, const std::string&, double)> on_progress;
};

const char* to_string(Effort);
unsigned passes_of(const RowSpec&, Effort);
// A guess of what a run takes.
double seconds_of(const std::vector<RowSpec>&, Effort);

// The ids that the patterns name: an id, a group ("start"), or a glob ("plane/*-64*"); no patterns: all. Throws Error (usage) with the nearest id for a pattern that names none.
std::vector<RowSpec> select_rows(std::vector<RowSpec>, const std::vector<std::string>& patterns);

// rows, near_ns, far_ns, effort, started_s and seconds of the result are filled in; machine and version are the caller's.
Run run_rows(const std::vector<RowSpec>&, const RunOptions&);

Machine describe_machine();

}  // namespace hawse::bench
