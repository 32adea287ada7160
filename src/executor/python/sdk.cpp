// SPDX-License-Identifier: Apache-2.0
#include "executor/python/sdk.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <vector>

#include "base/files.hpp"
#include "base/subprocess.hpp"

namespace hawse::executor {

namespace fs = std::filesystem;

namespace {

// As Python decides it: the source's time and size stand in the header (PEP 552), after a magic number that the file's name stands for.
bool is_current(const fs::path& source, const std::string& tag) {
  const fs::path compiled = source.parent_path() / "__pycache__" / (source.stem().string() + ".cpython-" + tag + ".pyc");
  std::ifstream in(compiled, std::ios::binary);
  std::uint32_t header[4] = {};
  struct stat status {};
  if (!in.read(reinterpret_cast<char*>(header), sizeof header) || ::stat(source.c_str(), &status) != 0) return false;
  return header[1] == 0 && header[2] == static_cast<std::uint32_t>(status.st_mtim.tv_sec) && header[3] == static_cast<std::uint32_t>(status.st_size);
}

}  // namespace

std::string sdk_stamp(const fs::path& sdk) {
  std::vector<std::string> lines;
  for (const auto& entry : fs::directory_iterator(sdk / "hawse"))
    if (entry.is_regular_file())
      lines.push_back(entry.path().filename().string() + " " + std::to_string(entry.file_size()) + " " + std::to_string(entry.last_write_time().time_since_epoch().count()));
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  return sha256_hex(all);
}

void compile_sdk(const fs::path& sdk, const Interpreter& interpreter) {
  std::string tag = interpreter.tag();
  std::erase(tag, '.');
  bool current = true;
  for (const auto& entry : fs::directory_iterator(sdk / "hawse"))
    if (entry.path().extension() == ".py") current = current && is_current(entry.path(), tag);
  if (current || ::access((sdk / "hawse").c_str(), W_OK) != 0) return;
  SpawnOptions options;
  options.argv = {interpreter.path.string(), "-I", "-m", "compileall", "-q", "-f", (sdk / "hawse").string()};
  options.env = current_environment();
  run_to_end(options);  // each file is replaced as a whole; without them a node only starts more slowly
}

}  // namespace hawse::executor
