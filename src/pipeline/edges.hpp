// SPDX-License-Identifier: Apache-2.0
//
// `edges:`, `inputs:` and `outputs:` into checked edges between existing ports whose types fit, without a cycle that nobody asked for.
#pragma once

#include "pipeline/context.hpp"
#include "pipeline/fields.hpp"

namespace hawse::pipeline {

inline constexpr std::size_t kMaxEdges = 10'000;

// Fills edges, inputs and outputs of a pipeline whose nodes are there. `top`: the manifest's top level.
void read_edges(const Fields& top, Pipeline*, Context&);

}  // namespace hawse::pipeline
