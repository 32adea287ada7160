// SPDX-License-Identifier: Apache-2.0
#include "executor/python/interpreter.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <vector>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/subprocess.hpp"

namespace hawse::executor {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::int64_t changed(const fs::path& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  return error ? 0 : time.time_since_epoch().count();
}

// What decides which interpreter `program` is: itself, and where it is a pyenv shim the version that pyenv has chosen.
std::string stamp_of(const fs::path& program) {
  return fmt::format("{} {} {}", changed(program), changed(program.parent_path().parent_path() / "version"), variable("PYENV_VERSION"));
}

// Answers that were given before: program -> {stamp, path, version}; an empty version is a program that is no working Python.
class KnownInterpreters {
 public:
  KnownInterpreters() : file_(state_dir() / "interpreters.json") {
    std::error_code error;
    if (fs::exists(file_, error)) known_ = json::parse(read_file(file_), nullptr, false);
    if (!known_.is_object()) known_ = json::object();
  }

  std::optional<Interpreter> get(const fs::path& program) {
    const std::string name = program.string(), stamp = stamp_of(program);
    if (const auto at = known_.find(name); at != known_.end() && at->is_object() && at->value("stamp", json()) == stamp) {
      Interpreter found{at->value("path", std::string()), at->value("version", std::string())};
      if (found.version.empty()) return std::nullopt;
      if (::access(found.path.c_str(), X_OK) == 0) return found;
    }
    const auto found = ask(program);
    known_[name] = {{"stamp", stamp}, {"path", found ? found->path.string() : ""}, {"version", found ? found->version : ""}};
    write_file(file_, known_.dump(1));
    return found;
  }

 private:
  static std::optional<Interpreter> ask(const fs::path& program) {
    SpawnOptions options;
    options.argv = {program.string(), "-I", "-c", "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])"};
    options.env = current_environment();
    RunResult result;
    try {
      result = run_to_end(options);
    } catch (const Error&) {
      return std::nullopt;  // not a program after all
    }
    if (result.status.signalled || result.status.value != 0) return std::nullopt;
    std::istringstream lines(result.out);
    Interpreter found;
    std::string path;
    if (!std::getline(lines, path) || !std::getline(lines, found.version)) return std::nullopt;
    found.path = path;
    return found;
  }

  fs::path file_;
  json known_;
};

bool satisfies(const std::string& version, const std::string& wanted) { return wanted.empty() || version == wanted || version.starts_with(wanted + "."); }

std::string minor_of(const std::string& version) {
  const auto second = version.find('.', version.find('.') == std::string::npos ? 0 : version.find('.') + 1);
  return version.substr(0, second);
}

// In order of preference: pythonX.Y and python3 along PATH, then what pyenv has installed without putting it on PATH.
std::vector<fs::path> candidates(const std::string& version) {
  std::vector<fs::path> found;
  const auto add = [&](const fs::path& file) {
    if (::access(file.c_str(), X_OK) == 0 && std::find(found.begin(), found.end(), file) == found.end()) found.push_back(file);
  };
  std::vector<std::string> names{"python3"};
  if (!version.empty()) names.insert(names.begin(), "python" + minor_of(version));
  for (const auto& name : names) {
    std::istringstream folders(variable("PATH") + ":/usr/bin:/usr/local/bin");
    for (std::string folder; std::getline(folders, folder, ':');)
      if (!folder.empty()) add(fs::path(folder) / name);
  }
  const std::string root = variable("PYENV_ROOT").empty() ? variable("HOME") + "/.pyenv" : variable("PYENV_ROOT");
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(root) / "versions", error)) add(entry.path() / "bin" / "python3");
  return found;
}

}  // namespace

std::string Interpreter::tag() const { return minor_of(version); }

Interpreter find_python(const std::string& version) {
  KnownInterpreters known;
  std::set<std::string> seen;
  for (const auto& program : candidates(version)) {
    const auto found = known.get(program);
    if (!found) continue;
    if (satisfies(found->version, version)) return *found;
    seen.insert(found->version);
  }
  if (version.empty())
    throw Error(ErrorCode::environment, "find python3", "there is none on PATH", "apt install python3");
  throw Error(ErrorCode::environment, "find python " + version, seen.empty() ? "this host has no Python at all" : fmt::format("this host has {}", fmt::join(seen, ", ")),
              fmt::format("leave out python.version, install python{0}, or run the node with executor: container and python: \"{0}\"", version));
}

}  // namespace hawse::executor
