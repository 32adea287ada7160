// SPDX-License-Identifier: Apache-2.0
//
// All rows of the table, in the report's order. Each folder below adds its own: life (starts, memory, growth, isolation, limits), plane (two C++ processes
// beside the peers and the floors), nodes (real nodes in real pipelines).
#pragma once

#include <vector>

#include "bench/core/row.hpp"

namespace hawse::bench {

std::vector<RowSpec> all_rows();

}  // namespace hawse::bench
