// SPDX-License-Identifier: Apache-2.0
//
// The words of the report, the same in each of its forms: what a cell says, how a target is judged, what the reader must know first.
// Plain text, escaped by whoever puts it somewhere.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench/report/view.hpp"

namespace hawse::bench {

const char* name_of(Placement);              // "NEAR", "FAR", "moved", ""
const char* name_of(Wait);                   // "polling", "sleeping", ""
const char* name_of(Payload);                // "untouched", "written and read", ""
const char* name_of(Role);                   // "Hawsepipe", "peer", "floor"
const char* name_of(Met);                    // "met", "MISSED", "no figure"
std::string kind_of(const SeriesSpec&);      // "polling, written and read"
std::string kind_of(const RowView&);         // of all its series; "" where they differ
std::string phase_label(const SeriesSpec&);  // the key without that of the series it is a phase of

// Percentiles are figures only where there are samples enough to have seen what they speak of.
inline constexpr std::size_t kSamplesForP99 = 100, kSamplesForP999 = 1000;
struct Cell {
  std::string label;      // "64 B"; "" where the column says it all
  std::string figure;     // "520 ns"; of growth "64 B 520 ns → 1 MiB 531 ns"
  std::string interval;   // "515–527"
  std::string tail;       // "p99 710 ns, p99.9 1.20 µs"
  std::string placement;  // only where it isn't the row's
  std::string missing;    // instead of all that: why there is no figure
};
Cell cell_of(const Line&, const RowView&);

// One series in one placement, with all that is known of it.
struct Detail {
  const SeriesView* series = nullptr;
  std::string name;           // "iceoryx2 0.7.0"
  std::string kind;           // "polling, untouched"
  std::string samples;        // "5 × 400"
  std::string about_samples;  // "of 100 operations each; 60 more while the cores moved"
  std::string placement, median, interval, mean, range, p99, p999, outliers;
  std::string missing;  // instead of all figures
};
std::vector<Detail> details_of(const RowView&);

std::string value_of(const TargetView&);                                // "1.21 × (1.18–1.25)", "2.40 ms (2.31–2.50)"; unknown: why
std::string sum_of(const Phases&);                                      // "257 ms, of 262 ms in all"
std::string facts_cell(const Row&, bool container);                     // "5 of 6 as it should be"; "" where it has none
std::string verdict_of(const RunView&);                                 // "31 of 36 targets met, 3 missed, 2 without a figure"
std::string provenance_of(const Run&);                                  // "Hawsepipe 0.1.0 (3de9215), full run of 4 h 11 min on 2026-11-24 14:05 UTC"
std::vector<std::pair<std::string, std::string>> facts_of(const Run&);  // machine and run, name and value

inline constexpr const char* kWhatItIs =
    "Hawsepipe runs pipelines of Python and C++ nodes, each as a thread, as a process or in a container of its own, and hands frames between them "
    "through "
    "shared memory without copying them.";
inline constexpr const char* kExplainCell =
    "A figure is a median; beside it stands the 95 % confidence interval of that median. Latencies add p99, which one sample in a hundred exceeds, "
    "where there "
    "are 100 samples or more, and p99.9, one in a thousand, from 1,000 on.";
inline constexpr const char* kExplainRoles =
    "Peers are other systems that did the same work in the same run, taken in turns with ours. The floor is what the machine itself needs for it. "
    "A target compares two figures of this run, or a figure and a number.";
std::string explain_placement(const Run&);

}  // namespace hawse::bench
