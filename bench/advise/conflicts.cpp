// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/conflicts.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "executor/python/uv.hpp"

namespace hawse::bench::advise {
namespace {

// "python 3.11.7, numpy 2.4.1" by name.
std::map<std::string, std::string> versions_in(const std::string& text) {
  std::map<std::string, std::string> versions;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::istringstream words(part);
    std::string name, version, more;
    if (words >> name >> version && !(words >> more)) versions[name] = version;
  }
  return versions;
}

bool differ(const std::map<std::string, std::string>& values) {
  std::set<std::string> different;
  for (const auto& [node, value] : values) different.insert(value);
  return different.size() > 1;
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const auto& one : list) text += (text.empty() ? "" : ", ") + one;
  return text;
}

}  // namespace

std::vector<Conflict> find_conflicts(const std::vector<Environment>& environments) {
  std::map<std::string, std::map<std::string, std::string>> packages;
  Conflict python{.what = "Python", .values = {}, .one_for_all = ""}, apt{.what = "Debian packages", .values = {}, .one_for_all = ""};
  for (const auto& environment : environments) {
    for (const auto& [name, version] : versions_in(environment.text))
      if (name != "python") packages[name][environment.node] = version;
    const auto versions = versions_in(environment.text);
    const auto found = versions.find("python");
    const std::string own = !environment.wants_python.empty() ? environment.wants_python : found != versions.end() ? found->second.substr(0, found->second.rfind('.')) : "";
    if (!own.empty()) python.values[environment.node] = own;
    if (!environment.apt.empty()) apt.values[environment.node] = joined(environment.apt);
  }
  std::vector<Conflict> conflicts;
  if (differ(python.values)) conflicts.push_back(python);
  for (const auto& [name, values] : packages)
    if (differ(values)) conflicts.push_back({.what = name, .values = values, .one_for_all = ""});
  if (!apt.values.empty()) conflicts.push_back(apt);
  return conflicts;
}

void ask_for_one_environment(std::vector<Conflict>& conflicts, const std::vector<Environment>& environments, const std::string& python) {
  const auto is_package = [](const Conflict& conflict) { return conflict.what != "Python" && conflict.what != "Debian packages"; };
  if (std::ranges::none_of(conflicts, is_package)) return;
  std::string requirements;
  for (const auto& environment : environments)
    for (const auto& requirement : environment.packages) requirements += requirement + "\n";
  std::string verdict;
  try {
    const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-advise-");
    write_file(folder.path() / "all.in", requirements);
    SpawnOptions options;
    options.argv = executor::find_uv();
    for (const std::string& word : {std::string("pip"), std::string("compile"), std::string("--quiet"), std::string("--no-header"), std::string("--python-version"), python, (folder.path() / "all.in").string()})
      options.argv.push_back(word);
    options.env = executor::uv_environment();
    const RunResult result = run_to_end(std::move(options));
    if (!result.status.signalled && result.status.value == 0) verdict = "one set of versions would serve all";
    else if (result.err.find("No solution found") != std::string::npos) verdict = "no one version serves all";
  } catch (const Error&) {
    // Without uv there is no verdict: the differing versions stand for themselves.
  }
  for (auto& conflict : conflicts)
    if (is_package(conflict)) conflict.one_for_all = verdict;
}

}  // namespace hawse::bench::advise
