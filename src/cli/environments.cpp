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
#include "cli/sessions.hpp"
#include "executor/lock/lock.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

struct Outcome {
  std::string node, text, error, hint;
  json more;
  int exit_code = kOk;
};

void print_json(const pipeline::Node& node, const Outcome& outcome) {
  json line = outcome.exit_code == kOk ? outcome.more : json{{"error", outcome.error}, {"hint", outcome.hint}, {"exit_code", outcome.exit_code}};
  line["node"] = node.id;
  line["executor"] = pipeline::to_string(node.executor);
  if (outcome.exit_code == kOk) line["outcome"] = outcome.text;
  fmt::print("{}\n", to_line(line));
}

Outcome attempt(const pipeline::Node& node, const NodeWork& work, ProgressDisplay& display) {
  try {
    NodeOutcome done = work(node, display.report_for(node.id));
    display.finish(node.id, done.text);
    return {.node = node.id, .text = std::move(done.text), .error = "", .hint = "", .more = std::move(done.more)};
  } catch (const Error& error) {
    display.finish(node.id, "");
    return {.node = node.id, .text = "", .error = fmt::format("{}: {}", error.operation(), error.context()), .hint = error.hint(), .more = {}, .exit_code = exit_code(error.code())};
  } catch (const std::exception& error) {
    display.finish(node.id, "");
    return {.node = node.id, .text = "", .error = error.what(), .hint = "", .more = {}, .exit_code = kInternal};
  }
}

}  // namespace

OnRequest::OnRequest()
    : making{.interrupt = std::make_shared<Interrupt>(), .on_request = true}, watch_([interrupt = making.interrupt](int count) {
        if (count > 1) ::_exit(kInterrupted);
        interrupt->now();
      }) {}

void Show::add_to(CLI::App& command) {
  command.add_flag("-q,--quiet", quiet, "No progress");
  command.add_flag("--json", json, "A line of JSON for each node, and no progress");
}

// All at once: they wait for downloads and for the engine more than for the CPU, and equal ones wait for each other in the executor.
int for_each_environment(const pipeline::Pipeline& pipeline, Show show, const OnRequest& request, const NodeWork& work) {
  std::vector<Outcome> outcomes(pipeline.nodes.size());
  {
    ProgressDisplay display(ProgressDisplay::mode_for(2, show.quiet || show.json));
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < pipeline.nodes.size(); ++i) {
      if (pipeline.nodes[i].executor == pipeline::ExecutorKind::thread) continue;
      threads.emplace_back([&, &node = pipeline.nodes[i], &outcome = outcomes[i]] { outcome = attempt(node, work, display); });
    }
  }
  request.making.interrupt->check("make environments");
  if (show.json)
    for (std::size_t i = 0; i < outcomes.size(); ++i)
      if (pipeline.nodes[i].executor != pipeline::ExecutorKind::thread) print_json(pipeline.nodes[i], outcomes[i]);
  int first = kOk;
  for (const auto& outcome : outcomes) {
    if (outcome.exit_code == kOk) continue;
    fmt::print(stderr, "hawse: {}: {}\n", outcome.node, outcome.error);
    if (!outcome.hint.empty()) fmt::print(stderr, "  hint: {}\n", outcome.hint);
    if (first == kOk) first = outcome.exit_code;
  }
  return first;
}

int make_environments(pipeline::Pipeline& pipeline, bool locked, Show show) {
  std::optional<executor::LockFile> lock;
  if (locked) {
    lock = executor::read_lock(pipeline);
    executor::apply(*lock, pipeline);
  }
  const OnRequest request;
  const auto processes = executor::make_process_executor(request.making);
  const auto containers = executor::make_container_executor(request.making);
  return for_each_environment(pipeline, show, request, [&](const pipeline::Node& node, const executor::Report& report) -> NodeOutcome {
    auto& executor = node.executor == pipeline::ExecutorKind::process ? *processes : *containers;
    const auto prepared = executor.prepare(node, report);
    const auto id = prepared.image.substr(0, std::string("sha256:").size() + 12);
    const std::string summary = id.empty() ? prepared.summary : fmt::format("{}, image {}", prepared.summary, id);
    json more = {{"environment", prepared.summary}};
    if (!prepared.image.empty()) more["image"] = prepared.image;
    if (!lock || !executor::has_environment(node)) return {summary, more};
    const auto& wanted = lock->nodes.at(node.id);
    executor::verify(node, wanted, prepared);
    more["locked"] = wanted.environment;
    return {fmt::format("{}, environment {} as locked", summary, wanted.environment), more};
  });
}

}  // namespace hawse::cli
