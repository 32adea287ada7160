// SPDX-License-Identifier: Apache-2.0
//
// What a pair of ends is told to do, and where its figures come back: one memory that `hawse bench` and both ends map. Nothing of it travels through the transport that
// is measured.
//
//   +------+--------------+----------------------+
//   | Area | float[values] | int64[values] marks |
//   +------+--------------+----------------------+
//
// values: the samples. Written by end 0; in Loop::one_way by end 1. marks: what the ends tell each other about a sample (when it was sent; how long the other end's
// touching took): written by one end before it sends, read by the other after it received.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "bench/peers/peer.h"

namespace hawse::bench {

enum class Loop : std::uint32_t {
  ping_pong,    // value: ns from before end 0's loan to its release of the answer: a round trip, divided by the readers
  one_way,      // value: ns from before end 0's loan to the return of end 1's receive; a random gap before each
  stream,       // value: payloads a second, end 0 sends `operations`, end 1 answers the last with what it counted
  write_alone,  // value: payloads a second that end 0 writes where loan points to, sending none (peer touch)
  set_up,       // value: ns a direction from before open to the answer to the first payload, halved
};

enum class Touch : std::uint32_t {
  none,              // payloads are neither written nor read
  written,           // every byte is written, and read at samples (pattern.hpp)
  written_and_read,  // every byte is written by one end and compared by the other
};

struct Job {
  char peer[32];
  char plugin[512];  // path of the shared library; "": built in
  char folder[256];
  Loop loop;
  std::int32_t wait;  // HAWSE_PEER_...
  Touch touch;
  std::uint32_t touch_only;  // ping_pong: the values are the time both ends spent in writing and reading
  std::uint32_t readers;
  std::uint32_t depth;
  std::uint32_t samples;
  std::uint32_t operations;             // a sample
  std::uint32_t warm_up;                // operations before the first sample
  std::uint64_t bytes;                  // of end 0's payloads
  std::uint64_t reply_bytes;            // of end 1's
  std::int64_t gap_min_ns, gap_max_ns;  // one_way
  std::int64_t spin_ns;                 // HAWSE_PEER_ADAPTIVE
};

struct Area {
  Job job;
  char version[64];    // of the transport, as it says itself
  char error[2][512];  // of each end; "": none
  float* values() noexcept { return reinterpret_cast<float*>(this + 1); }
  std::atomic<std::int64_t>* marks() noexcept { return reinterpret_cast<std::atomic<std::int64_t>*>(values() + (job.samples + 1) / 2 * 2); }
};
static_assert(sizeof(Area) % 8 == 0);

constexpr std::size_t area_bytes(std::uint32_t samples) {
  return sizeof(Area) + (samples + 1) / 2 * 2 * sizeof(float) + samples * sizeof(std::int64_t);
}

inline constexpr int kAreaFd = 3, kSocketFd = 4;  // of an end's process

}  // namespace hawse::bench
