// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/nodes/python_peers.hpp"

#include <fmt/format.h>

#include "bench/core/row.hpp"

namespace hawse::bench {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

PeerProcess dora_run(const std::string& nodes, const std::string& folder, const std::map<std::string, std::string>& env) {
  const PeerPackages packages = dora_packages();
  return PeerProcess(packages, folder, {(packages.folder / "bin" / "dora").string(), "run", nodes + "/dora.yml"}, env);
}

std::map<std::string, std::string> pool_of(std::uint64_t bytes) {
  if (bytes == 0) return {};
  return {{"DORA_NODE_SHM_POOL_SIZE", std::to_string(bytes)}};
}

}  // namespace

Iceoryx2Wheel::Iceoryx2Wheel(const std::string& nodes, const std::string& folder)
    : process_(iceoryx2_packages(), folder, {nodes + "/iceoryx2_ends.py", "ping"}, {}) {}

std::vector<float> Iceoryx2Wheel::round_trips(std::size_t count, std::size_t bytes, bool polling, bool written) {
  return process_.ask({{"count", count}, {"bytes", bytes}, {"wait", polling ? "polling" : "sleeping"}, {"written", written}}).at("samples");
}

DoraFlow::DoraFlow(const std::string& nodes, const std::string& folder, std::uint64_t pool_bytes) : process_(dora_run(nodes, folder, pool_of(pool_bytes))) { connect(); }

// dora drops what is sent before its two nodes have found each other, without saying so: short bursts until one gets through.
void DoraFlow::connect() {
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    process_.tell({{"id", -attempt}, {"count", 1}, {"bytes", 64}, {"gap_ns", 1'000'000}});
    try {
      process_.answer(-attempt, milliseconds(3000));
      return;
    } catch (const Unavailable&) {
      if (attempt == kAttempts) throw;
    }
  }
}

DoraAnswer DoraFlow::ask(std::size_t count, std::size_t bytes, std::int64_t gap_ns) {
  const json answer = process_.ask({{"count", count}, {"bytes", bytes}, {"gap_ns", gap_ns}});
  return {answer.at("samples"), answer.at("lost")};
}

DoraFirstFrame dora_first_frame(const std::string& nodes, const std::string& folder) {
  PeerProcess process = dora_run(nodes, folder, {{"HAWSE_BENCH_FIRST_FRAME", "1"}});
  const std::int64_t first_ns = process.answer(0, milliseconds(60'000)).at("first_ns");
  return {static_cast<float>(first_ns - process.started_ns()), process.versions()};
}

}  // namespace hawse::bench
