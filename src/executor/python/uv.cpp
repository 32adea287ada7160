// SPDX-License-Identifier: Apache-2.0
#include "executor/python/uv.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <regex>
#include <sstream>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"

namespace hawse::executor {

namespace {

namespace fs = std::filesystem;
constexpr std::size_t kLastLines = 15;
using Variables = std::map<std::string, std::string>;

std::string value_of(const Variables& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? "" : found->second;
}

std::string on_path(const Variables& variables, const std::string& name) {
  std::istringstream folders(value_of(variables, "PATH"));
  for (std::string folder; std::getline(folders, folder, ':');)
    if (const fs::path file = fs::path(folder) / name; !folder.empty() && ::access(file.c_str(), X_OK) == 0) return file.string();
  return "";
}

// [global] and [install] of pip's configuration files, the user's over the machine's.
Variables pip_configuration(const Variables& variables) {
  const std::string home = value_of(variables, "HOME");
  const std::string xdg = value_of(variables, "XDG_CONFIG_HOME");
  std::vector<fs::path> files{"/etc/pip.conf", fs::path(home) / ".pip/pip.conf", fs::path(xdg.empty() ? home + "/.config" : xdg) / "pip/pip.conf"};
  if (const std::string named = value_of(variables, "PIP_CONFIG_FILE"); !named.empty()) files.push_back(named);
  Variables settings;
  for (const auto& file : files) {
    std::error_code error;
    if (!fs::is_regular_file(file, error)) continue;
    std::istringstream lines(read_file(file, 1u << 20));
    std::string section;
    for (std::string line; std::getline(lines, line);) {
      const auto equals = line.find('=');
      if (line.starts_with('[')) section = line.substr(0, line.find(']') + 1);
      if (equals == std::string::npos || (section != "[global]" && section != "[install]")) continue;
      const auto strip = [](std::string text) {
        const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
        return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
      };
      settings[strip(line.substr(0, equals))] = strip(line.substr(equals + 1));
    }
  }
  return settings;
}

}  // namespace

std::vector<std::string> find_uv() {
  const Variables variables = current_environment();
  if (const std::string named = value_of(variables, "HAWSE_UV"); !named.empty()) return {named};
  std::error_code error;
  if (const fs::path ours = resources_dir() / "uv"; fs::exists(ours, error)) return {ours.string()};
  if (const std::string found = on_path(variables, "uv"); !found.empty()) return {found};
  if (const std::string python = on_path(variables, "python3"); !python.empty()) {
    SpawnOptions options;
    options.argv = {python, "-m", "uv", "--version"};
    options.env = variables;
    if (const RunResult result = run_to_end(options); !result.status.signalled && result.status.value == 0) return {python, "-m", "uv"};
  }
  throw Error(ErrorCode::environment, "find uv", "it installs the Python packages of nodes, and is neither on PATH nor a module of python3",
              "pip install uv, or name it in HAWSE_UV");
}

Variables uv_environment() {
  Variables variables = current_environment();
  const Variables pip = pip_configuration(variables);
  const auto inherit = [&](const char* uv, const char* pip_variable, const char* pip_key, const char* uv_other = "") {
    if (!value_of(variables, uv).empty() || !value_of(variables, uv_other).empty()) return;
    std::string value = value_of(variables, pip_variable);
    if (value.empty()) value = value_of(pip, pip_key);
    std::error_code error;
    if (value.starts_with('/') && !fs::exists(value, error)) return;  // pip ignores a folder that isn't there, uv refuses it
    if (!value.empty()) variables[uv] = value;
  };
  inherit("UV_DEFAULT_INDEX", "PIP_INDEX_URL", "index-url", "UV_INDEX_URL");
  inherit("UV_INDEX", "PIP_EXTRA_INDEX_URL", "extra-index-url", "UV_EXTRA_INDEX_URL");
  inherit("UV_FIND_LINKS", "PIP_FIND_LINKS", "find-links");
  inherit("SSL_CERT_FILE", "PIP_CERT", "cert");
  variables["UV_PYTHON_DOWNLOADS"] = "never";
  variables["UV_NO_PROGRESS"] = "1";
  variables["NO_COLOR"] = "1";
  variables.erase("VIRTUAL_ENV");
  return variables;
}

// An index is the same one whoever asks it: names and passwords in its address are no part of a key.
std::string without_credentials(const std::string& addresses) {
  static const std::regex credentials(R"(://[^/@\s]*@)");
  return std::regex_replace(addresses, credentials, "://");
}

void run_uv(const std::vector<std::string>& arguments, const fs::path& folder, const std::string& what, const Report& report, Interrupt* interrupt) {
  SpawnOptions options;
  options.argv = find_uv();
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.env = uv_environment();
  options.working_directory = folder.string();
  std::deque<std::string> last;
  const RunResult result = run_to_end(options, [&](std::string_view line) {
    last.push_back(without_credentials(strip_control(line)));
    if (last.size() > kLastLines) last.pop_front();
    if (report) report({.what = what, .unit = "", .line = last.back()});
  }, interrupt);
  if (!result.status.signalled && result.status.value == 0) return;
  std::string context = result.status.signalled ? fmt::format("uv was ended by signal {}", result.status.value) : "uv could not install them";
  for (const auto& line : last) context += "\n  " + line;
  throw Error(ErrorCode::environment, what, context, "check the names and versions under packages:, and that the package index can be reached");
}

std::string uv_settings(const Variables& environment) {
  std::string text;
  for (const char* name : {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_INDEX_STRATEGY", "UV_RESOLUTION",
                           "UV_PRERELEASE", "UV_EXCLUDE_NEWER", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_CONFIG_FILE"})
    if (const std::string value = value_of(environment, name); !value.empty()) text += std::string(name) + "=" + without_credentials(value) + "\n";
  return text;
}

}  // namespace hawse::executor
