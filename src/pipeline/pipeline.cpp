// SPDX-License-Identifier: Apache-2.0
//
// The pipeline value: its words, and finding a node in it.
#include "pipeline/pipeline.hpp"

namespace hawse::pipeline {

const char* to_string(ExecutorKind kind) {
  switch (kind) {
    case ExecutorKind::thread: return "thread";
    case ExecutorKind::process: return "process";
    case ExecutorKind::container: return "container";
  }
  return "";
}

std::optional<ExecutorKind> executor_kind(std::string_view text) {
  for (const auto kind : {ExecutorKind::thread, ExecutorKind::process, ExecutorKind::container})
    if (text == to_string(kind)) return kind;
  return std::nullopt;
}

const Node* Pipeline::find(const std::string& id) const {
  for (const Node& node : nodes)
    if (node.id == id) return &node;
  return nullptr;
}

}  // namespace hawse::pipeline
