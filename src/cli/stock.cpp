// SPDX-License-Identifier: Apache-2.0
#include "cli/stock.hpp"

#include "nodes/catalogue.hpp"

namespace hawse::cli {

std::vector<pipeline::StockNode> stock_nodes() {
  std::vector<pipeline::StockNode> nodes;
  for (const auto& entry : nodes::catalogue()) {
    const auto executor = entry.executor == "process" ? pipeline::ExecutorKind::process : pipeline::ExecutorKind::thread;
    nodes.push_back({entry.name, pipeline::parse_signature(pipeline::json::parse(entry.signature)), executor});
  }
  return nodes;
}

std::unique_ptr<Node> make_stock_node(const std::string& name) {
  const auto entries = nodes::catalogue();
  const auto* entry = nodes::find(entries, name);
  return entry == nullptr ? nullptr : entry->make();
}

}  // namespace hawse::cli
