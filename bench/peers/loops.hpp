// SPDX-License-Identifier: Apache-2.0
//
// The loops that every transport goes through, by CLOCK_MONOTONIC. One call an end; both ends run the same job.
#pragma once

#include "bench/peers/job.hpp"

namespace hawse::bench {

// Opens the end, runs its side of the job and closes it. `core`: the core that the end keeps to. Throws std::runtime_error with what went wrong: the transport's own
// reason, or a payload that arrived wrong.
void run_end(const hawse_transport&, const hawse_peer_setup&, Area&, int core);

}  // namespace hawse::bench
