// SPDX-License-Identifier: Apache-2.0
//
// What a node may say: its message as checked JSON, or an Error whose context says which rule it broke. Pure; fuzzed.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "plane/layout.hpp"

namespace hawse::runtime {

nlohmann::json parse_node_message(std::string_view text, std::size_t fd_count);
const char* name_of(plane::FrameType) noexcept;  // "audio"; "any" for none

}  // namespace hawse::runtime
