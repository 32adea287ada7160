// SPDX-License-Identifier: Apache-2.0
#include "executor/python/packages.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>

#include "base/error.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "executor/python/file_lock.hpp"
#include "executor/python/requirement.hpp"
#include "executor/python/uv.hpp"

namespace hawse::executor {

namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;  // of the folders: raise it and every folder is made anew
constexpr std::size_t kLastLines = 15;
constexpr const char* kKind = "packages";

std::string key_of(const PackageTarget& target, const std::vector<std::string>& requirements, const std::string& settings) {
  std::vector<std::string> normalised;
  for (const auto& requirement : requirements) normalised.push_back(normalised_requirement(requirement) + local_state(requirement));
  std::sort(normalised.begin(), normalised.end());
  normalised.erase(std::unique(normalised.begin(), normalised.end()), normalised.end());
  const std::string text = fmt::format("{}\n{}\n{}\n{}\n{}", kFormat, target.python, target.platform.empty() ? "host" : target.platform, settings, fmt::join(normalised, "\n"));
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

std::vector<std::string> install_command(const PackageTarget& target, const std::vector<std::string>& requirements, const fs::path& folder) {
  std::vector<std::string> command = find_uv();
  command.insert(command.end(), {"pip", "install", "--python", target.interpreter.path.string(), "--target", folder.string()});
  if (!target.platform.empty())
    command.insert(command.end(), {"--python-version", target.python, "--python-platform", target.platform, "--only-binary", ":all:"});
  command.push_back("--");
  command.insert(command.end(), requirements.begin(), requirements.end());
  return command;
}

void run_uv(const PackageTarget& target, const std::vector<std::string>& requirements, const fs::path& folder, const std::string& what, const Report& report) {
  // In the folder itself, so that no .venv or uv.toml of the working directory has a say.
  SpawnOptions options;
  options.argv = install_command(target, requirements, folder);
  options.env = uv_environment();
  options.working_directory = folder.string();
  std::deque<std::string> last;
  const RunResult result = run_to_end(options, [&](std::string_view line) {
    last.emplace_back(strip_control(line));
    if (last.size() > kLastLines) last.pop_front();
    if (report) report({.what = what, .unit = "", .line = last.back()});
  });
  if (!result.status.signalled && result.status.value == 0) return;
  std::string context = result.status.signalled ? fmt::format("uv was ended by signal {}", result.status.value) : "uv could not install them";
  for (const auto& line : last) context += "\n  " + line;
  const bool no_wheel = !target.platform.empty() && context.find("no wheels") != std::string::npos;
  throw Error(ErrorCode::environment, what, context,
              no_wheel ? "a container takes packages that have a wheel for its Python; give another version, or an image: that has the package"
                       : "check the names and versions under packages:, and that the package index can be reached");
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

std::optional<Packages> PackageStore::find(const std::string& key) {
  const auto known = index_.find(kKind, key);
  std::error_code error;
  if (!known || !fs::is_directory(folder() / key, error)) return std::nullopt;
  index_.touch(kKind, key);
  const auto colon = known->what.find(": ");
  return Packages{key, folder() / key, colon == std::string::npos ? known->what : known->what.substr(colon + 2)};
}

Packages PackageStore::install(const PackageTarget& target, const std::vector<std::string>& requirements, const Report& report) {
  const std::string key = key_of(target, requirements, uv_settings(uv_environment()));
  if (auto found = find(key)) return *found;
  const FileLock lock(state_ / "store" / "locks" / key);
  if (auto found = find(key)) return *found;  // another process made it while we waited
  return make(key, target, requirements, report);
}

Packages PackageStore::make(const std::string& key, const PackageTarget& target, const std::vector<std::string>& requirements, const Report& report) {
  const std::string what = "packages for python " + target.python;
  const ScopedDir work = work_folder(state_);
  const fs::path made = work.path() / "site", place = folder() / key;
  fs::create_directory(made);
  run_uv(target, requirements, made, what, report);
  if (report) report({.what = what, .unit = "", .line = "compiling"});
  compile(target, made);
  make_readable(made);
  fs::create_directories(folder());
  fs::remove_all(place);  // known to no index: of an index that was lost
  fs::rename(made, place);
  const std::string summary = summary_of(place, requirements);
  index_.put({kKind, key, fmt::format("python {}: {}", target.python, summary), place.string(), bytes_below(place)});
  return {key, place, summary};
}

}  // namespace hawse::executor
