// SPDX-License-Identifier: Apache-2.0
//
// The transports that are built into hawse-bench-end; the others are plug-ins.
#pragma once

#include "bench/peers/peer.h"

namespace hawse::bench {

hawse_transport plane_api();  // "hawse": ours
hawse_transport two_lines_api();
hawse_transport ring_api();
hawse_transport futex_api();
hawse_transport touch_api();
hawse_transport unix_socket_api();

}  // namespace hawse::bench
