// SPDX-License-Identifier: Apache-2.0
//
// The real surroundings: files, the reader of Python sources (a python3 that parses and never imports), the .hawse section of programs.
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "pipeline/elf.hpp"
#include "pipeline/pipeline.hpp"
#include "pipeline/source_cache.hpp"
#include "pipeline/value.hpp"

namespace hawse::pipeline {
namespace fs = std::filesystem;
namespace {

bool exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool executable(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

std::string interpreter() { return executable("/usr/bin/python3") ? "/usr/bin/python3" : "python3"; }

PythonFile from_answer(const fs::path& file, const ordered_json& answer) {
  if (answer.contains("error")) {
    const ordered_json& error = answer["error"];
    throw ManifestError({{error.at("file").get<std::string>(),
                          {error.at("line").get<int>(), error.at("column").get<int>()},
                          error.at("message").get<std::string>(),
                          error.value("hint", "")}});
  }
  PythonFile result;
  for (const auto& [name, signature] : answer.at("nodes").items()) result.nodes.emplace(name, parse_signature(signature));
  result.other_classes = answer.at("other_classes").get<std::vector<std::string>>();
  for (const ordered_json& path : answer.at("files")) result.files.emplace_back(path.get<std::string>());
  if (result.files.empty()) result.files.push_back(file);
  return result;
}

PythonFile read_python(const fs::path& file) {
  const fs::path reader = resources_dir() / "read_source.py";
  const SourceCache cache(file, {interpreter(), reader});
  try {
    if (const auto answer = cache.find()) return from_answer(file, *answer);
  } catch (const json::exception&) {  // not what this version writes: it is read again
  }
  SpawnOptions options;
  options.argv = {interpreter(), "-I", "-S", "-X", "utf8", reader.string(), file.string()};
  options.env = current_environment();
  const RunResult result = run_to_end(std::move(options));
  if (result.status.signalled || result.status.value != 0)
    throw Error(ErrorCode::system, "read a Python source", "python3 could not read " + file.string() + ": " + result.err.substr(0, 2000),
                "a python3 from 3.9 on must be on PATH");
  try {
    const ordered_json answer = ordered_json::parse(result.out);
    PythonFile found = from_answer(file, answer);
    cache.keep(answer, answer.at("looked_at").get<std::vector<fs::path>>());
    return found;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::internal, "read a Python source", file.string() + ": " + error.what());
  }
}

std::optional<Signature> read_program(const fs::path& program) {
  const std::optional<std::string> section = read_elf_section(program, ".hawse");
  if (!section) return std::nullopt;
  return parse_signature(std::string_view(section->c_str()));  // up to its NUL
}

}  // namespace

Surroundings real_surroundings(std::vector<StockNode> stock) {
  return {std::move(stock), [](const fs::path& path) { return read_file(path, kMaxManifestBytes + 1); }, exists, executable, read_python,
          read_program};
}

}  // namespace hawse::pipeline
