// SPDX-License-Identifier: Apache-2.0
//
// A zygote that runs as a process of ours, in a control group that holds what its import takes to the memory limit of its nodes.
#pragma once

#include <memory>
#include <string>

#include "base/subprocess.hpp"
#include "executor/zygote.hpp"

namespace hawse::executor {

// `options`: the interpreter's command, environment, streams. `limits`: of its nodes. `spare`: it keeps a node forked ahead.
std::shared_ptr<Zygote> start_zygote(SpawnOptions options, const std::string& name, const pipeline::Limits& limits, const Prepared& prepared,
                                     bool spare);

}  // namespace hawse::executor
