// SPDX-License-Identifier: Apache-2.0
#include "executor/container/environments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <optional>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "executor/container/images.hpp"
#include "executor/container/ownership.hpp"
#include "executor/python/file_lock.hpp"
#include "executor/python/packages.hpp"

namespace hawse::executor {

namespace {

namespace fs = std::filesystem;

std::optional<Engine> engine_if_any() {
  try {
    return Engine();
  } catch (const Error&) {
    return std::nullopt;
  }
}

struct Here {
  fs::path state = state_dir();
  EnvironmentIndex index{state / "index.sqlite"};
  std::optional<Engine> engine = engine_if_any();
  fs::path packages = state / "store" / "packages";
};

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Image id or package key -> names of the running containers that need it.
std::map<std::string, std::string> users(const Here& here) {
  std::map<std::string, std::string> found;
  if (!here.engine) return found;
  for (const auto& container : here.engine->containers({{"hawse", "1"}})) {
    if (!container.running) continue;
    const auto packages = container.labels.find("hawse.packages");
    for (const auto& what : {container.image_id, packages == container.labels.end() ? "" : packages->second})
      if (!what.empty()) found[what] += (found[what].empty() ? "" : ", ") + container.name;
  }
  return found;
}

void add_packages(Here& here, std::vector<ListedEnvironment>& all) {
  std::error_code error;
  for (const auto& folder : fs::directory_iterator(here.packages, error)) {
    const std::string key = folder.path().filename().string();
    const auto known = here.index.find("packages", key);
    // A folder that an index lost: usable no more, but there.
    all.push_back({known ? *known : Environment{"packages", key, "not in the index", folder.path().string(), bytes_below(folder.path())}, ""});
  }
}

void add_images(Here& here, std::vector<ListedEnvironment>& all) {
  if (!here.engine) return;
  for (const auto& image : here.engine->images({{"hawse", "1"}})) {
    const auto what = image.labels.find("hawse.what");
    for (const auto& tag : image.tags) {
      if (tag == "<none>:<none>") continue;  // a base that was made anew: some container or image still needs the old one
      const std::string kind = tag.starts_with("hawse/python:") ? "base" : "image";
      const auto known = here.index.find(kind, tag);
      all.push_back({{kind, tag, what == image.labels.end() ? "" : what->second, image.id, image.bytes, image.created_s, known ? known->last_used_s : image.created_s}, ""});
    }
  }
}

std::vector<ListedEnvironment> list(Here& here) {
  std::vector<ListedEnvironment> all;
  add_images(here, all);
  add_packages(here, all);
  const auto used = users(here);
  for (auto& environment : all)
    for (const auto& name : {environment.key, environment.place})
      if (const auto found = used.find(name); found != used.end()) environment.used_by = found->second;
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return std::tie(a.kind, b.last_used_s) < std::tie(b.kind, a.last_used_s); });
  return all;
}

void remove_folder(Here& here, const ListedEnvironment& packages) {
  const FileLock lock(here.state / "store" / "locks" / packages.key);
  here.index.forget("packages", packages.key);  // first: whoever looks now makes it anew, after us
  const ScopedDir work = work_folder(here.state);
  std::error_code error;
  fs::rename(packages.place, work.path() / "removed", error);
  if (error) throw Error(ErrorCode::system, "remove " + packages.place, error.message());
}

void remove_one(Here& here, const ListedEnvironment& environment, Removal& removal) {
  const std::string name = fmt::format("{} {}: {}", environment.kind, environment.key, environment.what);
  if (!environment.used_by.empty()) {
    removal.kept.push_back(name + ": used by " + environment.used_by);
    return;
  }
  try {
    if (environment.kind == "packages") {
      remove_folder(here, environment);
    } else {
      here.engine->remove_image(environment.key);
      here.index.forget(environment.kind, environment.key);
    }
    removal.freed_bytes += environment.bytes;
    removal.removed.push_back(name);
  } catch (const Error& error) {
    removal.kept.push_back(name + ": " + first_line(error.context()));
  }
}

bool matches(const Environment& environment, const std::string& prefix) {
  const auto colon = environment.key.rfind(':');
  return environment.key.starts_with(prefix) || (colon != std::string::npos && environment.kind == "image" && environment.key.substr(colon + 1).starts_with(prefix));
}

}  // namespace

std::vector<ListedEnvironment> list_environments() {
  Here here;
  return list(here);
}

Removal remove_environments(const std::string& prefix) {
  Here here;
  Removal removal;
  for (const auto& environment : list(here))
    if (!prefix.empty() && matches(environment, prefix)) remove_one(here, environment, removal);
  if (removal.removed.empty() && removal.kept.empty())
    throw Error(ErrorCode::usage, "remove an environment", "none has a key that begins with '" + strip_control(prefix) + "'", "hawse image ls shows them");
  return removal;
}

Removal prune_environments(std::int64_t older_than_s, std::size_t keep, bool bases) {
  Here here;
  auto all = list(here);
  std::erase_if(all, [&](const auto& environment) { return environment.kind == "base" && !bases; });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.last_used_s > b.last_used_s; });
  Removal removal;
  const std::int64_t oldest = std::time(nullptr) - older_than_s;
  for (std::size_t i = keep; i < all.size(); ++i)
    if (all[i].last_used_s <= oldest) remove_one(here, all[i], removal);
  return removal;
}

std::string make_base(const std::string& python_version, const Report& report) {
  const fs::path state = state_dir();
  EnvironmentIndex index(state / "index.sqlite");
  const Engine engine;
  return Images(engine, index, state).make_base(python_version, report).reference;
}

unsigned sweep_leftovers() { return sweep_leftovers(Engine()); }

unsigned kill_session(const std::string& session) { return kill_session(Engine(), session); }

}  // namespace hawse::executor
