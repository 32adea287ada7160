// SPDX-License-Identifier: Apache-2.0
//
// The stock nodes as the manifest and the executors want them: signatures read, executors named, nodes made by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hawse/node.hpp"
#include "pipeline/pipeline.hpp"

namespace hawse::embed {

std::vector<pipeline::StockNode> stock_nodes();
std::unique_ptr<Node> make_stock_node(const std::string& name);  // nullptr: no such node

}  // namespace hawse::embed
