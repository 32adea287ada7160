// SPDX-License-Identifier: Apache-2.0
//
// Where the machine has two cores at this moment. A virtual machine's cores move: for seconds or minutes two of them share a cache (NEAR), then they don't
// (FAR), and everything between them takes 2 to 20 times as long. One cache line sent there and back by two threads, each pinned to a core, tells.
//
// Threading: calibrate() starts a thread and joins it; both threads spin for about a millisecond. The caller's affinity is restored.
#pragma once

#include <optional>

#include "bench/core/result.hpp"

namespace hawse::bench {

// A line there and back takes less than this in NEAR. Seen: 65 to 140 ns in NEAR, 370 to 430 ns in FAR; this is their geometric middle.
inline constexpr double kNearBelow_ns = 230;

// Nanoseconds for one cache line there and back: the median of several short runs, so that an interruption doesn't count. nullopt: fewer than two cores to use.
std::optional<double> line_round_trip_ns();

inline Placement placement_of(double line_ns) { return line_ns < kNearBelow_ns ? Placement::near : Placement::far; }

}  // namespace hawse::bench
