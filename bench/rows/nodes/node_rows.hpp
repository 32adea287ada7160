// SPDX-License-Identifier: Apache-2.0
//
// Rows that measure real nodes in real pipelines, started by the runtime as processes and in containers, beside dora and iceoryx2's Python wheel.
#pragma once

#include <vector>

#include "bench/core/row.hpp"

namespace hawse::bench {

void add_node_rows(std::vector<RowSpec>&);

// To the row that times `hawse run` up to the first frame: the same with `dora run`, as its series "dora".
void add_dora_first_frame(RowSpec&);

}  // namespace hawse::bench
