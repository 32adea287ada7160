// SPDX-License-Identifier: Apache-2.0
//
// Everything that Hawsepipe keeps on a machine between runs, for the commands that show and remove it; and what runs of containers leave behind.
//
// Each call finds the engine by itself. Without one that answers, list, remove and prune work on package folders alone; the others throw Error(engine).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "executor/executor.hpp"
#include "executor/python/environment_index.hpp"

namespace hawse::executor {

struct ListedEnvironment : Environment {
  std::vector<std::string> used_by = {};  // now: "captions.yaml (process 4711)", and containers that run, "hawse-x7-speech-1"
};
std::vector<ListedEnvironment> list_environments();  // kinds base, image, packages, packed, wheel; the last used first

struct Removal {
  std::uint64_t freed_bytes = 0;
  std::vector<std::string> removed;  // "packages 3f2a...: python 3.9: numpy 1.26.4"
  std::vector<std::string> kept;     // with the reason: "image hawse/env:3f2a: used by hawse-x7-speech-1"
};
// Those whose key (packages: hash; images: reference, or the part after its colon) begins with `prefix`. Throws Error(usage) where none does.
Removal remove_environments(const std::string& prefix);

struct Pruning {
  std::optional<std::int64_t> older_than_s;  // what hasn't been used for so long goes
  std::optional<std::uint64_t> keep_bytes;   // of the rest, the least recently used go until all together have this size at most
  bool bases = false;                        // base images, too
  bool dry_run = false;                      // only say what would go: nothing is removed
};
Removal prune_environments(const Pruning&);

std::string make_base(const std::string& python_version, const Report&, const Making&);  // "hawse/python:3.9"

unsigned sweep_leftovers(const std::shared_ptr<Interrupt>& = nullptr);  // containers of ours whose process is gone; how many were removed
unsigned kill_session(const std::string& session);                      // all containers of that session; how many were removed

}  // namespace hawse::executor
