// SPDX-License-Identifier: Apache-2.0
//
// The limit that holds where the manifest gives none.
#pragma once

#include "pipeline/pipeline.hpp"

namespace hawse::pipeline {

inline constexpr std::uint64_t kContainerPids = 256;  // a node that forks without end ends in its own container

inline std::optional<std::uint64_t> pids_limit(const Node& node) {
  return node.limits.pids || node.executor != ExecutorKind::container ? node.limits.pids : std::optional(kContainerPids);
}

}  // namespace hawse::pipeline
