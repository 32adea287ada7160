// SPDX-License-Identifier: Apache-2.0
//
// How much CPU time a running node has used, read from /proc and the engine's control group: nothing is asked of the node.
#pragma once

#include <optional>
#include <string>

namespace hawse::bench::advise {

// `where` as the session tells it: "process 4711" (with all that it started), "container 3f2a91c04d11". Seconds; nullopt: can't be seen.
std::optional<double> cpu_seconds(const std::string& where);

}  // namespace hawse::bench::advise
