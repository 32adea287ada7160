// SPDX-License-Identifier: Apache-2.0
//
// Node references: told apart by their form alone, then looked up.
//   group/name           stock       PATH.py:Class        a class in a Python file
//   pkg.mod:Class        module      ./x ../x /x          a program
#include "pipeline/reference.hpp"

#include <algorithm>

#include "pipeline/keys.hpp"

namespace hawse::pipeline {
namespace {

bool is_identifier(std::string_view text) {
  return is_id(text.starts_with('_') ? "a" + std::string(text) : std::string(text)) && text.find('-') == std::string_view::npos;
}

bool is_module(std::string_view text) {
  while (true) {
    const std::size_t dot = text.find('.');
    if (!is_identifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// Read once a load; nullptr if it can't be read (reported once).
const PythonFile* python_file(const std::filesystem::path& path, Position at, Context& context) {
  const auto known = context.python_files.find(path);
  if (known != context.python_files.end()) return known->second ? &*known->second : nullptr;
  std::optional<PythonFile>& file = context.python_files[path];
  try {
    file = context.around.read_python(path);
  } catch (const ManifestError& error) {
    context.findings.add(error.findings());
  } catch (const Error& error) {
    context.findings.add(at, error.context(), error.hint());
  }
  return file ? &*file : nullptr;
}

std::vector<std::string> class_names(const PythonFile& file) {
  std::vector<std::string> names;
  for (const auto& [name, signature] : file.nodes) names.push_back(name);
  return names;
}

bool resolve_python_file(const Value& value, std::size_t colon, Node* node, Context& context) {
  const std::string name = value.text.substr(0, colon);
  node->kind = NodeKind::python;
  node->class_name = value.text.substr(colon + 1);
  node->source_file = resolve_path(name, value.from_command_line, context);
  if (!context.around.exists(node->source_file)) {
    context.findings.add(value.at, "there is no file '" + shortened(name) + "'", "it was looked for at " + node->source_file.string());
    return false;
  }
  const PythonFile* file = python_file(node->source_file, value.at, context);
  if (file == nullptr) return false;
  const auto found = file->nodes.find(node->class_name);
  if (found != file->nodes.end()) {
    node->signature = found->second;
    node->code_files = file->files;
    return true;
  }
  const bool other = std::find(file->other_classes.begin(), file->other_classes.end(), node->class_name) != file->other_classes.end();
  context.findings.add(value.at,
                       other ? "class '" + node->class_name + "' in " + name + " isn't a node"
                             : "there is no class '" + shortened(node->class_name) + "' in " + shortened(name),
                       other ? "derive it from hawse.Node" : did_you_mean_or_list(node->class_name, class_names(*file), "node classes"));
  return false;
}

bool resolve_program(const Value& value, Node* node, Context& context) {
  node->kind = NodeKind::program;
  node->source_file = resolve_path(value.text, value.from_command_line, context);
  if (!context.around.exists(node->source_file)) {
    context.findings.add(value.at, "there is no program '" + shortened(value.text) + "'", "it was looked for at " + node->source_file.string());
    return false;
  }
  if (!context.around.executable(node->source_file)) {
    context.findings.add(value.at, "'" + shortened(value.text) + "' can't be executed",
                         "a Python class is named as file.py:Class; a program needs its x permission");
    return false;
  }
  try {
    node->signature = context.around.read_program(node->source_file).value_or(open_signature());
    node->code_files = {node->source_file};
    return true;
  } catch (const Error& error) {
    context.findings.add(value.at, "the signature in '" + shortened(value.text) + "' can't be used: " + error.context());
    return false;
  }
}

bool resolve_stock(const Value& value, Node* node, ExecutorKind* executor, Context& context) {
  node->kind = NodeKind::stock;
  std::vector<std::string> names;
  for (const StockNode& stock : context.around.stock) {
    names.push_back(stock.name);
    if (stock.name != value.text) continue;
    node->stock = stock.name;
    node->signature = stock.signature;
    *executor = stock.executor;
    return true;
  }
  if (value.text.ends_with(".py")) {
    context.findings.add(value.at, "'" + shortened(value.text) + "' names a file and no class",
                         "name the class, too: " + shortened(value.text) + ":Class");
  } else if (value.text.find('/') == std::string::npos && did_you_mean(value.text, names).empty()) {
    context.findings.add(value.at, "'" + shortened(value.text) + "' isn't a node",
                         "write a stock node (group/name), a Python class (file.py:Class, package.module:Class) or a program (./name)");
  } else {
    context.findings.add(value.at, "there is no stock node '" + shortened(value.text) + "'", did_you_mean_or_list(value.text, names, "stock nodes"));
  }
  return false;
}

}  // namespace

bool resolve_reference(const Value& value, Node* node, ExecutorKind* default_executor, Context& context) {
  node->reference = value.text;
  const std::string& text = value.text;
  const std::size_t colon = text.rfind(':');
  const std::string left = colon == std::string::npos ? "" : text.substr(0, colon), right = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (left.ends_with(".py") && is_identifier(right)) return resolve_python_file(value, colon, node, context);
  if (is_module(left) && is_identifier(right)) {
    node->kind = NodeKind::python;
    node->module = left;
    node->class_name = right;
    node->signature = open_signature();
    return true;
  }
  if (text.starts_with("./") || text.starts_with("../") || text.starts_with("/")) return resolve_program(value, node, context);
  return resolve_stock(value, node, default_executor, context);
}

}  // namespace hawse::pipeline
