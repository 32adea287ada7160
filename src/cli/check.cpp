// SPDX-License-Identifier: Apache-2.0
//
// `hawse check`: is the manifest right, where would each node run, and what may it touch. Starts nothing and asks no engine.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/commands.hpp"
#include "base/exit_codes.hpp"
#include "cli/pipeline_options.hpp"
#include "executor/container/images.hpp"
#include "executor/lock/lock_file.hpp"
#include "runtime/messages.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

std::string where(const pipeline::Node& node) {
  std::string text = to_string(node.executor);
  if (node.executor == pipeline::ExecutorKind::container) {
    text += node.container.image.empty() ? fmt::format(", python {}", node.container.python.empty() ? executor::kDefaultPython : node.container.python) : fmt::format(", image {}", node.container.image);
  } else if (node.kind == pipeline::NodeKind::python) {
    text += node.python.version.empty() ? ", the host's python" : fmt::format(", python {}", node.python.version);
  }
  if (!node.packages.empty()) text += fmt::format(", with {}", fmt::join(node.packages, ", "));
  return text;
}

std::string to_text(plane::FrameType type) {
  return to_string(type == plane::FrameType::none ? pipeline::PortType{} : pipeline::PortType{{type}});
}

// "": there is none. Else whether the pipeline's lock file fits it.
std::string lock_state(const pipeline::Pipeline& pipeline) {
  if (std::error_code error; !std::filesystem::exists(executor::lock_path(pipeline), error)) return "";
  try {
    const auto found = executor::differences(executor::read_lock(pipeline), pipeline);
    return found.empty() ? "fits" : fmt::format("stale, {}; hawse lock makes it anew", fmt::join(found, "; "));
  } catch (const Error& error) {
    return fmt::format("unreadable, {}", error.context());
  }
}

void print_text(const pipeline::Pipeline& pipeline) {
  fmt::print("{}: {} nodes, {} edges, no errors\n", pipeline.name, pipeline.nodes.size(), pipeline.edges.size());
  if (const auto lock = lock_state(pipeline); !lock.empty()) fmt::print("lock file: {}\n", lock);
  for (const auto& node : pipeline.nodes) {
    fmt::print("\n{}  ({})\n  runs as    {}\n", node.id, node.reference, where(node));
    if (!node.note.empty()) fmt::print("  note       {}\n", node.note);
    const char* title = "may touch";
    for (const auto& line : may_touch(node, pipeline)) fmt::print("  {:<9}  {}\n", std::exchange(title, ""), line);
  }
  fmt::print("\nedges\n");
  for (const auto& edge : pipeline.edges) {
    fmt::print("  {}.{} -> {}.{}  ({}, queue {}, when full {}{})\n", edge.from.node, edge.from.port, edge.to.node, edge.to.port, to_text(edge.type),
               edge.queue, runtime::name_of(edge.when_full), edge.feedback ? ", feedback" : "");
  }
}

json to_json(const pipeline::Pipeline& pipeline) {
  json nodes = json::array(), edges = json::array();
  for (const auto& node : pipeline.nodes) {
    nodes.push_back({{"id", node.id}, {"node", node.reference}, {"executor", to_string(node.executor)}, {"runs_as", where(node)},
                     {"packages", node.packages}, {"note", node.note}, {"may_touch", may_touch(node, pipeline)}});
  }
  for (const auto& edge : pipeline.edges) {
    edges.push_back({{"from", edge.from.node + "." + edge.from.port}, {"to", edge.to.node + "." + edge.to.port}, {"type", to_text(edge.type)},
                     {"queue", edge.queue}, {"when_full", runtime::name_of(edge.when_full)}, {"feedback", edge.feedback}});
  }
  return {{"pipeline", pipeline.name}, {"file", pipeline.file}, {"lock", lock_state(pipeline)}, {"errors", json::array()}, {"nodes", nodes}, {"edges", edges}};
}

json to_json(const pipeline::ManifestError& error) {
  json findings = json::array();
  for (const auto& finding : error.findings()) {
    findings.push_back({{"file", finding.file}, {"line", finding.at.line}, {"column", finding.at.column}, {"message", finding.message},
                        {"hint", finding.hint}});
  }
  return {{"errors", findings}};
}

void print(const json& value) { fmt::print("{}\n", value.dump(2, ' ', false, json::error_handler_t::replace)); }

}  // namespace

void add_check(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("check", "Validate a pipeline; show where each node would run and what it may touch");
  command->footer("Examples:\n  hawse check captions.yaml\n  hawse check captions.yaml --executor process --json");
  auto options = std::make_shared<PipelineOptions>(*command);
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "As JSON, also the errors");
  command->callback([options, as_json, &result] {
    if (!*as_json) return print_text(options->load());
    try {
      print(to_json(options->load()));
    } catch (const pipeline::ManifestError& error) {
      print(to_json(error));
      result.exit_code = kManifest;
    }
  });
}

}  // namespace hawse::cli
