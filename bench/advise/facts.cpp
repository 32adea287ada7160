// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/facts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace hawse::bench::advise {
namespace {

using pipeline::json;
using pipeline::Node;
using pipeline::NodeKind;
using pipeline::Pipeline;

// A medium that comes as it happens: a device, or a stream that its sender paces.
bool is_live_uri(const std::string& uri) {
  for (const char* scheme : {"device:", "rtsp:", "rtsps:", "rtp:", "rtmp:", "rtmps:", "srt:", "udp:", "tcp:", "tls:", "pipe:"})
    if (uri.starts_with(scheme)) return true;
  return false;
}

bool paces(const Node& source) {
  if (source.kind != NodeKind::stock) return false;
  const json& params = source.params;
  if (params.value("realtime", json(false)) == true) return true;
  if (const auto rate = params.find("rate_hz"); rate != params.end() && rate->is_number() && rate->get<double>() > 0) return true;
  const auto uri = params.find("uri");
  return uri != params.end() && uri->is_string() && is_live_uri(uri->get<std::string>());
}

// Is one of the sources that feed it, or it itself, a live one?
bool is_live(const Node& node, const Pipeline& pipeline) {
  std::set<std::string> seen = {node.id};
  std::vector<std::string> open = {node.id};
  while (!open.empty()) {
    const Node* one = pipeline.find(open.back());
    open.pop_back();
    if (one == nullptr) continue;
    const bool fed = std::ranges::any_of(pipeline.edges, [&](const auto& edge) { return edge.to.node == one->id; });
    if (!fed && paces(*one)) return true;
    for (const auto& edge : pipeline.edges)
      if (edge.to.node == one->id && seen.insert(edge.from.node).second) open.push_back(edge.from.node);
  }
  return false;
}

bool handles_audio(const Node& node, const Pipeline& pipeline) {
  return std::ranges::any_of(pipeline.edges, [&](const auto& edge) {
    return (edge.from.node == node.id || edge.to.node == node.id) && edge.type == plane::FrameType::audio;
  });
}

std::vector<std::string> only_container(const Node& node, const std::string& host_python) {
  std::vector<std::string> what;
  const auto& container = node.container;
  const bool is_hosts = host_python == container.python || host_python.starts_with(container.python + ".");
  if (node.kind == NodeKind::python && !container.python.empty() && node.python.version.empty() && !is_hosts)
    what.push_back(fmt::format("Python {} (a process gets {})", container.python, host_python.empty() ? "none: the host has no python3" : "the host's " + host_python));
  if (!container.image.empty()) what.push_back("the image " + container.image);
  if (!container.apt.empty()) what.push_back(fmt::format("the Debian packages {}", fmt::join(container.apt, ", ")));
  if (!container.mounts.empty()) what.push_back("its mounts");
  return what;
}

std::vector<std::string> host_files(const Node& node) {
  std::vector<std::string> files;
  const auto add = [&](const std::string& name, const std::string& value) {
    std::error_code error;
    if (!value.starts_with('/') || !std::filesystem::exists(value, error)) return;
    const bool mounted = std::ranges::any_of(node.container.mounts, [&](const auto& mount) { return value == mount.target || value.starts_with(mount.target + "/"); });
    if (!mounted) files.push_back(value + " (" + name + ")");
  };
  for (const auto& [name, value] : node.env) add(name, value);
  for (const auto& [name, value] : node.params.items())
    if (value.is_string()) add("param " + name, value.get<std::string>());
  return files;
}

}  // namespace

NodeFacts facts_of(const Node& node, const Pipeline& pipeline, const std::string& host_python) {
  NodeFacts facts;
  facts.id = node.id;
  facts.reference = node.reference;
  facts.kind = node.kind;
  facts.now = node.executor;
  facts.parses_outside_input = node.stock == "media/source";
  facts.live = is_live(node, pipeline);
  facts.audio = handles_audio(node, pipeline);
  facts.gpus = !node.container.gpus.empty();
  facts.others_code = !node.packages.empty() || !node.container.image.empty() || !node.container.apt.empty();
  facts.only_container = only_container(node, host_python);
  facts.host_files = host_files(node);
  facts.memory_limit_bytes = node.limits.memory_bytes;
  facts.cpus_limit = node.limits.cpus;
  return facts;
}

}  // namespace hawse::bench::advise
