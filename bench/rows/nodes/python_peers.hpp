// SPDX-License-Identifier: Apache-2.0
//
// The two peers whose nodes are Python: iceoryx2's wheel (two processes, one starts the other) and dora (`dora run` with two nodes).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/rows/nodes/peer_process.hpp"

namespace hawse::bench {

// pipelines/iceoryx2_ends.py
class Iceoryx2Wheel {
 public:
  Iceoryx2Wheel(const std::string& nodes, const std::string& folder);
  std::vector<float> round_trips(std::size_t count, std::size_t bytes, bool polling, bool written);  // ns
  const std::string& versions() const noexcept { return process_.versions(); }

 private:
  PeerProcess process_;
};

struct DoraAnswer {
  std::vector<float> samples;
  std::int64_t lost = 0;
};

// pipelines/dora.yml. pool_bytes: of a node's shared memory; 0: dora's own default.
class DoraFlow {
 public:
  DoraFlow(const std::string& nodes, const std::string& folder, std::uint64_t pool_bytes = 0);
  DoraAnswer ask(std::size_t count, std::size_t bytes, std::int64_t gap_ns);
  const std::string& versions() const noexcept { return process_.versions(); }

 private:
  void connect();
  PeerProcess process_;
};

struct DoraFirstFrame {
  float after_ns = 0;  // the start of `dora run`, in the second of two Python nodes
  std::string versions;
};
DoraFirstFrame dora_first_frame(const std::string& nodes, const std::string& folder);

}  // namespace hawse::bench
