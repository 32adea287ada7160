// SPDX-License-Identifier: Apache-2.0
//
// Which executor a node should have, and why: a pure function of what is known of the node and what was measured.
//
// The order in which things decide: what can't run; what only a container gives (a Python version, Debian packages, an image, GPUs); a life so short that a
// container's start weighs; then a rule of the public report as the prior, which the measured cost of a container confirms or overrules. Every step that
// decides leaves a sentence with its figures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::bench::advise {

using pipeline::ExecutorKind;

// What is known of a node without running it.
struct NodeFacts {
  std::string id, reference;
  pipeline::NodeKind kind = pipeline::NodeKind::python;
  ExecutorKind now = ExecutorKind::process;
  bool parses_outside_input = false;         // a stock node that reads what strangers made
  bool live = false;                         // its input comes at its own pace: a device, a live stream, a source with realtime or a rate
  bool audio = false;                        // takes or gives audio
  bool gpus = false;
  bool others_code = false;                  // packages or programs that somebody else wrote run in it
  std::vector<std::string> only_container;   // what its container: section gives and a process lacks: "Python 3.9 (as a process it gets 3.11.7)"
  std::vector<std::string> conflicts;        // "numpy 1.26.4 here, 2.4.1 in recognise"
  std::vector<std::string> host_files;       // files of the host that its env or params name and no mount gives to a container
  std::optional<std::uint64_t> memory_limit_bytes;
  std::optional<double> cpus_limit;
};

// Why there are no figures of an executor.
enum class Lack { none, stock, engine, environment, failed, not_tried };

// A node under one executor, over all its runs. Times 0: not seen.
struct NodeFigures {
  Lack lack = Lack::not_tried;
  std::string why_not;                       // lack != none
  unsigned runs = 0;
  double seconds = 0;                        // it ran for, in all
  double start_ms = 0;                       // launch to ready; the least of the runs, so that caches count alike
  std::uint64_t frames = 0;                  // received; of a source: sent
  double work_p50_ns = 0, work_p99_ns = 0;   // process() or produce(), a frame: mean of the runs'
  double wait_p50_ns = 0, wait_p99_ns = 0;   // from the send to the receipt, of the slowest edge into it
  double spread = 0;                         // by how much the runs' work_p50 differ, relative
  std::uint64_t memory_peak_bytes = 0;
  double cpus = 0, cpus_peak = 0;            // cores: mean, and over the busiest second
  double life_s = 0;                         // of one start: from the run's begin to its own end; 0: it was still running when it was stopped
  unsigned starts = 0;                       // in all
  std::string environment;                   // "python 3.11.7, numpy 2.4.1"
  std::string failure;                       // it ended in one that isn't its executor's fault: a memory limit met

  bool ran() const noexcept { return lack == Lack::none; }
};

struct Advice {
  ExecutorKind executor = ExecutorKind::process;
  bool decided = true;   // false: neither ran, it stays as it is
  bool firm = true;      // false: it only rests on what this machine lacks; --write leaves it
  std::string rule;      // the prior, in words: "batch work belongs in containers"; "" where none speaks
  bool overruled = false;  // by measurement
  std::vector<std::string> reasons;
  std::optional<std::uint64_t> memory_limit_bytes;  // to set, where it has none
  std::optional<double> cpus_limit;
};

Advice choose(const NodeFacts&, const NodeFigures& process, const NodeFigures& container);

// Half as much again as the peak, on a round number: in steps of 16 MiB, from 512 MiB on of 64, from 2 GiB on of 256; at least 32 MiB.
std::uint64_t memory_limit_for(std::uint64_t peak_bytes);
// Half as much again as the busiest second took, in quarters of a core.
double cpus_limit_for(double cpus_peak);

// What a container costs a frame, against the process.
struct Cost {
  bool known = false;
  std::string why_unknown;
  double process_ns = 0, container_ns = 0;  // p50: work, and on live input the wait before it
  double relative = 0;                      // container / process - 1
  bool matters = false;  // more than the runs differ by themselves, more than the histograms resolve, and felt at this rate of frames
  std::string text;      // "1.20 ms a frame as a process, 1.22 ms in a container: +1.7 %"
};
Cost cost_of_container(const NodeFacts&, const NodeFigures& process, const NodeFigures& container);

}  // namespace hawse::bench::advise
