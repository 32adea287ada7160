// SPDX-License-Identifier: Apache-2.0
//
// What a run of the benchmark holds: rows (a line of the report's table), each with series (one thing measured: `process`, `container`,
// `iceoryx2`, ...), each with batches of raw samples (one batch a pass, tagged with the machine's placement while it was taken).
// Plain values: made by the runner, kept by the record, read by statistics and reports. Every sample is kept raw, in the series' unit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace hawse::bench {

// Where the virtual machine had the two cores while a sample was taken. One cache line there and back tells (core/placement.hpp).
// `any`: the series doesn't depend on it (start-up, memory). `moved`: the calibrations before and after disagree; kept, never compared.
enum class Placement : std::uint8_t { any, near, far, moved };

enum class Role : std::uint8_t {
  ours,   // Hawsepipe
  peer,   // another system that does the same work
  floor,  // what the machine itself needs: a futex, the touching of memory, `python -c "import numpy"`
};
enum class Wait : std::uint8_t { none, polling, sleeping, adaptive };  // adaptive: a look where that mostly pays, then sleep (a node's default)
enum class Payload : std::uint8_t { none, untouched, written_and_read };
enum class Better : std::uint8_t { less, more };
enum class Statistic : std::uint8_t { median, mean, p99, p999, sum_of_phases };

struct Batch {
  std::uint32_t pass = 0;
  Placement placement = Placement::any;
  std::vector<float> values;  // in the series' unit; in the order taken
};

// What is known of a series before it is measured.
struct SeriesSpec {
  std::string key;      // unique in its row: "process", "container", "iceoryx2", "process 64 B"
  std::string variant;  // what reports group by: "process"; "" = key
  Role role = Role::ours;
  std::string unit;     // ns, B, B/s, 1/s, percent, ratio
  Wait wait = Wait::none;
  Payload payload = Payload::none;
  std::optional<double> x;  // growth: the size, readers, nodes; with x_name
  std::string x_name;       // "frame bytes", "readers", "nodes"
  std::string phase_of;     // a phase of this series' start-up (stacked bars), in the order of declaration
  std::uint32_t operations_per_sample = 1;  // > 1: each sample is the mean of that many
};

struct Series {
  SeriesSpec spec;
  std::string version;  // of the peer, as it says itself
  std::string missing;  // why there is no figure; "" where there is one
  std::vector<Batch> batches;
};

// A target is a relation between two figures of one run, or a figure and a number.
struct Target {
  std::string text;      // as TARGETS says it: "≤ 1.5 × physical"
  std::string of;        // series key
  Statistic statistic = Statistic::median;
  enum class Relation : std::uint8_t { at_most, at_least, within } relation = Relation::at_most;  // within: 1 ± limit
  double limit = 0;      // the factor where `against` is given, else in the series' unit
  std::string against;   // series key; "": absolute
};

// Something seen that is no distribution: a boundary probed, a limit met, a hash.
struct Fact {
  std::string what;     // "read the host's /dev/shm"
  std::string variant;  // "container"
  std::string seen;     // "EACCES"
  std::optional<bool> ok;  // none: for information
};

struct Row {
  std::string id;        // "start/python-native"
  std::string group;     // heading in the report: "Start-up"
  std::string title;     // the report's words
  std::string measured;  // how, in a sentence: what is timed from when to when, between which processes
  Better better = Better::less;
  std::vector<Target> targets;
  std::string missing;   // why the whole row has no figure
  std::vector<Series> series;
  std::vector<Fact> facts;
};

struct Machine {
  std::string cpu, kernel, memory, os, engine, compiler, python;
  unsigned cores = 0;
  std::map<std::string, std::string> more;  // virtualisation, governor, cgroup version, ...
};

struct Run {
  std::int64_t id = 0;   // in the record; 0: not kept
  std::int64_t started_s = 0, seconds = 0;  // Unix time; how long it took
  std::string command;   // as typed
  std::string effort;    // quick, normal, full
  std::string version, commit;  // of Hawsepipe; the commit ends with "+" where the tree had changes
  Machine machine;
  double near_ns = 0, far_ns = 0;  // medians of the calibration by placement; 0: not seen
  std::vector<Row> rows;
};

}  // namespace hawse::bench
