// SPDX-License-Identifier: Apache-2.0
//
// The table that a run ends with: for each node where it ran and how it fared, for each edge what went over it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace hawse::cli {

std::string summary_table(const nlohmann::json& summary);  // of runtime::Session::summary()

// Columns as wide as their widest cell, two spaces apart; the cells of the columns named in `right` are set right.
std::string align(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right);

}  // namespace hawse::cli
