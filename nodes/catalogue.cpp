// SPDX-License-Identifier: Apache-2.0
//
// One line a node; its signature stands beside its code.
#include "catalogue.hpp"

#include "entries.hpp"

namespace hawse::nodes {

std::vector<StockEntry> self_contained() { return {timer(), json_lines(), test_sink(), test_source(), text_print(), text_srt()}; }

const StockEntry* find(const std::vector<StockEntry>& entries, std::string_view name) {
  for (const StockEntry& entry : entries)
    if (entry.name == name) return &entry;
  return nullptr;
}

}  // namespace hawse::nodes
