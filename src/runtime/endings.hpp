// SPDX-License-Identifier: Apache-2.0
//
// Every way in which a node can end, as one value in words.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "executor/executor.hpp"

namespace hawse::runtime {

// {"kind", "text", "hint", ...}, the text a sentence whose subject is the node; null where it ended in order. `failed`: the node's own last
// message; `broke`: why the runtime ended it ("" if it didn't).
nlohmann::json describe(const executor::Ending&, const std::optional<nlohmann::json>& failed, const std::string& broke, bool finished);
void name_limit(nlohmann::json& failure, const pipeline::Node&, const std::string& limits_by);  // where describe() shows the error or the signal of a limit
nlohmann::json tail_of(const std::deque<std::string>& lines);  // as a `failure` event has them

}  // namespace hawse::runtime
