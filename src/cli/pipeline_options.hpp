// SPDX-License-Identifier: Apache-2.0
//
// What `run`, `check` and `build` take alike: the pipeline file and what the command line changes in it.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::cli {

// Adds the options to a command; load() after parsing. Lives as long as the command.
class PipelineOptions {
 public:
  explicit PipelineOptions(CLI::App& command);

  // Throws Error(usage) on a malformed option, ManifestError on a bad manifest. `moved`: one more --executor, as when a node moves during a run.
  pipeline::Pipeline load(const std::optional<std::pair<std::string, pipeline::ExecutorKind>>& moved = {}) const;
  const std::string& file() const noexcept { return file_; }

 private:
  std::string file_;
  std::vector<std::string> set_, executors_, env_;
};

// The options' own syntax.
pipeline::LoadOptions parse_load_options(const std::vector<std::string>& set, const std::vector<std::string>& executors,
                                         const std::vector<std::string>& env);

}  // namespace hawse::cli
