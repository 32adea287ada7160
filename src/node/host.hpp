// SPDX-License-Identifier: Apache-2.0
//
// The whole life of a C++ node over its control socket, in the order that include/hawse/node.hpp promises.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/fd.hpp"
#include "hawse/node.hpp"

namespace hawse::node {

struct HostOptions {
  bool in_process = false;  // a thread of the runtime: a hang-up of the socket ends the node, not the process
  nlohmann::json params;    // "params" of the node's signature: its defaults complete those of the manifest
};

using MakeNode = std::function<std::unique_ptr<Node>()>;

// Runs `make()`'s node to its end. 0: it finished; 1: it failed (and said so), or the runtime was gone. Throws nothing.
int run_node(UniqueFd control, const MakeNode& make, const HostOptions& options) noexcept;

}  // namespace hawse::node
