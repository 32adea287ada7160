// SPDX-License-Identifier: Apache-2.0
//
// A line of a node's log: its level, also where the node writes JSON of its own, and its time as text. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace hawse::cli {

// The object that a line of structured logging is; null where it is none.
nlohmann::json structured(const std::string& text);
// "debug", "info", "warning" or "error": the line's, else what the node's own JSON says under level, levelname or severity (in any case, "warn", "critical" and
// "fatal" included), else "info".
std::string level_of(const nlohmann::json& line, const nlohmann::json& data);
int level_number(const std::string& level);  // 0 debug ... 3 error; "" and unknown: 0

std::string time_text(std::int64_t time_ns);  // "14:03:22.120", local

}  // namespace hawse::cli
