// SPDX-License-Identifier: Apache-2.0
//
// Two ends of a transport in two processes of their own, each kept to a core of its own, or both to one: what a row of bench/rows measures is one call of run_pair().
//
// Ownership. Both processes are ended and reaped, and what the transport left behind is removed, before run_pair() returns or throws.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/peers/job.hpp"

namespace hawse::bench {

struct PairJob {
  std::string peer = {};  // "hawse", "two_lines", "ring", "futex", "touch", "unix_socket", or a plug-in: "iceoryx2", "zeromq"
  Loop loop = Loop::ping_pong;
  std::int32_t wait = HAWSE_PEER_POLLING;
  Touch touch = Touch::none;
  bool touch_only = false;
  bool one_core = false;  // sleeping ends only: two that poll would wait for each other's time slice
  std::uint32_t readers = 1;
  std::uint32_t depth = 8;  // what an edge has by default
  std::size_t samples = 1;
  std::uint32_t operations = 1;
  std::uint32_t warm_up = 0;
  std::uint64_t bytes = 64, reply_bytes = 64;
  std::int64_t spin_ns = 20'000;  // where it waits adaptively: a node's default
  std::int64_t gap_min_ns = 0, gap_max_ns = 0;  // below a second
  std::int64_t limit_ns = 60'000'000'000;       // for the whole; then both are killed
};

struct PairResult {
  std::vector<float> values;
  std::string version;
};

// Throws Unavailable with the reason: the plug-in isn't built, one core only, what an end said, how it ended.
PairResult run_pair(const PairJob&);

}  // namespace hawse::bench
