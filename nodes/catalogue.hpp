// SPDX-License-Identifier: Apache-2.0
//
// The stock nodes: their names, what they take and give, and how to make one. A value that main builds and passes on.
// A stock node is written against the public API only (include/hawse); docs/nodes.md describes each.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hawse/node.hpp"

namespace hawse::nodes {

struct StockEntry {
  std::string name;       // "media/source"
  std::string signature;  // JSON (src/pipeline/pipeline.hpp tells its form)
  std::string executor;   // the default: "thread" or "process"
  std::unique_ptr<Node> (*make)();
};

std::vector<StockEntry> catalogue();
const StockEntry* find(const std::vector<StockEntry>&, std::string_view name);  // nullptr: no such node

}  // namespace hawse::nodes
