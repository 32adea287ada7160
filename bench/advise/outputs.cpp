// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/outputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/error.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "executor/python/packages.hpp"

namespace hawse::bench::advise {
namespace {

namespace fs = std::filesystem;
using pipeline::json;
using pipeline::Node;
using pipeline::NodeKind;

bool is_sink(const Node& node) { return !node.signature.source && node.signature.outputs.empty() && !node.signature.any_outputs; }

void each_path(const Node& node, const std::function<void(const std::string& name, const std::string& value)>& visit) {
  for (const auto& [name, value] : node.params.items()) {
    const auto spec = node.signature.params.find(name);
    if (spec == node.signature.params.end() || !value.is_string() || value == "" || value == "-") continue;
    if (spec->value("type", "any").find("path") != std::string::npos) visit(name, value.get<std::string>());
  }
}

bool there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// Owners and modes as they are: a container's user must be able to write where it could.
void copy_all(const fs::path& from, const fs::path& to) {
  SpawnOptions options;
  options.argv = {"cp", "-a", "--reflink=auto", "--", from.string(), to.string()};
  options.env = current_environment();
  const RunResult result = run_to_end(std::move(options));
  if (result.status.signalled || result.status.value != 0) throw Error(ErrorCode::system, "copy " + from.string() + " for the measurement", result.err);
}

std::string place_for(const Node& node, const std::string& value, const fs::path& folder) {
  const bool is_path = value.starts_with('/');
  return (folder / (node.id + "-" + (is_path ? fs::path(value).filename().string() : std::string("stream.mkv")))).string();
}

void redirect_params(Node& node, const fs::path& folder, std::vector<Redirected>& list) {
  each_path(node, [&](const std::string& name, const std::string& value) {
    const bool exists = there(value);
    if (!is_sink(node) && (exists || !value.starts_with('/'))) return;
    const std::string to = place_for(node, value, folder);
    if (exists && node.kind != NodeKind::stock) copy_all(value, to);
    list.push_back({node.id, name, value, to});
  });
  for (const auto& one : list)
    if (one.node == node.id) node.params[one.name] = one.to;
}

}  // namespace

std::vector<Redirected> redirect_outputs(pipeline::Pipeline& pipeline, const fs::path& folder) {
  std::vector<Redirected> list;
  for (Node& node : pipeline.nodes) {
    redirect_params(node, folder, list);
    if (node.executor != pipeline::ExecutorKind::container) continue;
    for (std::size_t i = 0; i < node.container.mounts.size(); ++i) {
      auto& mount = node.container.mounts[i];
      if (!mount.write) continue;
      const fs::path to = folder / fmt::format("{}-mount-{}", node.id, i);
      copy_all(mount.source, to);
      list.push_back({node.id, "mounts", mount.source.string(), to.string()});
      mount.source = to;
    }
  }
  return list;
}

std::string why_not_in_container(const Node& node) {
  for (const auto& mount : node.container.mounts) {
    if (!mount.write) continue;
    const std::uint64_t bytes = fs::is_directory(mount.source) ? executor::bytes_below(mount.source) : fs::file_size(mount.source);
    if (bytes > kLargestCopyBytes)
      return fmt::format("not tried: it may write {}, which at {} is too large to be given a copy of", mount.source.string(), format_bytes(bytes));
  }
  return "";
}

LeftAlone::State LeftAlone::state_of(const fs::path& path) {
  std::error_code error;
  State state;
  state.bytes = fs::is_directory(path, error) ? 0 : fs::file_size(path, error);
  state.time = fs::last_write_time(path, error);
  return state;
}

LeftAlone::LeftAlone(const pipeline::Pipeline& pipeline) {
  for (const Node& node : pipeline.nodes) {
    if (is_sink(node)) continue;
    each_path(node, [&](const std::string& name, const std::string& value) {
      if (there(value)) files_[value] = {fmt::format("param {} of {}", name, node.id), state_of(value)};
    });
  }
}

std::vector<std::string> LeftAlone::changed() const {
  std::vector<std::string> list;
  for (const auto& [path, known] : files_)
    if (state_of(path) != known.second) list.push_back(path + " (" + known.first + ")");
  return list;
}

}  // namespace hawse::bench::advise
