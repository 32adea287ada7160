// SPDX-License-Identifier: Apache-2.0
//
// Everything that Hawsepipe keeps on a machine between runs, for the commands that show and remove it; and what runs of containers leave behind.
//
// Each call finds the engine by itself. Without one that answers, list, remove and prune work on package folders alone; the others throw Error(engine).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "executor/executor.hpp"
#include "executor/python/environment_index.hpp"

namespace hawse::executor {

struct ListedEnvironment : Environment {
  std::string used_by;  // running containers that need it, "hawse-x7-speech-1"; "": none
};
std::vector<ListedEnvironment> list_environments();  // kinds base, image, packages; the last used first

struct Removal {
  std::uint64_t freed_bytes = 0;
  std::vector<std::string> removed;  // "packages 3f2a...: python 3.9: numpy 1.26.4"
  std::vector<std::string> kept;     // with the reason: "image hawse/env:3f2a: used by hawse-x7-speech-1"
};
// Those whose key (packages: hash; images: reference, or the part after its colon) begins with `prefix`. Throws Error(usage) where none does.
Removal remove_environments(const std::string& prefix);
// Those not used for `older_than_s`, of them not the `keep` that were used last. Base images are kept unless `bases`.
Removal prune_environments(std::int64_t older_than_s, std::size_t keep = 0, bool bases = false);

std::string make_base(const std::string& python_version, const Report&);  // "hawse/python:3.9"

unsigned sweep_leftovers();                           // containers of ours whose process is gone; how many were removed
unsigned kill_session(const std::string& session);    // all containers of that session; how many were removed

}  // namespace hawse::executor
