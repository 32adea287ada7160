// SPDX-License-Identifier: Apache-2.0
//
// A comparison as JSON, and as a terminal shows it: rows of a table, a paragraph of reasons a node, the lines for the manifest.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/advise/comparison.hpp"
#include "bench/advise/manifest_edit.hpp"

namespace hawse::bench::advise {

nlohmann::json to_json(const Comparison&);
std::vector<std::vector<std::string>> table_of(const Comparison&);  // the first row is the head
std::string reasons_of(const Comparison&);                          // paragraphs, at most 110 columns wide

// What --write puts in: executors that change, memory limits for containers that have none. Leaves out what isn't firm.
std::vector<NodeChange> changes_of(const Comparison&);

}  // namespace hawse::bench::advise
