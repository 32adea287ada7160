// SPDX-License-Identifier: Apache-2.0
//
// A run for other programs.
//
// JSON: one object. Keys are stable: a later version may add some, `format_version` says when one changes its meaning. Figures are in the unit of
// their series; what isn't there is null or absent as said.
//   format "hawse-bench", format_version 1
//   run          id (0: not kept), started_s (Unix), seconds, command, effort, version, commit
//   machine      cpu, kernel, memory, os, engine, compiler, python, cores, more {name: text}
//   calibration  near_ns, far_ns: null where that placement wasn't seen
//   rows[]       id, group, title, measured, better, missing (text or null), targets[], facts[], series[]
//     targets[]  text, of, statistic, relation, limit, against (key or null), judgement {met: met | missed | unknown, value, interval [low, high], why}
//     facts[]    what, variant, seen, ok (null: for information)
//     series[]   key, variant, role, unit, wait, payload, x, x_name, phase_of, operations_per_sample, version, missing (text or null), summaries[],
//                and with samples: batches[] {pass, placement, values[]}
//       summaries[]  one for each placement that has samples (moved: never compared): placement, samples, passes, mean, median, deviation, min, max,
//                    p50, p90, p99, p999, mean_interval [low, high], median_interval [low, high], outliers {low_severe, low_mild, high_mild, high_severe}
//
// CSV (RFC 4180, a header, \n): a line for each series and placement; for a series or row without a figure one line with the reason in `missing`.
#pragma once

#include <string>

#include "bench/core/result.hpp"

namespace hawse::bench {

std::string to_json(const Run&, bool with_samples);
std::string to_csv(const Run&);

}  // namespace hawse::bench
