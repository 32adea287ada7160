// SPDX-License-Identifier: Apache-2.0
//
// What `node:` names: a stock node, a Python class in a file or a module, or a program; and its signature.
#pragma once

#include "pipeline/context.hpp"

namespace hawse::pipeline {

// Accepts every port and param: what isn't known before the run, and what was reported already (one mistake makes one finding).
inline Signature open_signature() {
  Signature signature;
  signature.any_inputs = signature.any_outputs = signature.any_params = true;
  return signature;
}

// Fills kind, reference, stock, source_file, module, class_name, code_files and signature (left as it is after a finding: false).
// `default_executor` becomes the stock node's own.
bool resolve_reference(const Value& reference, Node* node, ExecutorKind* default_executor, Context&);

}  // namespace hawse::pipeline
