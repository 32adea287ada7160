// SPDX-License-Identifier: Apache-2.0
//
// What a node may touch outside its ports, in lines that `hawse check` shows. It says what holds, not what is hoped for.
#include <functional>

#include "base/text.hpp"
#include "pipeline/default_limits.hpp"
#include "pipeline/findings.hpp"

namespace hawse::pipeline {
namespace {

// Every param of type path that has a value.
void each_path(const json& params, const json& specs, const std::string& prefix,
               const std::function<void(const std::string&, const std::string&)>& visit) {
  for (const auto& [name, value] : params.items()) {
    const auto spec = specs.find(name);
    if (spec == specs.end()) continue;
    if (value.is_object() && spec->contains("fields")) each_path(value, (*spec)["fields"], prefix + name + ".", visit);
    if (value.is_string() && spec->value("type", "any").find("path") != std::string::npos) visit(prefix + name, value.get<std::string>());
  }
}

std::vector<std::string> named_paths(const Node& node) {
  std::vector<std::string> lines;
  each_path(node.params, node.signature.params, "", [&](const std::string& name, const std::string& path) {
    lines.push_back((path.starts_with('/') ? "file " : "") + path + " (param " + name + ")");
  });
  return lines;
}

std::vector<std::string> container_access(const Node& node) {
  const ContainerOptions& options = node.container;
  std::vector<std::string> lines = {"network: " + options.network +
                                    (options.network == "host" ? " (the host's own: everything that listens on it)" : "")};
  lines.push_back("files: nothing of the host but its own code and packages (read-only)");
  for (const Mount& mount : options.mounts)
    lines.push_back("mount: " + mount.source.string() + " at " + mount.target + (mount.write ? " (may write)" : " (read-only)"));
  lines.push_back("gpus: " + (options.gpus.empty() ? "none" : options.gpus));
  lines.push_back("user: " + options.user);
  return lines;
}

std::vector<std::string> limits(const Node& node) {
  std::vector<std::string> words;
  if (node.limits.memory_bytes) words.push_back("memory " + format_bytes(*node.limits.memory_bytes));
  if (node.limits.cpus) words.push_back("cpus " + json(*node.limits.cpus).dump());
  if (const auto pids = pids_limit(node)) words.push_back("pids " + std::to_string(*pids) + (node.limits.pids ? "" : " (the default)"));
  if (node.limits.shm_bytes && node.executor == ExecutorKind::container) words.push_back("/dev/shm " + format_bytes(*node.limits.shm_bytes));
  if (node.limits.file_bytes) words.push_back("file " + format_bytes(*node.limits.file_bytes));
  words.push_back("arena " + format_bytes(node.limits.arena_bytes) + (node.limits.arena_in_memory ? " (of its memory)" : ""));
  return {"limits: " + join(words)};
}

}  // namespace

std::vector<std::string> may_touch(const Node& node, const Pipeline&) {
  std::vector<std::string> lines;
  const auto add = [&](const std::vector<std::string>& more) { lines.insert(lines.end(), more.begin(), more.end()); };
  switch (node.executor) {
    case ExecutorKind::container: add(container_access(node)); break;
    case ExecutorKind::process:
      lines.push_back("files and network: everything that your user can reach");
      if (node.kind == NodeKind::stock) add(named_paths(node));
      break;
    case ExecutorKind::thread:
      add(named_paths(node));
      if (lines.empty()) lines.push_back("nothing");
      return lines;  // part of the runtime: it has no limits of its own
  }
  if (!node.env.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, value] : node.env) names.push_back(name);
    lines.push_back("env: " + join(names));
  }
  add(limits(node));
  return lines;
}

}  // namespace hawse::pipeline
