// SPDX-License-Identifier: Apache-2.0
#include "embed/stock.hpp"

#include "nodes/catalogue.hpp"

namespace hawse::embed {

std::vector<pipeline::StockNode> stock_nodes() {
  std::vector<pipeline::StockNode> all;
  for (const auto& entry : nodes::catalogue()) {
    const auto executor = entry.executor == "process" ? pipeline::ExecutorKind::process : pipeline::ExecutorKind::thread;
    all.push_back({.name = entry.name, .signature = pipeline::parse_signature(std::string_view(entry.signature)), .executor = executor});
  }
  return all;
}

std::unique_ptr<Node> make_stock_node(const std::string& name) {
  const auto all = nodes::catalogue();
  const auto* entry = nodes::find(all, name);
  return entry != nullptr ? entry->make() : nullptr;
}

}  // namespace hawse::embed
