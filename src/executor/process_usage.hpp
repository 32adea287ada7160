// SPDX-License-Identifier: Apache-2.0
//
// What /proc says of one process, for what its control group doesn't tell (v1 has no CPU time in the groups that we make) or where there is none.
#pragma once

#include "executor/executor.hpp"

namespace hawse::executor {

void complete_from_proc(Usage&, pid_t) noexcept;  // what is missing: resident memory and its peak, CPU time with that of the children it has reaped

}  // namespace hawse::executor
