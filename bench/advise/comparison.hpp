// SPDX-License-Identifier: Apache-2.0
//
// Measures a pipeline's nodes as processes and in containers, and asks for advice on each.
//
// All nodes that can move do so at once: as processes, in containers, in containers, as processes, each for half of the time given. So a machine that
// slowly changes hits both alike, and what two runs of the same differ by shows what a difference is worth. A node that can't start where it was moved to
// goes back, with the reason, and that run is made again.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/advise/advice.hpp"
#include "bench/advise/conflicts.hpp"
#include "bench/advise/measure.hpp"
#include "bench/advise/outputs.hpp"

namespace hawse::bench::advise {

struct NodeComparison {
  NodeFacts facts;
  NodeFigures process, container;
  Advice advice;
};

struct Comparison {
  std::string pipeline;
  std::filesystem::path file;
  double seconds = 0;   // a run
  std::vector<NodeComparison> nodes;  // those asked for, in the manifest's order
  std::vector<Conflict> conflicts;
  std::vector<Redirected> redirected;
  std::vector<std::string> changed;   // files that nodes changed though they were left alone
  std::string no_engine;              // why there is none; "": there is one
};

struct ComparisonOptions {
  std::filesystem::path file;
  pipeline::LoadOptions load;         // set and env
  double seconds = 10;                // for each executor
  std::vector<std::string> nodes;     // empty: all
  std::function<void(const std::string&)> say;  // a step under way
};

Comparison compare(const ComparisonOptions&, Runner&);

}  // namespace hawse::bench::advise
