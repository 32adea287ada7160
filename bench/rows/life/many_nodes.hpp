// SPDX-License-Identifier: Apache-2.0
//
// Pipelines of many nodes alike, for rows that ask what one more of them costs.
#pragma once

#include <nlohmann/json.hpp>

#include "bench/rows/life/live_session.hpp"

namespace hawse::bench::life {

// `count` sources n0, n1, ... that all lead into one sink; the run ends when they end.
pipeline::Pipeline many_sources(Pass&, unsigned count, const nlohmann::json& node);
// `count` nodes n0, n1, ... that wait for frames of one source: it sends one, and then none for a quarter of an hour.
pipeline::Pipeline many_waiting(Pass&, unsigned count, const nlohmann::json& node);
// `node`, and a source that sends it one frame and ends.
pipeline::Pipeline fed_once(Pass&, const nlohmann::json& node);
std::string nth(unsigned);  // "n7"

}  // namespace hawse::bench::life
