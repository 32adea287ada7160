// SPDX-License-Identifier: Apache-2.0
#include "executor/lock/lock.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "executor/container/images.hpp"
#include "executor/container/source_build.hpp"
#include "executor/python/packages.hpp"
#include "executor/python/resolution.hpp"
#include "executor/python/uv.hpp"

namespace hawse::executor {

using pipeline::ExecutorKind;
using pipeline::Node;
using pipeline::NodeKind;

namespace {

std::vector<std::string> lines_of(const std::vector<Resolved>& packages, const std::string& before = "") {
  std::vector<std::string> lines;
  for (const auto& package : packages) lines.push_back(before + package.line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

void lock_process(const Node& node, LockedNode& locked, const Report& report, const Making& making) {
  const Interpreter interpreter = find_python(node.python.version);
  locked.python = interpreter.version;
  if (!node.packages.empty()) locked.packages = lines_of(resolve({.python = interpreter.tag(), .platform = "", .interpreter = interpreter, .interrupt = making.interrupt.get()}, node.packages, state_dir(), report));
}

// What has to be built from source is locked with what building it requires, too.
std::vector<std::string> lock_packages(SourceBuilder& builder, const Image& image, const PackageTarget& target, const Node& node, const Report& report) {
  const auto packages = resolve(target, node.packages, state_dir(), report);
  std::vector<std::string> lines = lines_of(packages), building;
  for (const auto& package : packages) {
    if (package.wheel) continue;
    const auto requires_of_it = builder.requirements(image, target, package, report);
    building.insert(building.end(), requires_of_it.begin(), requires_of_it.end());
  }
  if (building.empty()) return lines;
  const auto exact = lines_of(resolve(target, building, state_dir(), report), "build: ");
  lines.insert(lines.end(), exact.begin(), exact.end());
  return lines;
}

void lock_container(const Node& node, LockedNode& locked, const Report& report, const Making& making) {
  const auto state = state_dir();
  EnvironmentIndex index(state / "index.sqlite");
  const Engine engine(Engine::find_socket(), making.interrupt);
  Images images(engine, index, state, making.on_request);
  PackageStore store(state, index);
  pipeline::ContainerOptions options = node.container;
  if (options.python.empty()) options.python = node.python.version;
  const Image image = images.ready(options, report);
  options.apt.clear();
  const Image base = images.ready(options, report);
  locked.base = base.reference;
  const auto known = engine.image(base.id);
  locked.image = known && !known->digests.empty() ? known->digests.front() : base.id;
  if (!node.container.apt.empty()) {
    locked.apt = images.added_packages(base, image);
    images.note_as_made_of(base, locked.apt, image);
  }
  if (node.kind != NodeKind::python) return;
  const ImagePython python = images.python_of(image);
  locked.python = python.version;
  if (node.packages.empty()) return;
  const PackageTarget target{.python = python.tag, .platform = python.platform, .interpreter = find_python(""), .compile = [&](const std::filesystem::path& folder) { images.compile(image, folder); }, .interrupt = making.interrupt.get()};
  SourceBuilder builder(engine, images, store, index, state);
  locked.packages = lock_packages(builder, image, target, node, report);
}

}  // namespace

LockedNode lock_node(const Node& node, const Report& report, const Making& making) {
  LockedNode locked{.wants = wants_of(node), .python = {}, .base = {}, .image = {}, .apt = {}, .packages = {}, .environment = {}};
  if (node.executor == ExecutorKind::process) lock_process(node, locked, report, making);
  else lock_container(node, locked, report, making);
  Node exact = node;
  apply(locked, exact);
  const auto executor = node.executor == ExecutorKind::process ? make_process_executor(making) : make_container_executor(making);
  locked.environment = environment_of(locked, executor->prepare(exact, report));
  return locked;
}

std::string version_of_uv() {
  SpawnOptions options;
  options.argv = find_uv();
  options.argv.insert(options.argv.end(), {"self", "version", "--short"});
  options.env = uv_environment();
  std::string text = run_to_end(options).out;
  return text.substr(0, text.find_first_of(" \n"));
}

std::string environment_of(const LockedNode& locked, const Prepared& prepared) {
  return environment_hash(locked, prepared.packages.empty() ? "" : content_of(prepared.packages));
}

void verify(const Node& node, const LockedNode& locked, const Prepared& prepared) {
  const std::string is = environment_of(locked, prepared);
  if (is == locked.environment) return;
  throw Error(ErrorCode::environment, "--locked", fmt::format("the environment of node {} has the hash {}, and the lock file says {}", node.id, is, locked.environment),
              prepared.packages.empty() ? "the lock file was changed by hand: hawse lock makes it anew"
                                        : fmt::format("files below {} were changed, or a package built from source came out otherwise: hawse image rm {} and build again, or hawse lock", prepared.packages.string(),
                                                      prepared.packages.filename().string()));
}

}  // namespace hawse::executor
