// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/conflicts.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "executor/python/uv.hpp"

namespace hawse::bench::advise {
namespace {

constexpr const char* kPython = "Python";
constexpr const char* kApt = "Debian packages";

// The interpreter's "3.11" in "python 3.11.7, numpy 2.4.1".
std::string python_in(const std::string& text) {
  std::istringstream words(text);
  std::string name, version;
  if (!(words >> name >> version) || name != "python") return "";
  if (version.ends_with(',')) version.pop_back();
  return version.substr(0, version.rfind('.'));
}

// Lines "numpy==1.26.4", with what else uv writes.
Versions pins_in(const std::string& text) {
  Versions versions;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find("==");
    if (line.empty() || line.front() == '#' || line.front() == ' ' || equals == std::string::npos) continue;
    versions[line.substr(0, equals)] = line.substr(equals + 2, line.find_first_of(" ;", equals) - equals - 2);
  }
  return versions;
}

bool differ(const Versions& values) {
  return std::ranges::adjacent_find(values, [](const auto& a, const auto& b) { return a.second != b.second; }) != values.end();
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const auto& one : list) text += (text.empty() ? "" : ", ") + one;
  return text;
}

}  // namespace

Resolve resolve_with_uv(const std::string& python) {
  return [python](const std::vector<std::string>& requirements) -> Resolved {
    try {
      std::string text;
      for (const auto& requirement : requirements) text += requirement + "\n";
      const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-advise-");
      const std::filesystem::path file = folder.path() / "requirements.in";
      write_file(file, text);
      SpawnOptions options;
      options.argv = executor::find_uv();
      for (const char* word : {"pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version"}) options.argv.emplace_back(word);
      options.argv.push_back(python);
      options.argv.push_back(file.string());
      options.env = executor::uv_environment();
      const RunResult result = run_to_end(std::move(options));
      if (!result.status.signalled && result.status.value == 0) return {.versions = pins_in(result.out), .no_solution = false};
      return {.versions = {}, .no_solution = result.err.find("No solution found") != std::string::npos};
    } catch (const Error&) {
      return {};  // without uv nothing is known of packages
    }
  };
}

std::vector<Conflict> find_conflicts(const std::vector<Environment>& environments, const Resolve& resolve) {
  std::map<std::string, Versions> packages;
  Conflict python{.what = kPython, .values = {}, .one_for_all = ""}, apt{.what = kApt, .values = {}, .one_for_all = ""};
  std::vector<std::string> all;
  for (const auto& environment : environments) {
    const std::string own = environment.wants_python.empty() ? python_in(environment.text) : environment.wants_python;
    if (!own.empty()) python.values[environment.node] = own;
    if (!environment.apt.empty()) apt.values[environment.node] = joined(environment.apt);
    if (environment.packages.empty()) continue;
    all.insert(all.end(), environment.packages.begin(), environment.packages.end());
    for (const auto& [name, version] : resolve(environment.packages).versions.value_or(Versions{})) packages[name][environment.node] = version;
  }
  std::vector<Conflict> conflicts;
  if (differ(python.values)) conflicts.push_back(python);
  std::erase_if(packages, [](const auto& package) { return !differ(package.second); });
  if (!packages.empty()) {
    const Resolved together = resolve(all);
    const std::string verdict = together.versions ? "one set of versions would serve all" : together.no_solution ? "no set of versions serves all" : "";
    for (const auto& [name, values] : packages) conflicts.push_back({.what = name, .values = values, .one_for_all = verdict});
  }
  if (!apt.values.empty()) conflicts.push_back(apt);
  return conflicts;
}

}  // namespace hawse::bench::advise
