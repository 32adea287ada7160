// SPDX-License-Identifier: Apache-2.0
//
// The rows of the plane between two C++ processes: hand-over, round trips, rates, growth; ours beside the peers and the floors, all through the same loops
// (bench/peers/loops.cpp).
#pragma once

#include <vector>

#include "bench/core/row.hpp"

namespace hawse::bench {

void add_plane_rows(std::vector<RowSpec>&);

}  // namespace hawse::bench
