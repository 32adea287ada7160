// SPDX-License-Identifier: Apache-2.0
#include "executor/container/environments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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
#include "executor/python/uses.hpp"

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
};

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Image id or package key -> names of the running containers that need it.
std::map<std::string, std::vector<std::string>> users(const Here& here) {
  std::map<std::string, std::vector<std::string>> found;
  if (!here.engine) return found;
  for (const auto& container : here.engine->containers({{"hawse", "1"}})) {
    if (!container.running) continue;
    const auto packages = container.labels.find("hawse.packages");
    for (const auto& what : {container.image_id, packages == container.labels.end() ? "" : packages->second})
      if (!what.empty()) found[what].push_back(container.name);
  }
  return found;
}

// Kind "packages" or "wheel": folders of the store.
void add_folders(Here& here, const std::string& kind, const char* place, std::vector<ListedEnvironment>& all) {
  std::error_code error;
  for (const auto& folder : fs::directory_iterator(here.state / "store" / place, error)) {
    const std::string key = folder.path().filename().string();
    const auto known = here.index.find(kind, key);
    // A folder that an index lost: usable no more, but there.
    all.push_back({known ? *known : Environment{kind, key, "not in the index", folder.path().string(), bytes_below(folder.path())}});
  }
}

// What an image takes beyond the one that it is made from, whose layers it shares.
std::uint64_t own_bytes(const EngineImage& image, const std::vector<EngineImage>& all) {
  const auto base = image.labels.find("hawse.base");
  if (base == image.labels.end()) return image.bytes;
  for (const auto& other : all)
    if (other.id == base->second) return image.bytes - std::min(image.bytes, other.bytes);
  return image.bytes;
}

void add_images(Here& here, std::vector<ListedEnvironment>& all) {
  if (!here.engine) return;
  const auto images = here.engine->images({{"hawse", "1"}});
  for (const auto& image : images) {
    const auto what = image.labels.find("hawse.what");
    for (const auto& tag : image.tags) {
      if (tag == "<none>:<none>") continue;  // a base that was made anew: some container or image still needs the old one
      const std::string kind = image.labels.contains("hawse.packed") ? "packed" : tag.starts_with("hawse/python:") ? "base" : "image";
      const auto known = here.index.find(kind, tag);
      all.push_back({{kind, tag, what == image.labels.end() ? "" : what->second, image.id, own_bytes(image, images), image.created_s,
                      known ? known->last_used_s : image.created_s, known ? known->pipelines : std::vector<std::string>{}}});
    }
  }
}

bool is_folder(const Environment& environment) { return environment.kind == "packages" || environment.kind == "wheel"; }

// As Use is taken: an image by its id, a folder of packages by its key.
const std::string& use_key(const Environment& environment) { return is_folder(environment) ? environment.key : environment.place; }

std::vector<ListedEnvironment> list(Here& here) {
  std::vector<ListedEnvironment> all;
  add_images(here, all);
  add_folders(here, "packages", "packages", all);
  add_folders(here, "wheel", "wheels", all);
  const auto used = users(here);
  for (auto& environment : all)
    for (const auto& name : {environment.key, environment.place})
      if (const auto found = used.find(name); found != used.end()) environment.used_by = found->second;
  for (auto& environment : all)
    for (const auto& session : users_of(here.state, use_key(environment))) environment.used_by.push_back(session);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return std::tie(a.kind, b.last_used_s) < std::tie(b.kind, a.last_used_s); });
  return all;
}

void remove_folder(Here& here, const ListedEnvironment& packages) {
  const FileLock lock(here.state / "store" / "locks" / (packages.kind == "wheel" ? "wheel-" + packages.key : packages.key));
  const auto known = here.index.find(packages.kind, packages.key);
  here.index.forget(packages.kind, packages.key);  // first: whoever looks now makes it anew, after us
  if (const auto users = users_of(here.state, packages.key); !users.empty()) {  // since it was listed
    if (known) here.index.put(*known);
    throw Error(ErrorCode::environment, "remove " + packages.place, fmt::format("used by {}", fmt::join(users, ", ")));
  }
  const ScopedDir work = work_folder(here.state);
  std::error_code error;
  fs::rename(packages.place, work.path() / "removed", error);
  if (error) throw Error(ErrorCode::system, "remove " + packages.place, error.message());
}

bool remove_one(Here& here, const ListedEnvironment& environment, bool dry_run, Removal& removal) {
  const std::string name = fmt::format("{} {}: {}", environment.kind, environment.key, environment.what);
  if (!environment.used_by.empty()) {
    removal.kept.push_back(fmt::format("{}: used by {}", name, fmt::join(environment.used_by, ", ")));
    return false;
  }
  try {
    if (dry_run) {
      // would go
    } else if (is_folder(environment)) {
      remove_folder(here, environment);
    } else {
      here.engine->remove_image(environment.key);
      here.index.forget(environment.kind, environment.key);
    }
    removal.freed_bytes += environment.bytes;
    removal.removed.push_back(name);
  } catch (const Error& error) {
    removal.kept.push_back(name + ": " + first_line(error.context()));
    return false;
  }
  return true;
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
    if (!prefix.empty() && matches(environment, prefix)) remove_one(here, environment, false, removal);
  if (removal.removed.empty() && removal.kept.empty())
    throw Error(ErrorCode::usage, "remove an environment", "none has a key that begins with '" + strip_control(prefix) + "'", "hawse image ls shows them");
  return removal;
}

Removal prune_environments(const Pruning& pruning) {
  Here here;
  auto all = list(here);
  std::erase_if(all, [&](const auto& environment) { return (environment.kind == "base" && !pruning.bases) || environment.kind == "packed"; });  // what was packed is kept until it is named
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.last_used_s < b.last_used_s; });
  std::uint64_t bytes = 0;
  for (const auto& environment : all) bytes += environment.bytes;
  Removal removal;
  if (const unsigned left = here.engine && !pruning.dry_run ? sweep_builds(*here.engine) : 0; left > 0)
    removal.removed.push_back(fmt::format("{} that killed builds had left in the engine", left));
  for (const auto& environment : all) {
    const bool old = pruning.older_than_s && environment.last_used_s <= std::time(nullptr) - *pruning.older_than_s;
    const bool too_much = pruning.keep_bytes && bytes > *pruning.keep_bytes;
    if ((old || too_much) && remove_one(here, environment, pruning.dry_run, removal)) bytes -= environment.bytes;
  }
  return removal;
}

std::string make_base(const std::string& python_version, const Report& report, const Making& making) {
  const fs::path state = state_dir();
  EnvironmentIndex index(state / "index.sqlite");
  const Engine engine(Engine::find_socket(), making.interrupt);
  return Images(engine, index, state, making.on_request).make_base(python_version, report).reference;
}

unsigned sweep_leftovers(const std::shared_ptr<Interrupt>& interrupt) { return sweep_leftovers(Engine(Engine::find_socket(), interrupt)); }

unsigned kill_session(const std::string& session) { return kill_session(Engine(), session); }

}  // namespace hawse::executor
