// SPDX-License-Identifier: Apache-2.0
#include "cli/pipeline_options.hpp"

#include <fmt/format.h>

#include <cctype>

#include "base/error.hpp"
#include "base/text.hpp"
#include "embed/stock.hpp"

namespace hawse::cli {
namespace {

std::pair<std::string, std::string> split_at_equals(const std::string& option, const std::string& text, const char* form) {
  const auto at = text.find('=');
  if (at == std::string::npos || at == 0) {
    throw Error(ErrorCode::usage, option, fmt::format("'{}' has no name and value", text), fmt::format("write {} {}", option, form));
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

pipeline::ExecutorKind parse_kind(const std::string& text) {
  if (const auto kind = pipeline::executor_kind(text)) return *kind;
  const auto near = nearest(text, {"thread", "process", "container"});
  throw Error(ErrorCode::usage, "--executor", fmt::format("there is no executor '{}'", text),
              near.empty() ? "it is one of thread, process, container" : fmt::format("did you mean '{}'?", near));
}

bool is_environment_name(const std::string& text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0]))) return false;
  for (const char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return true;
}

// [NODE=]NAME=VALUE. The first part is a node only if what follows it is a whole NAME=VALUE: a value may hold '=' itself, so a node's
// name goes first where it matters.
std::pair<std::string, std::pair<std::string, std::string>> parse_env(const std::string& text) {
  constexpr const char* form = "[NODE=]NAME=VALUE";
  const auto [first, rest] = split_at_equals("--env", text, form);
  const auto second = rest.find('=');
  if (second != std::string::npos && is_environment_name(rest.substr(0, second))) {
    return {first, {rest.substr(0, second), rest.substr(second + 1)}};
  }
  if (!is_environment_name(first)) {
    throw Error(ErrorCode::usage, "--env", fmt::format("'{}' is no name of a variable", first), fmt::format("write --env {}", form));
  }
  return {"", {first, rest}};
}

}  // namespace

pipeline::LoadOptions parse_load_options(const std::vector<std::string>& set, const std::vector<std::string>& executors,
                                         const std::vector<std::string>& env) {
  pipeline::LoadOptions options;
  for (const auto& text : set) {
    auto [name, value] = split_at_equals("--set", text, "NAME=VALUE");
    options.set[name] = value;
  }
  for (const auto& text : executors) {
    const auto at = text.find('=');
    const auto node = at == std::string::npos ? "" : text.substr(0, at);
    options.executors.emplace_back(node, parse_kind(at == std::string::npos ? text : text.substr(at + 1)));
  }
  for (const auto& text : env) options.env.push_back(parse_env(text));
  return options;
}

PipelineOptions::PipelineOptions(CLI::App& command) {
  command.add_option("pipeline", file_, "The pipeline file (YAML or JSON)")->required()->type_name("FILE");
  command.add_option("--set", set_, "Give a variable of the manifest a value")->type_name("NAME=VALUE")->allow_extra_args(false);
  command.add_option("--executor", executors_, "Move one node, or every node of your own, to thread, process or container")
      ->type_name("[NODE=]KIND")->allow_extra_args(false);
  command.add_option("--env", env_, "Set an environment variable of one node, or of all")->type_name("[NODE=]NAME=VALUE")->allow_extra_args(false);
}

pipeline::Pipeline PipelineOptions::load(const std::optional<std::pair<std::string, pipeline::ExecutorKind>>& moved) const {
  auto options = parse_load_options(set_, executors_, env_);
  if (moved) options.executors.push_back(*moved);  // the last one wins
  return pipeline::load(file_, options, pipeline::real_surroundings(embed::stock_nodes()));
}

}  // namespace hawse::cli
