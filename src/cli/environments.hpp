// SPDX-License-Identifier: Apache-2.0
//
// What `build`, `lock` and `run --locked` do alike: work on the environment of every node of a pipeline, all nodes at once.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/signals.hpp"
#include "executor/executor.hpp"
#include "pipeline/pipeline.hpp"

namespace hawse::cli {

// Making environments because somebody asked for it, until Ctrl-C: that ends it at once, a second one the command.
class OnRequest {
 public:
  OnRequest();
  const executor::Making making;

 private:
  SignalWatch watch_;
};

struct Show {
  bool quiet = false;  // no progress
  bool json = false;   // neither, and a line of JSON for each node
  void add_to(CLI::App& command);
};

// In words, and what more a program is told.
struct NodeOutcome {
  NodeOutcome(std::string words, nlohmann::json data = nlohmann::json::object()) : text(std::move(words)), more(std::move(data)) {}
  std::string text;
  nlohmann::json more;
};

// Called from a thread of its own for each node that isn't a thread; what it gives is shown as the node's outcome.
using NodeWork = std::function<NodeOutcome(const pipeline::Node&, const executor::Report&)>;
// Shows progress, then every error. The first error's exit code; 0: none. Throws Error(interrupted).
int for_each_environment(const pipeline::Pipeline&, Show, const OnRequest&, const NodeWork&);

// Makes them: every node's, and where `locked` exactly as the lock file says, each compared with its hash there. `pipeline` asks for exactly that afterwards.
int make_environments(pipeline::Pipeline&, bool locked, Show);

}  // namespace hawse::cli
