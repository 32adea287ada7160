// SPDX-License-Identifier: Apache-2.0
//
// The labels that say which process a container belongs to, and the removal of those whose process is gone.
#pragma once

#include <string>

#include "executor/container/engine.hpp"

namespace hawse::executor {

// hawse=1, hawse.session, hawse.owner "PID START_TICKS BOOT_ID PID_NAMESPACE" of the calling process.
Labels owner_labels(const std::string& session);
// Whether the process of that hawse.owner label still lives. One of another PID namespace of this boot can't be seen from here: counts as alive.
bool owner_lives(const std::string& owner);

// The same owner, of a build that is under way: what the engine makes in between inherits it, what comes out of it has it empty. A label of its own, since a
// container of anybody's has its image's labels.
inline constexpr const char* kBuilderLabel = "hawse.builder";

// Containers whose owner is gone, and what builds whose owner is gone have left; how many were removed.
unsigned sweep_leftovers(const Engine&);
unsigned sweep_builds(const Engine&);  // the second alone
unsigned kill_session(const Engine&, const std::string& session);    // all containers of a session; how many were removed

}  // namespace hawse::executor
