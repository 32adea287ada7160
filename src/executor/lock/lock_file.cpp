// SPDX-License-Identifier: Apache-2.0
#include "executor/lock/lock_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

namespace hawse::executor {

using nlohmann::json;
using pipeline::ExecutorKind;
using pipeline::Node;
using pipeline::NodeKind;

namespace {

constexpr int kFormat = 1;

std::string shown(const json& value) {
  if (value.is_string()) return value.get<std::string>().empty() ? "nothing" : value.get<std::string>();
  if (!value.is_array() || value.empty()) return value.is_array() ? "nothing" : value.dump();
  std::string text;
  for (const auto& each : value) text += (text.empty() ? "" : ", ") + shown(each);
  return text;
}

std::string renewal(const pipeline::Pipeline& pipeline) { return "hawse lock " + pipeline.file.string() + " makes it anew"; }

}  // namespace

std::filesystem::path lock_path(const pipeline::Pipeline& pipeline) { return pipeline.file.string() + ".lock"; }

bool has_environment(const Node& node) {
  if (node.executor == ExecutorKind::container) return true;
  return node.executor == ExecutorKind::process && node.kind == NodeKind::python;
}

json wants_of(const Node& node) {
  const bool container = node.executor == ExecutorKind::container;
  const std::string python = container && !node.container.python.empty() ? node.container.python : node.python.version;
  return {{"executor", to_string(node.executor)}, {"python", python}, {"image", container ? node.container.image : ""},
          {"apt", container ? node.container.apt : std::vector<std::string>{}}, {"packages", node.packages}};
}

std::string to_text(const LockFile& lock) {
  nlohmann::ordered_json nodes = nlohmann::ordered_json::object();
  for (const auto& [id, node] : lock.nodes)
    nodes[id] = {{"environment", node.environment}, {"wants", node.wants}, {"python", node.python}, {"base", node.base}, {"image", node.image}, {"apt", node.apt}, {"packages", node.packages}};
  const nlohmann::ordered_json all{{"lock", kFormat}, {"uv", lock.uv}, {"nodes", nodes}};
  return all.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

LockFile parse_lock(const std::string& text) {
  const std::string operation = "read the lock file";
  try {
    const json all = json::parse(text);
    if (const int format = all.at("lock").get<int>(); format != kFormat)
      throw Error(ErrorCode::environment, operation, fmt::format("it has format {}, and this version reads {}", format, kFormat), "make it anew: hawse lock");
    LockFile lock{.uv = all.at("uv"), .nodes = {}};
    for (const auto& [id, node] : all.at("nodes").items())
      lock.nodes[id] = {.wants = node.at("wants"), .python = node.at("python"), .base = node.at("base"), .image = node.at("image"), .apt = node.at("apt"),
                        .packages = node.at("packages"), .environment = node.at("environment")};
    return lock;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::environment, operation, strip_control(error.what()), "make it anew: hawse lock");
  }
}

LockFile read_lock(const pipeline::Pipeline& pipeline) {
  const auto file = lock_path(pipeline);
  if (std::error_code error; !std::filesystem::exists(file, error))
    throw Error(ErrorCode::environment, "--locked", "there is no " + file.string(), "hawse lock " + pipeline.file.string() + " makes it");
  return parse_lock(read_file(file));
}

std::vector<std::string> differences(const LockFile& lock, const pipeline::Pipeline& pipeline) {
  std::vector<std::string> found;
  for (const auto& node : pipeline.nodes) {
    if (!has_environment(node)) continue;
    const auto locked = lock.nodes.find(node.id);
    if (locked == lock.nodes.end()) {
      found.push_back(fmt::format("node {} isn't in it", node.id));
      continue;
    }
    const json wants = wants_of(node);
    for (const auto& [key, value] : wants.items())
      if (const json then = locked->second.wants.value(key, json("")); then != value)
        found.push_back(strip_control(fmt::format("node {}: {} is {}, and it was made for {}", node.id, key, shown(value), shown(then))));
  }
  for (const auto& [id, locked] : lock.nodes)
    if (const Node* node = pipeline.find(id); !node || !has_environment(*node)) found.push_back(fmt::format("it has node {}, which has no environment in the pipeline", strip_control(id)));
  return found;
}

void apply(const LockedNode& locked, Node& node) {
  node.packages = locked.packages;
  if (node.executor == ExecutorKind::process) {
    node.python.version = locked.python;
    return;
  }
  node.container.image = locked.image;
  node.container.apt = locked.apt;
}

void apply(const LockFile& lock, pipeline::Pipeline& pipeline) {
  if (const auto found = differences(lock, pipeline); !found.empty())
    throw Error(ErrorCode::environment, "--locked", fmt::format("{} doesn't fit the manifest:\n  {}", lock_path(pipeline).string(), fmt::join(found, "\n  ")), renewal(pipeline));
  for (auto& node : pipeline.nodes)
    if (const auto locked = lock.nodes.find(node.id); locked != lock.nodes.end()) apply(locked->second, node);
}

std::string environment_hash(const LockedNode& node, const std::string& content) {
  return sha256_hex(fmt::format("{}\n{}\n{}\n{}", node.image, fmt::join(node.apt, "\n"), node.python, content)).substr(0, 32);
}

}  // namespace hawse::executor
