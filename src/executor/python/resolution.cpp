// SPDX-License-Identifier: Apache-2.0
#include "executor/python/resolution.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <sstream>

#include "base/error.hpp"
#include "executor/python/uv.hpp"

namespace hawse::executor {

namespace {

constexpr const char* kOperation = "resolve packages";

std::string text_of(const toml::table& table, const char* key) { return table[key].value_or(std::string()); }

std::string sha256_of(const toml::table& file) {
  const auto* hashes = file["hashes"].as_table();
  return hashes ? text_of(*hashes, "sha256") : "";
}

std::string address_of(const toml::table& file) {
  const std::string url = text_of(file, "url"), path = text_of(file, "path");
  return without_credentials(url.empty() ? "file://" + path : url);
}

[[noreturn]] void has_no_hash(const std::string& name) {
  throw Error(ErrorCode::environment, kOperation, name + " comes from a folder, a repository or an index that gives no hash: what it holds can't be fixed",
              "make a wheel of it and name that (" + name + " @ file:///.../" + name + "-1.0-py3-none-any.whl), or take it from an index that gives hashes");
}

Resolved read_package(const toml::table& package) {
  Resolved found{.name = text_of(package, "name"), .version = text_of(package, "version"), .line = {}, .source_url = {}, .source_sha256 = {}};
  if (const auto* archive = package["archive"].as_table()) {
    const std::string hash = sha256_of(*archive), address = address_of(*archive);
    if (hash.empty()) has_no_hash(found.name);
    found.wheel = address.ends_with(".whl");
    found.source_url = address;
    found.source_sha256 = hash;
    found.line = fmt::format("{} @ {} --hash=sha256:{}", found.name, address, hash);
    return found;
  }
  std::vector<std::string> hashes;
  if (const auto* wheels = package["wheels"].as_array())
    for (const auto& wheel : *wheels)
      if (const auto* file = wheel.as_table()) hashes.push_back(sha256_of(*file));
  if (hashes.empty()) {
    found.wheel = false;
    if (const auto* source = package["sdist"].as_table()) {
      found.source_url = address_of(*source);
      found.source_sha256 = sha256_of(*source);
      hashes.push_back(found.source_sha256);
    }
  }
  found.line = fmt::format("{}=={}", found.name, found.version);
  for (const auto& hash : hashes) {
    if (hash.empty()) has_no_hash(found.name);
    found.line += " --hash=sha256:" + hash;
  }
  if (hashes.empty()) has_no_hash(found.name);
  return found;
}

}  // namespace

bool is_exact(const std::string& requirement) { return requirement.find(" --hash=") != std::string::npos; }

std::vector<Resolved> parse_pylock(const std::string& text) {
  std::vector<Resolved> all;
  try {
    const toml::table lock = toml::parse(text);
    if (const auto* packages = lock["packages"].as_array())
      for (const auto& package : *packages)
        if (const auto* table = package.as_table()) all.push_back(read_package(*table));
  } catch (const toml::parse_error& error) {
    throw Error(ErrorCode::environment, kOperation, fmt::format("uv's answer can't be read: {}", error.description()), "uv 0.7 or newer is needed");
  }
  return all;
}

std::vector<Resolved> resolve(const PackageTarget& target, const std::vector<std::string>& requirements, const std::filesystem::path& state, const Report& report) {
  const ScopedDir work = work_folder(state);
  write_file(work.path() / "requirements.txt", fmt::format("{}\n", fmt::join(requirements, "\n")));
  std::vector<std::string> arguments{"pip", "compile", "requirements.txt", "--output-file", "pylock.toml", "--quiet", "--no-header", "--python", target.interpreter.path.string()};
  if (!target.platform.empty()) arguments.insert(arguments.end(), {"--python-version", target.python, "--python-platform", target.platform});
  if (!requirements.empty() && is_exact(requirements.front())) arguments.push_back("--no-deps");
  run_uv(arguments, work.path(), "resolve packages for python " + target.python, report, target.interrupt);
  return parse_pylock(read_file(work.path() / "pylock.toml"));
}

}  // namespace hawse::executor
