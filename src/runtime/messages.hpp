// SPDX-License-Identifier: Apache-2.0
//
// What a node may say on its control socket, and what a command may ask on the session's: the message as checked JSON, or an Error whose context says
// which rule it broke. Pure; fuzzed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "plane/port.hpp"

namespace hawse::runtime {

inline constexpr unsigned kControlVersion = 1;  // of requests and their answers (docs/control.md)

nlohmann::json parse_node_message(std::string_view text, std::size_t fd_count);
nlohmann::json parse_request(std::string_view text, std::size_t fd_count);
std::string text_of(const nlohmann::json&);  // on one line; bytes that are no UTF-8 are replaced
const char* name_of(plane::FrameType) noexcept;  // "audio"; "any" for none
const char* name_of(plane::WhenFull) noexcept;

}  // namespace hawse::runtime
