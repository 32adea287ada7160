// SPDX-License-Identifier: Apache-2.0
//
// The `nodes:` section: each node's fields into a Node, with the command line's --executor and --env applied.
#pragma once

#include "pipeline/context.hpp"

namespace hawse::pipeline {

std::vector<Node> read_nodes(const Value& section, Context&);

}  // namespace hawse::pipeline
