// SPDX-License-Identifier: Apache-2.0
//
// A run for the tests of this folder, with everything that a run can hold.
#pragma once

#include <limits>

#include "bench/core/result.hpp"

namespace hawse::bench {

inline Run example_run() {
  Series ours{{"process 64 B", "process", Role::ours, "ns", Wait::sleeping, Payload::written_and_read, 64.0, "frame bytes", "", 1000}, "", "", {}};
  ours.batches = {{0, Placement::near, {0.1f, 130.5f, std::numeric_limits<float>::denorm_min(), -3}},
                  {1, Placement::far, {400.25f, 401}},
                  {2, Placement::moved, {300}},
                  {3, Placement::near, {}},
                  {4, Placement::near, {131, 132}}};
  Series peer{
      {"iceoryx2", "", Role::peer, "ns", Wait::polling, Payload::untouched, {}, "", "", 1}, "0.7.0, \"beta\"", "cargo isn't there,\nor too old", {}};
  Series phase{
      {"imports", "container", Role::floor, "ns", Wait::none, Payload::none, {}, "", "process 64 B", 1}, "", "", {{0, Placement::any, {5, 6, 7}}}};
  Row latency{
      "latency/64",
      "Latency",
      "Round trip, 64 B",
      "From send to receive, between two processes — µs",
      Better::less,
      {{"≤ 1.5 × physical", "process 64 B", Statistic::p99, Target::Relation::at_most, 1.5, "iceoryx2"},
       {"≤ 1 ms", "process 64 B", Statistic::median, Target::Relation::at_most, 1e6, ""},
       {"the phases sum up", "process 64 B", Statistic::sum_of_phases, Target::Relation::within, 0.02, "process 64 B"}},
      "",
      {ours, peer, phase},
      {{"read the host's /dev/shm", "container", "EACCES", true}, {"inodes", "", "12", std::nullopt}, {"write", "process", "it could", false}}};
  Row absent{"gpu", "Compute", "On a GPU", "", Better::more, {}, "this machine has no GPU", {}, {}};
  Run run;
  run.started_s = 1795000000;
  run.seconds = 125;
  run.command = "hawse bench latency --quick";
  run.effort = "quick";
  run.version = "0.1.0";
  run.commit = "82f1d3255aa93c6bb1a05a39bb4e1e5b8b9b4b61+";
  run.machine = {"A CPU", "6.1.0", "8 GiB", "Debian 12", "Docker 20.10", "g++ 12.2", "3.11.7", 2, {{"cgroup", "v1"}, {"virtualisation", "kvm"}}};
  run.near_ns = 123.4;
  run.rows = {latency, absent};
  return run;
}

}  // namespace hawse::bench
