// SPDX-License-Identifier: Apache-2.0
//
// The rows about a session's life: start-up, memory, idle, growth, isolation, limits, conflicts, reproducibility. Each runs real sessions (live_session.hpp)
// or the command itself; its pipelines lie in pipelines/. None depends on the placement of the cores.
#pragma once

#include <vector>

#include "bench/core/row.hpp"

namespace hawse::bench {

void add_life_rows(std::vector<RowSpec>&);

namespace life {  // the parts of it, a file each

void add_start_rows(std::vector<RowSpec>&);            // executors, second build, first frame
void add_process_start_rows(std::vector<RowSpec>&);    // Python and C++ nodes as processes
void add_container_start_rows(std::vector<RowSpec>&);
void add_footprint_rows(std::vector<RowSpec>&);        // memory, idle
void add_growth_rows(std::vector<RowSpec>&);
void add_isolation_rows(std::vector<RowSpec>&);
void add_limit_rows(std::vector<RowSpec>&);
void add_environment_rows(std::vector<RowSpec>&);      // conflicts, reproducibility

}  // namespace life
}  // namespace hawse::bench
