// SPDX-License-Identifier: Apache-2.0
#include "executor/process_command.hpp"

#include "base/files.hpp"

namespace hawse::executor {

namespace {

std::vector<std::string> command(const pipeline::Node& node, const Prepared& prepared) {
  switch (node.kind) {
    case pipeline::NodeKind::stock: return {(resources_dir() / "hawse-node").string(), node.stock};
    case pipeline::NodeKind::program: return {node.source_file.string()};
    case pipeline::NodeKind::python: break;
  }
  return {prepared.interpreter.string(), "-I", "-u", "-B", (resources_dir() / "python/hawse/_main.py").string()};
}

// What a program needs to find its way, and what the manifest gives; no secrets that happen to be in the user's environment.
std::map<std::string, std::string> environment(const pipeline::Node& node) {
  std::map<std::string, std::string> env = {{"HAWSE_FD", "3"}};
  for (const auto& [name, value] : current_environment()) {
    const bool wanted = name == "PATH" || name == "HOME" || name == "USER" || name == "LOGNAME" || name == "SHELL" || name == "LANG" || name == "TZ" ||
                        name == "TMPDIR" || name == "LD_LIBRARY_PATH" || name.starts_with("LC_") || name.starts_with("XDG_") || name.starts_with("CUDA_") ||
                        name.starts_with("NVIDIA_") || name == "HAWSE_RESOURCES";
    if (wanted) env[name] = value;
  }
  for (const auto& [name, value] : node.env) env[name] = value;
  return env;
}

}  // namespace

SpawnOptions process_command(const pipeline::Node& node, const Prepared& prepared) {
  SpawnOptions options;
  options.argv = command(node, prepared);
  options.env = environment(node);
  return options;
}

}  // namespace hawse::executor
