// SPDX-License-Identifier: Apache-2.0
//
// How a node's program comes to its socket (docs/protocol.md).
#pragma once

#include "base/fd.hpp"

namespace hawse::node {

UniqueFd runtime_socket();  // empty: the runtime didn't start this program, or the socket was taken before. Throws Error

}  // namespace hawse::node
