// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes load(): arbitrary bytes are a pipeline or a ManifestError, and nothing else. What stands around the manifest is in memory.
// The first byte chooses flags of the command line; the rest is the manifest.
#include <cstdlib>

#include "pipeline/testing_project.hpp"

namespace {

using namespace hawse::pipeline;

LoadOptions options_of(std::uint8_t choice) {
  LoadOptions options;
  if (choice & 1) options.set["input"] = "meeting.mp4";
  if (choice & 2) options.set["output"] = "\xff";
  if (choice & 4) options.executors.emplace_back("", ExecutorKind::container);
  if (choice & 8) options.executors.emplace_back("speech", ExecutorKind::thread);
  if (choice & 16) options.env.push_back({"", {"A", "1"}});
  return options;
}

// What every pipeline that load() gives out promises.
void check(const Pipeline& pipeline) {
  const auto require = [](bool holds) {
    if (!holds) std::abort();
  };
  require(!pipeline.nodes.empty() && !pipeline.name.empty());
  for (const Node& node : pipeline.nodes) {
    require(pipeline.find(node.id) != nullptr && node.id != kApplication);
    require(node.executor != ExecutorKind::thread || node.kind == NodeKind::stock);
    require(!node.params.dump().empty() && !may_touch(node, pipeline).empty());
  }
  for (const Edge& edge : pipeline.edges) {
    require(edge.queue >= 1 && edge.queue <= hawse::plane::kMaxQueue);
    require(edge.from.node == kApplication || pipeline.find(edge.from.node) != nullptr);
    require(edge.to.node == kApplication || pipeline.find(edge.to.node) != nullptr);
    require(!edge.from.port.empty() && !edge.to.port.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Project project;
  if (size == 0) return 0;
  try {
    check(project.load({reinterpret_cast<const char*>(data) + 1, size - 1}, options_of(data[0])));
  } catch (const ManifestError& error) {
    if (error.findings().empty()) std::abort();
    for (const Finding& finding : error.findings())
      if (finding.message.empty() || finding.at.line < 0 || finding.at.column < 0) std::abort();
  }
  return 0;
}
