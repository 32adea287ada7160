// SPDX-License-Identifier: Apache-2.0
//
// A peer that runs in Python: its packages, installed once with pinned versions, and its process, which measures on command (pipelines/channel.py).
//
// Ownership: a PeerProcess owns the process, everything that this started, its named pipes, and what it puts under /dev/shm; destruction ends and removes it all.
// Threading: one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/subprocess.hpp"

namespace hawse::bench {

struct PeerPackages {
  std::filesystem::path folder, python;
  std::string versions;  // "iceoryx2 0.10.0, numpy 2.4.6"
};

// Installed at the first call, into state_dir()/bench/store. Throws Unavailable with uv's own last line.
PeerPackages dora_packages();
PeerPackages iceoryx2_packages();

class PeerProcess {
 public:
  // arguments: of the packages' Python. folder: an empty one for its named pipes and working files. env: beside what every peer gets.
  PeerProcess(PeerPackages, const std::filesystem::path& folder, const std::vector<std::string>& arguments, const std::map<std::string, std::string>& env);
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;
  ~PeerProcess();

  void tell(nlohmann::json command);
  // The next answer that carries this id. Throws Unavailable with the process's last line where it ended, or gave none in time.
  nlohmann::json answer(int id, std::chrono::milliseconds timeout);
  nlohmann::json ask(nlohmann::json command);
  const std::string& versions() const noexcept { return packages_.versions; }
  std::int64_t started_ns() const noexcept { return started_ns_; }  // CLOCK_MONOTONIC, just before it was started

 private:
  std::string last_line() const;
  std::vector<pid_t> all_pids() const;
  std::set<std::string> shared_files() const;
  void end_by_force();

  PeerPackages packages_;
  std::filesystem::path folder_;
  std::string shared_memory_prefix_;
  UniqueFd commands_, answers_;
  std::string received_;
  int next_id_ = 1;
  std::int64_t started_ns_ = 0;
  Subprocess process_;
};

}  // namespace hawse::bench
