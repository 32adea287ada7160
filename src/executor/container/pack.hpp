// SPDX-License-Identifier: Apache-2.0
//
// A Python node's whole environment as one image: its base, its packages, its code and the node-side library. Nothing of it is on the host any more, and
// nothing of it can change: a manifest names it by its id.
//
// Inside, /opt/hawse/code and /opt/hawse/packages stand first on the path of the image's Python. Built by the engine from files, without a network.
#pragma once

#include <string>

#include "executor/executor.hpp"

namespace hawse::executor {

struct PackedNode {
  std::string image;      // "registry.example/captions@sha256:..." where a registry has it, else its id: "sha256:..."
  std::string reference;  // how the node's class is named now: "nodes:Speech"
  std::uint64_t bytes = 0;
};

bool can_be_packed(const pipeline::Node&);  // a Python class that runs in a container
// `tag`: "hawse/pack:captions-speech". Throws Error.
PackedNode pack_node(const pipeline::Node&, const std::string& tag, const Report&, const Making&);

}  // namespace hawse::executor
