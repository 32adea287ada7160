// SPDX-License-Identifier: Apache-2.0
#include "cli/environments.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include "base/exit_codes.hpp"
#include "cli/progress.hpp"
#include "executor/lock/lock.hpp"

namespace hawse::cli {
namespace {

struct Outcome {
  std::string node, error, hint;
  int exit_code = kOk;
};

Outcome attempt(const pipeline::Node& node, const NodeWork& work, ProgressDisplay& display) {
  try {
    display.finish(node.id, work(node, display.report_for(node.id)));
    return {node.id, "", "", kOk};
  } catch (const Error& error) {
    display.finish(node.id, "");
    return {node.id, fmt::format("{}: {}", error.operation(), error.context()), error.hint(), exit_code(error.code())};
  } catch (const std::exception& error) {
    display.finish(node.id, "");
    return {node.id, error.what(), "", kInternal};
  }
}

}  // namespace

OnRequest::OnRequest()
    : making{.interrupt = std::make_shared<Interrupt>(), .on_request = true}, watch_([interrupt = making.interrupt](int count) {
        if (count > 1) ::_exit(kInterrupted);
        interrupt->now();
      }) {}

// All at once: they wait for downloads and for the engine more than for the CPU, and equal ones wait for each other in the executor.
int for_each_environment(const pipeline::Pipeline& pipeline, bool quiet, const OnRequest& request, const NodeWork& work) {
  std::vector<Outcome> outcomes(pipeline.nodes.size());
  {
    ProgressDisplay display(ProgressDisplay::mode_for(2, quiet));
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < pipeline.nodes.size(); ++i) {
      if (pipeline.nodes[i].executor == pipeline::ExecutorKind::thread) continue;
      threads.emplace_back([&, &node = pipeline.nodes[i], &outcome = outcomes[i]] { outcome = attempt(node, work, display); });
    }
  }
  request.making.interrupt->check("make environments");
  int first = kOk;
  for (const auto& outcome : outcomes) {
    if (outcome.exit_code == kOk) continue;
    fmt::print(stderr, "hawse: {}: {}\n", outcome.node, outcome.error);
    if (!outcome.hint.empty()) fmt::print(stderr, "  hint: {}\n", outcome.hint);
    if (first == kOk) first = outcome.exit_code;
  }
  return first;
}

int make_environments(pipeline::Pipeline& pipeline, bool locked, bool quiet) {
  std::optional<executor::LockFile> lock;
  if (locked) {
    lock = executor::read_lock(pipeline);
    executor::apply(*lock, pipeline);
  }
  const OnRequest request;
  const auto processes = executor::make_process_executor(request.making);
  const auto containers = executor::make_container_executor(request.making);
  return for_each_environment(pipeline, quiet, request, [&](const pipeline::Node& node, const executor::Report& report) {
    auto& executor = node.executor == pipeline::ExecutorKind::process ? *processes : *containers;
    const auto prepared = executor.prepare(node, report);
    const auto id = prepared.image.substr(0, std::string("sha256:").size() + 12);
    const std::string summary = id.empty() ? prepared.summary : fmt::format("{}, image {}", prepared.summary, id);
    if (!lock || !executor::has_environment(node)) return summary;
    const auto& wanted = lock->nodes.at(node.id);
    executor::verify(node, wanted, prepared);
    return fmt::format("{}, environment {} as locked", summary, wanted.environment);
  });
}

}  // namespace hawse::cli
