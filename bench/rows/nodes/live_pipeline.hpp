// SPDX-License-Identifier: Apache-2.0
//
// A running pipeline that measures on command. Its manifest has an input `command` (JSON) and an output `samples` (a tensor of float32); its nodes take the times
// themselves, so a burst costs nothing but itself, and between bursts every node sleeps: several can live side by side and take turns.
//
// Threading: one thread drives it. Ownership: destruction ends every node of it at once.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "hawse/pipeline.hpp"

namespace hawse::bench {

// The nodes and manifests of the benchmark, copied into a folder of the pass's own. Throws Unavailable where they didn't come with the command.
std::string lay_out_nodes(const std::string& folder);

class LivePipeline {
 public:
  // manifest: a file in lay_out_nodes(), or anywhere. Throws Unavailable with the runtime's own words where it can't be prepared or started.
  LivePipeline(const std::string& manifest, const std::map<std::string, std::string>& variables = {});

  // One burst. Throws Unavailable where the pipeline ended or hangs.
  std::vector<float> ask(const nlohmann::json& command);
  // A command that is answered in JSON.
  nlohmann::json ask_json(const nlohmann::json& command);

 private:
  Frame answer(const nlohmann::json& command);
  Session session_;
};

}  // namespace hawse::bench
