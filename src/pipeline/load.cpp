// SPDX-License-Identifier: Apache-2.0
//
// load(): text, tree, variables, keys, nodes, edges. Each step reports into one list and goes on, so that one call finds everything.
#include <algorithm>

#include "pipeline/context.hpp"
#include "pipeline/edges.hpp"
#include "pipeline/fields.hpp"
#include "pipeline/nodes.hpp"
#include "pipeline/variables.hpp"

namespace hawse::pipeline {
namespace {

std::string read_manifest(const std::filesystem::path& file, const Surroundings& around, Findings& findings) {
  try {
    return around.read_file(file);
  } catch (const Error& error) {
    findings.add({}, error.context(), error.hint());
    findings.throw_if_any();
    throw;
  }
}

// "My Pipeline.yaml" -> "my-pipeline"
std::string name_of(const std::filesystem::path& file) {
  std::string name;
  for (const char c : file.stem().string()) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool good = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || (!name.empty() && (lower == '-' || lower == '_'));
    if (good)
      name += lower;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "pipeline" : name;
}

Value read_tree(const std::string& text, Findings& findings) {
  std::optional<Value> root = read_yaml(text, findings);
  findings.throw_if_any();
  if (root->kind == Value::Kind::null)
    findings.add({1, 1}, "the manifest is empty", "`hawse new` writes one that works");
  else if (root->kind != Value::Kind::map)
    findings.add(root->at, "the manifest must be a mapping with version, nodes and edges; it is " + describe(*root));
  findings.throw_if_any();
  return std::move(*root);
}

}  // namespace

Pipeline load(const std::filesystem::path& file, const LoadOptions& options, const Surroundings& around) {
  Findings findings(file.string());
  Value root = read_tree(read_manifest(file, around, findings), findings);

  const Value::Entry* declared = root.find("variables");
  const Variables variables(declared == nullptr ? nullptr : &declared->value, options.set, findings);
  for (Value::Entry& entry : root.entries)
    if (entry.key != "variables") variables.substitute(entry.value, findings);

  Pipeline pipeline;
  pipeline.file = std::filesystem::absolute(file).lexically_normal();
  pipeline.variables = variables.texts();
  Context context{pipeline.file.parent_path(), std::filesystem::current_path(), options, around, findings};
  const Fields top(&root, root.at, section("manifest"), "the manifest", findings);
  pipeline.name = top.find("name") ? top.text("name") : name_of(file);
  pipeline.grace_ns = top.duration_ns("grace");
  if (const Value* nodes = top.find("nodes")) {
    pipeline.nodes = read_nodes(*nodes, context);
    read_edges(top, &pipeline, context);
  }
  findings.throw_if_any();
  return pipeline;
}

}  // namespace hawse::pipeline
