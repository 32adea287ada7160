// SPDX-License-Identifier: Apache-2.0
//
// What the manifest alone tells of each node: who wrote what runs in it, whether its input has a pace of its own, what only a container gives it.
#pragma once

#include <string>
#include <vector>

#include "bench/advise/advice.hpp"

namespace hawse::bench::advise {

// `host_python`: the version that a process gets unless the manifest says otherwise, "3.11.7"; "" where there is none.
NodeFacts facts_of(const pipeline::Node&, const pipeline::Pipeline&, const std::string& host_python);

}  // namespace hawse::bench::advise
