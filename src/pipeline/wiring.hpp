// SPDX-License-Identifier: Apache-2.0
//
// Edges as they are written, before their ports are looked up: chains and mappings, expanded into pairs of ends.
#pragma once

#include "pipeline/context.hpp"
#include "pipeline/fields.hpp"

namespace hawse::pipeline {

struct WrittenEnd {
  std::string node, port;  // port "": the one that fits
  Position at;
  bool application = false;  // the embedding program's, declared under inputs: or outputs:
  bool middle = false;       // of a chain: the port belongs to the side on which the node has it
};

struct WrittenEdge {
  WrittenEnd from, to;
  std::uint32_t queue = 8;
  plane::WhenFull when_full = plane::WhenFull::block;
  bool feedback = false;
  Position at;
};

// In the manifest's order, those of inputs: and outputs: last, with kApplication as their other end.
std::vector<WrittenEdge> read_wiring(const Fields& top, Findings&);
std::vector<std::string> application_ports(const Fields& top, const char* key);

}  // namespace hawse::pipeline
