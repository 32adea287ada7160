// SPDX-License-Identifier: Apache-2.0
//
// `hawse build`: makes every environment that a pipeline needs (base images, system packages, Python packages) ahead of its run.
#include <fmt/format.h>

#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "cli/commands.hpp"
#include "base/exit_codes.hpp"
#include "cli/pipeline_options.hpp"
#include "cli/progress.hpp"
#include "executor/executor.hpp"

namespace hawse::cli {
namespace {

struct Outcome {
  std::string node, error, hint;
  int exit_code = kOk;
};

Outcome prepare(const pipeline::Node& node, executor::Executor& executor, ProgressDisplay& display) {
  try {
    const auto prepared = executor.prepare(node, display.report_for(node.id));
    const auto id = prepared.image.substr(0, std::string("sha256:").size() + 12);
    display.finish(node.id, id.empty() ? prepared.summary : fmt::format("{}, image {}", prepared.summary, id));
    return {node.id, "", "", kOk};
  } catch (const Error& error) {
    display.finish(node.id, "");
    return {node.id, fmt::format("{}: {}", error.operation(), error.context()), error.hint(), exit_code(error.code())};
  } catch (const std::exception& error) {
    display.finish(node.id, "");
    return {node.id, error.what(), "", kInternal};
  }
}

// All at once: they wait for downloads and for the engine more than for the CPU, and equal ones wait for each other in the executor.
std::vector<Outcome> prepare_all(const pipeline::Pipeline& pipeline, ProgressDisplay& display) {
  const auto processes = executor::make_process_executor();
  const auto containers = executor::make_container_executor();
  std::vector<Outcome> outcomes(pipeline.nodes.size());
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < pipeline.nodes.size(); ++i) {
    const auto& node = pipeline.nodes[i];
    if (node.executor == pipeline::ExecutorKind::thread) continue;
    auto& executor = node.executor == pipeline::ExecutorKind::process ? *processes : *containers;
    threads.emplace_back([&node, &executor, &display, &outcome = outcomes[i]] { outcome = prepare(node, executor, display); });
  }
  threads.clear();
  return outcomes;
}

int build(const pipeline::Pipeline& pipeline, bool quiet) {
  std::vector<Outcome> outcomes;
  {
    ProgressDisplay display(ProgressDisplay::mode_for(2, quiet));
    outcomes = prepare_all(pipeline, display);
  }
  int worst = kOk;
  for (const auto& outcome : outcomes) {
    if (outcome.exit_code == kOk) continue;
    fmt::print(stderr, "hawse: {}: {}\n", outcome.node, outcome.error);
    if (!outcome.hint.empty()) fmt::print(stderr, "  hint: {}\n", outcome.hint);
    if (worst == kOk) worst = outcome.exit_code;
  }
  return worst;
}

}  // namespace

void add_build(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("build", "Make a pipeline's environments ahead of its run");
  command->footer("Examples:\n  hawse build captions.yaml\n  hawse build captions.yaml --executor speech=process");
  auto options = std::make_shared<PipelineOptions>(*command);
  auto quiet = std::make_shared<bool>(false);
  command->add_flag("-q,--quiet", *quiet, "No progress");
  command->callback([options, quiet, &result] { result.exit_code = build(options->load(), *quiet); });
}

}  // namespace hawse::cli
