// SPDX-License-Identifier: Apache-2.0
#include "executor/python/packages.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/error.hpp"
#include "base/subprocess.hpp"
#include "executor/python/file_lock.hpp"
#include "executor/python/requirement.hpp"
#include "executor/python/resolution.hpp"
#include "executor/python/uv.hpp"

namespace hawse::executor {

namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;  // of the folders: raise it and every folder is made anew
constexpr std::uint64_t kLargestFileBytes = 8ull << 30;
constexpr const char* kKind = "packages";

std::string key_of(const PackageTarget& target, const std::vector<std::string>& requirements, const std::string& settings) {
  const bool exact = !requirements.empty() && is_exact(requirements.front());  // then nothing else has a say
  std::vector<std::string> normalised;
  for (const auto& requirement : requirements) normalised.push_back(exact ? requirement : normalised_requirement(requirement) + local_state(requirement));
  std::sort(normalised.begin(), normalised.end());
  normalised.erase(std::unique(normalised.begin(), normalised.end()), normalised.end());
  const std::string text = fmt::format("{}\n{}\n{}\n{}\n{}", kFormat, target.python, target.platform.empty() ? "host" : target.platform, exact ? "" : settings, fmt::join(normalised, "\n"));
  return sha256_hex(text).substr(0, 32);
}

// The versions that were installed, the requested projects first and by name.
std::string summary_of(const fs::path& folder, const std::vector<std::string>& requirements) {
  std::map<std::string, std::string> versions;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const auto dash = name.find('-');
    if (!name.ends_with(".dist-info") || dash == std::string::npos) continue;
    versions[project_name(name.substr(0, dash))] = name.substr(dash + 1, name.size() - dash - 1 - std::string(".dist-info").size());
  }
  std::string text;
  for (const auto& requirement : requirements) {
    const auto found = versions.find(project_name(requirement));
    if (found == versions.end()) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", found->first, found->second);
    versions.erase(found);
  }
  if (!versions.empty()) text += fmt::format("{}{} more", text.empty() ? "" : " and ", versions.size());
  return text;
}

// A container's user, who isn't us, must be able to read what the store holds, whatever our umask is.
void make_readable(const fs::path& folder) {
  fs::permissions(folder, fs::perms(0755));
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_symlink()) continue;
    const fs::perms executable = entry.is_directory() || (entry.status().permissions() & fs::perms::owner_exec) != fs::perms::none ? fs::perms(0111) : fs::perms::none;
    fs::permissions(entry.path(), fs::perms(0444) | executable, fs::perm_options::add);
  }
}

constexpr const char* kBuilding = "build: ";

// The requirements of installing, without those of building from source.
std::vector<std::string> of_installing(std::vector<std::string> requirements) {
  std::erase_if(requirements, [](const std::string& line) { return line.starts_with(kBuilding); });
  return requirements;
}

// In the folder of the work, so that no .venv or uv.toml of the working directory has a say.
void run_install(const PackageTarget& target, const std::vector<std::string>& requirements, const fs::path& work, const std::string& what, const Report& report) {
  std::vector<std::string> arguments{"pip", "install", "--python", target.interpreter.path.string(), "--target", (work / "site").string()};
  if (!target.platform.empty()) arguments.insert(arguments.end(), {"--python-version", target.python, "--python-platform", target.platform, "--only-binary", ":all:"});
  if (is_exact(requirements.front())) {
    write_file(work / "requirements.txt", fmt::format("{}\n", fmt::join(requirements, "\n")));
    arguments.insert(arguments.end(), {"--require-hashes", "--no-deps", "-r", "requirements.txt"});
  } else {
    arguments.push_back("--");
    arguments.insert(arguments.end(), requirements.begin(), requirements.end());
  }
  run_uv(arguments, work, what, report, target.interrupt);
}

// Those that have no wheel are built, each once; then everything is installed as it was resolved.
std::vector<std::string> with_built_wheels(const PackageTarget& target, const std::vector<std::string>& requirements, const fs::path& state, const Report& report) {
  std::vector<std::string> building, lines;
  for (const auto& line : requirements)
    if (line.starts_with(kBuilding)) building.push_back(line.substr(std::string(kBuilding).size()));
  for (const auto& package : resolve(target, of_installing(requirements), state, report)) {
    if (package.wheel) {
      lines.push_back(package.line);
      continue;
    }
    const fs::path wheel = target.build(package, building);
    lines.push_back(fmt::format("{} @ file://{} --hash=sha256:{}", package.name, wheel.string(), sha256_hex(read_file(wheel, kLargestFileBytes))));
  }
  return lines;
}

void run_uv_with_builds(const PackageTarget& target, const std::vector<std::string>& requirements, const fs::path& work, const fs::path& state, const std::string& what,
                        const Report& report) {
  const fs::path site = work / "site";
  try {
    fs::create_directory(site);
    return run_install(target, of_installing(requirements), work, what, report);
  } catch (const Error& error) {
    const bool no_wheel = error.context().find("no usable wheels") != std::string::npos || error.context().find("no wheels") != std::string::npos;
    if (!target.build || !no_wheel) throw;
  }
  fs::remove_all(site);
  fs::create_directory(site);
  run_install(target, with_built_wheels(target, requirements, state, report), work, what, report);
}

void compile(const PackageTarget& target, const fs::path& folder) {
  if (target.compile) {
    target.compile(folder);
    return;
  }
  // Never stale: the folder never changes. A file that doesn't compile (templates, tests for other versions) isn't an error. The path that goes into the code
  // is that of containers, so that the same packages give the same bytes wherever they lie; Python puts in the real one when it imports.
  SpawnOptions options;
  options.argv = {target.interpreter.path.string(), "-I", "-m", "compileall", "-q", "-d", "/hawse/packages", "--invalidation-mode", "unchecked-hash", folder.string()};
  options.env = current_environment();
  run_to_end(options);
}

}  // namespace

std::uint64_t bytes_below(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error))
    if (entry.is_regular_file(error) && !entry.is_symlink(error)) bytes += entry.file_size(error);
  return bytes;
}

std::string content_of(const fs::path& folder) {
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path relative = entry.path().lexically_relative(folder);
    const std::string name = relative.filename().string();
    const bool derived = relative.begin()->string() == "bin" || relative.string().find("__pycache__/") != std::string::npos || name == "RECORD" || name == ".lock" ||
                         name == "uv_cache.json" || name == "direct_url.json";
    if (!derived && entry.is_regular_file()) lines.push_back(fmt::format("{} {}", relative.string(), sha256_hex(read_file(entry.path(), kLargestFileBytes))));
  }
  std::sort(lines.begin(), lines.end());
  return sha256_hex(fmt::format("{}", fmt::join(lines, "\n")));
}

ScopedDir work_folder(const fs::path& state) {
  const fs::path parent = state / "store" / "tmp";
  fs::create_directories(parent);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    const pid_t owner = static_cast<pid_t>(std::atol(entry.path().filename().c_str()));
    if (owner > 0 && ::kill(owner, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), error);
  }
  return ScopedDir(parent, std::to_string(::getpid()) + "-");
}

PackageStore::PackageStore(fs::path state, EnvironmentIndex& index) : state_(std::move(state)), index_(index) {}

std::optional<Packages> PackageStore::find(const std::string& key, const std::string& pipeline) {
  const auto known = index_.find(kKind, key);
  std::error_code error;
  if (!known || !fs::is_directory(folder() / key, error)) return std::nullopt;
  index_.touch(kKind, key, pipeline);
  const auto colon = known->what.find(": ");
  return Packages{key, folder() / key, colon == std::string::npos ? known->what : known->what.substr(colon + 2)};
}

Packages PackageStore::install(const PackageTarget& target, const std::vector<std::string>& requirements, const Report& report) {
  const std::string key = key_of(target, requirements, uv_settings(uv_environment()));
  const auto use = std::make_shared<const Use>(state_, key, fmt::format("{} (process {})", target.pipeline, ::getpid()));
  auto packages = find(key, target.pipeline);
  if (!packages) {
    const FileLock lock(state_ / "store" / "locks" / key, target.interrupt);
    packages = find(key, target.pipeline);  // another process made it while we waited
    if (!packages) packages = make(key, target, requirements, report);
  }
  packages->use = use;
  return *packages;
}

Packages PackageStore::make(const std::string& key, const PackageTarget& target, const std::vector<std::string>& requirements, const Report& report) {
  const std::string what = "packages for python " + target.python;
  const ScopedDir work = work_folder(state_);
  const fs::path made = work.path() / "site", place = folder() / key;
  run_uv_with_builds(target, requirements, work.path(), state_, what, report);
  if (report) report({.what = what, .unit = "", .line = "compiling"});
  compile(target, made);
  make_readable(made);
  fs::create_directories(folder());
  fs::remove_all(place);  // known to no index: of an index that was lost
  fs::rename(made, place);
  const std::string summary = summary_of(place, requirements);
  index_.put({kKind, key, fmt::format("python {}: {}", target.python, summary), place.string(), bytes_below(place)});
  index_.touch(kKind, key, target.pipeline);
  return {key, place, summary};
}

}  // namespace hawse::executor
