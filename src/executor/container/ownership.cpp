// SPDX-License-Identifier: Apache-2.0
#include "executor/container/ownership.hpp"

#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/error.hpp"
#include "base/files.hpp"
#include "executor/process_id.hpp"

namespace hawse::executor {

namespace {

std::string boot_id() {
  std::string text = read_file("/proc/sys/kernel/random/boot_id");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string pid_namespace() { return std::filesystem::read_symlink("/proc/self/ns/pid").string(); }

unsigned remove_all(const Engine& engine, const Labels& labels, const std::function<bool(const ContainerSummary&)>& wanted) {
  unsigned removed = 0;
  for (const auto& container : engine.containers(labels))
    if (wanted(container) && engine.remove(container.id)) ++removed;
  return removed;
}

bool owner_is_gone(const Labels& labels, const char* name) {
  const auto owner = labels.find(name);
  return owner != labels.end() && !owner->second.empty() && !owner_lives(owner->second);
}

}  // namespace

Labels owner_labels(const std::string& session) {
  return {{"hawse", "1"}, {"hawse.session", session}, {"hawse.owner", process_id(::getpid()) + " " + boot_id() + " " + pid_namespace()}};
}

bool owner_lives(const std::string& owner) {
  std::istringstream fields(owner);
  pid_t pid = 0;
  std::string start, boot, space;
  if (!(fields >> pid >> start >> boot >> space)) return false;
  if (boot != boot_id()) return false;
  if (space != pid_namespace()) return true;
  return process_id(pid) == std::to_string(pid) + " " + start;
}

unsigned sweep_leftovers(const Engine& engine) {
  return sweep_builds(engine) + remove_all(engine, {{"hawse", "1"}, {"hawse.owner", ""}}, [](const ContainerSummary& container) {
    return owner_is_gone(container.labels, "hawse.owner");
  });
}

unsigned sweep_builds(const Engine& engine) {
  const Labels built{{kBuilderLabel, ""}};
  unsigned removed = remove_all(engine, built, [](const ContainerSummary& container) { return owner_is_gone(container.labels, kBuilderLabel); });
  for (const auto& image : engine.images(built)) {
    if (!owner_is_gone(image.labels, kBuilderLabel)) continue;
    try {
      if (engine.remove_image(image.id)) ++removed;
    } catch (const Error&) {  // something is made of it
    }
  }
  return removed;
}

unsigned kill_session(const Engine& engine, const std::string& session) {
  return remove_all(engine, {{"hawse", "1"}, {"hawse.session", session}}, [](const ContainerSummary&) { return true; });
}

}  // namespace hawse::executor
