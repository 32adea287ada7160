// SPDX-License-Identifier: Apache-2.0
//
// What a node that is a process is started with: its command and its environment. Descriptors are the caller's to add.
#pragma once

#include "base/subprocess.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

SpawnOptions process_command(const pipeline::Node&, const Prepared&);

}  // namespace hawse::executor
