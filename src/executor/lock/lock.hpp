// SPDX-License-Identifier: Apache-2.0
//
// Making a lock of what a pipeline's environments come down to today, and making environments exactly as a lock says.
#pragma once

#include <functional>
#include <string>

#include "executor/executor.hpp"
#include "executor/lock/lock_file.hpp"

namespace hawse::executor {

// Resolves and makes the environment of one node. Throws Error.
LockedNode lock_node(const pipeline::Node&, const Report&, const Making&);
std::string version_of_uv();

// The hash of the environment that `prepared` (of a node that a lock was applied to) really is, its installed files read.
std::string environment_of(const LockedNode&, const Prepared& prepared);
// Throws Error(environment) where it isn't the lock's.
void verify(const pipeline::Node&, const LockedNode&, const Prepared&);

}  // namespace hawse::executor
