// SPDX-License-Identifier: Apache-2.0
//
// The stock nodes, in the words of the layers that know nothing of them: their signatures for the manifest, a factory for the thread executor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hawse/node.hpp"
#include "pipeline/pipeline.hpp"

namespace hawse::cli {

std::vector<pipeline::StockNode> stock_nodes();
std::unique_ptr<Node> make_stock_node(const std::string& name);  // nullptr: no such node

}  // namespace hawse::cli
