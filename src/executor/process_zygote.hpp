// SPDX-License-Identifier: Apache-2.0
//
// A zygote that runs as a process, in a control group that holds what its import takes to the memory limit of its nodes: ours, or one that was lent (warm.hpp).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/subprocess.hpp"
#include "executor/warm.hpp"
#include "executor/zygote.hpp"

namespace hawse::executor {

struct ProcessZygote {
  std::unique_ptr<ZygoteHome> home;
  UniqueFd socket;
  pid_t pid = 0;
};

// `options`: the interpreter's command, environment, streams. name: of its control group. It ends with the thread that calls this.
ProcessZygote start_zygote(SpawnOptions options, const std::string& name, std::optional<std::uint64_t> memory_bytes);

Recipe process_recipe(const pipeline::Node&, const Prepared&);
ProcessZygote start_zygote(const Recipe&, const std::string& name, int output);
// A keeper's: no child of ours, so its exit status isn't known here.
std::shared_ptr<Zygote> lent_zygote(Lent);

}  // namespace hawse::executor
