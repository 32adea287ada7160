// SPDX-License-Identifier: Apache-2.0
//
// One run of a pipeline for a while: what each node took to start, how its frames fared, what memory and CPU it used, how it ended.
//
// Threading: run() blocks; interrupt() may be called from any thread, and a second time to end the run at once. While it runs, standard output is
// /dev/null: nodes that print to it are threads of this very process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "executor/executor.hpp"
#include "pipeline/pipeline.hpp"
#include "runtime/session.hpp"

namespace hawse::bench::advise {

struct NodeRun {
  pipeline::ExecutorKind executor = pipeline::ExecutorKind::process;
  double start_ms = 0;  // launch to ready, of its first start; 0: it never was
  std::uint64_t frames_in = 0, frames_out = 0;
  double work_p50_ns = 0, work_p99_ns = 0, wait_p50_ns = 0, wait_p99_ns = 0;
  std::uint64_t memory_peak_bytes = 0;
  double cpus = 0, cpus_peak = 0;
  double life_s = 0;     // mean, of the starts that ended by themselves; 0: none did
  unsigned starts = 0;
  std::string environment;
  bool failed = false;   // for good, before the run was stopped
  bool out_of_memory = false;
  std::string failure;   // in a sentence
};

struct Measurement {
  double seconds = 0;    // the nodes ran for
  bool started = false;  // every node became ready
  std::optional<ErrorCode> failure;
  std::string reason;
  std::map<std::string, NodeRun> nodes;
};

class Runner {
 public:
  using OnProgress = std::function<void(const std::string& node, const executor::Progress&)>;
  // Environments that are made and models that load, until the node is ready (on_ready).
  Runner(OnProgress on_progress, std::function<void(const std::string& node)> on_ready) : on_progress_(std::move(on_progress)), on_ready_(std::move(on_ready)) {}

  // Ends after `seconds` of running, or with the pipeline. Throws Error(interrupted) where interrupt() was called.
  Measurement run(pipeline::Pipeline, double seconds);
  void interrupt();

  void throw_if_interrupted();

 private:
  class Interruptible {  // a session that interrupt() can reach
   public:
    Interruptible(Runner&, runtime::Session&);
    Interruptible(const Interruptible&) = delete;
    Interruptible& operator=(const Interruptible&) = delete;
    ~Interruptible();

   private:
    Runner& runner_;
  };

  void show(const runtime::Event&);

  const OnProgress on_progress_;
  const std::function<void(const std::string&)> on_ready_;
  std::mutex mutex_;
  runtime::Session* session_ = nullptr;  // under mutex_: while it runs
  bool interrupted_ = false;
};

}  // namespace hawse::bench::advise
