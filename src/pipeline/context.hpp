// SPDX-License-Identifier: Apache-2.0
//
// What the parts of load() share: where relative paths lead, who to ask, and where findings go. Lives as long as one load().
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "pipeline/pipeline.hpp"
#include "pipeline/value.hpp"

namespace hawse::pipeline {

struct Context {
  std::filesystem::path manifest_dir;  // absolute
  std::filesystem::path current_dir;   // absolute
  const LoadOptions& options;
  const Surroundings& around;
  Findings& findings;
  std::map<std::filesystem::path, std::optional<PythonFile>> python_files = {};  // read once each; nullopt: it failed, and was reported
};

// Relative to the manifest, or to the current folder where the text begins with the content of a --set variable.
inline std::filesystem::path resolve_path(const std::string& text, bool from_command_line, const Context& context) {
  return ((from_command_line ? context.current_dir : context.manifest_dir) / text).lexically_normal();
}

}  // namespace hawse::pipeline
