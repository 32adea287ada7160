// SPDX-License-Identifier: Apache-2.0
//
// For tests and the fuzz target: a manifest in memory, with a few stock nodes, Python classes and programs around it.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::pipeline {

inline StockNode stock_node(const char* name, const char* signature, ExecutorKind executor = ExecutorKind::thread) {
  return {name, parse_signature(std::string_view(signature)), executor};
}

// Everything lies in /project, the manifest is /project/pipeline.yaml, and the command line is given in the current folder.
struct Project {
  std::map<std::string, std::string> python = {{"/project/nodes.py", R"({
      "Speech": {"inputs": {"audio": "audio"}, "outputs": {"out": "audio"}, "params": {"threshold": {"type": "float", "default": 0.5, "minimum": 0, "maximum": 1}}},
      "Recognise": {"inputs": {"audio": "audio"}, "outputs": {"out": "text"}},
      "Split": {"inputs": {"audio": "audio"}, "outputs": {"left": "audio", "right": "audio", "words": "text"}},
      "Mix": {"matched": true, "inputs": {"left": "audio", "right": "audio"}, "outputs": {"out": "audio"}},
      "Open": {"matched": null, "any_inputs": true, "any_outputs": true},
      "Hint": {"matched": true, "inputs": {"audio": "audio", "hint": "text?"}, "outputs": {"out": "text"}}})"}};
  std::map<std::string, std::string> programs = {{"/project/invert", R"({"inputs": {"video": "video"}, "outputs": {"out": "video"}})"},
                                                 {"/project/plain", ""}};
  std::vector<std::string> files = {"/project/models"};
  std::vector<StockNode> stock = {
      stock_node("media/source", R"({"source": true, "outputs": {"audio": "audio", "video": "video"}, "params": {
          "uri": {"type": "path", "required": true, "doc": "what to open"},
          "audio": {"type": "dict", "fields": {"rate": {"type": "int", "minimum": 1000, "maximum": 384000}, "format": {"type": "str", "choices": ["float32", "int16"]}}},
          "buffer": {"type": "size", "minimum": 1024}, "wait": {"type": "duration", "maximum": 60}, "loop": {"type": "bool"}, "title": {"type": "str"},
          "start": {"type": "int|str"}, "shape": {"type": "list", "items": "int", "maximum": 3}, "extra": {"type": "any"}}})",
                 ExecutorKind::process),
      stock_node("media/sink", R"({"inputs": {"audio": "audio?", "video": "video?"}, "params": {"uri": {"type": "path", "required": true}}})"),
      stock_node("text/srt", R"({"inputs": {"text": "text"}, "params": {"path": {"type": "path", "required": true}}})"),
      stock_node("text/print", R"({"inputs": {"text": "text|json"}})"),
      stock_node("hawse/timer", R"({"source": true, "background": true, "outputs": {"out": "json"}, "any_params": true})"),
      stock_node("test/source", R"({"source": true, "outputs": {"out": "any"}, "any_params": true})")};

  Surroundings surroundings(const std::string& manifest) const {
    Surroundings around;
    around.stock = stock;
    around.read_file = [manifest](const std::filesystem::path&) { return manifest; };
    around.exists = [this](const std::filesystem::path& path) {
      return python.contains(path.string()) || programs.contains(path.string()) ||
             std::find(files.begin(), files.end(), path.string()) != files.end();
    };
    around.executable = [this](const std::filesystem::path& path) { return programs.contains(path.string()); };
    around.read_python = [this](const std::filesystem::path& path) {
      PythonFile file;
      const ordered_json classes = ordered_json::parse(python.at(path.string()));
      for (const auto& [name, signature] : classes.items()) file.nodes[name] = parse_signature(signature);
      file.other_classes = {"Helper"};
      file.files = {path};
      return file;
    };
    around.read_program = [this](const std::filesystem::path& path) {
      const std::string& text = programs.at(path.string());
      return text.empty() ? std::nullopt : std::optional(parse_signature(std::string_view(text)));
    };
    return around;
  }

  Pipeline load(const std::string& manifest, const LoadOptions& options = {}) const {
    return pipeline::load("/project/pipeline.yaml", options, surroundings(manifest));
  }
};

}  // namespace hawse::pipeline
