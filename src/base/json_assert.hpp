// SPDX-License-Identifier: Apache-2.0
//
// Given to every source by the build. What nlohmann::json takes for granted, above all that a key is there, is checked in release builds too: an exception that
// ends in "internal error" instead of memory read astray.
#pragma once

#ifdef __cpp_exceptions  // the plane has neither exceptions nor JSON
#include <stdexcept>

namespace hawse {
[[noreturn]] inline void json_misused(const char* what) { throw std::logic_error(what); }
}  // namespace hawse

#define JSON_ASSERT(holds) ((holds) ? void() : ::hawse::json_misused("JSON was not as expected: " #holds))
#endif
