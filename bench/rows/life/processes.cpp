// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/life/processes.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

#include "base/files.hpp"
#include "bench/core/row.hpp"

namespace hawse::bench::life {

namespace fs = std::filesystem;

namespace {

fs::path proc(pid_t pid) { return fs::path("/proc") / std::to_string(pid); }

// The number behind "Name:" in a file of such lines.
std::uint64_t field(const fs::path& file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1));
  throw Unavailable(fmt::format("{} can't be read or has no {}", file.string(), name));
}

std::vector<pid_t> numbers_in(const fs::path& folder) {
  std::vector<pid_t> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos) numbers.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return numbers;
}

std::int64_t over_threads(pid_t pid, const std::function<std::int64_t(const fs::path&)>& one) {
  const auto threads = numbers_in(proc(pid) / "task");
  if (threads.empty()) throw Unavailable(fmt::format("process {} is gone", pid));
  std::int64_t sum = 0;
  for (const pid_t thread : threads) sum += one(proc(pid) / "task" / std::to_string(thread));
  return sum;
}

}  // namespace

std::uint64_t pss_bytes(pid_t pid) { return field(proc(pid) / "smaps_rollup", "Pss") * 1024; }

std::int64_t cpu_ns(pid_t pid) {
  return over_threads(pid, [](const fs::path& thread) {
    std::ifstream in(thread / "schedstat");
    std::int64_t ns = 0;
    if (!(in >> ns)) throw Unavailable((thread / "schedstat").string() + " can't be read: this kernel counts no processor time in nanoseconds");
    return ns;
  });
}

std::int64_t wake_ups(pid_t pid) {
  return over_threads(pid, [](const fs::path& thread) { return static_cast<std::int64_t>(field(thread / "status", "voluntary_ctxt_switches")); });
}

pid_t parent_of(pid_t pid) {
  std::ifstream in(proc(pid) / "stat");
  std::string line;
  std::getline(in, line);
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string state;
  pid_t parent = 0;
  fields >> state >> parent;
  return parent;
}

std::string command_line(pid_t pid) {
  std::ifstream in(proc(pid) / "cmdline");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::ranges::replace(text, '\0', ' ');
  return text;
}

std::vector<pid_t> descendants(pid_t ancestor) {
  std::multimap<pid_t, pid_t> children;
  for (const pid_t pid : numbers_in("/proc")) children.emplace(parent_of(pid), pid);
  std::vector<pid_t> found = {ancestor};
  for (std::size_t i = 0; i < found.size(); ++i)
    for (auto [child, end] = children.equal_range(found[i]); child != end; ++child) found.push_back(child->second);
  found.erase(found.begin());
  return found;
}

std::size_t open_descriptors() { return numbers_in("/proc/self/fd").size(); }

fs::path hawse_command() {
  const fs::path running = executable_path(), parts = resources_dir();
  if (running.filename() == "hawse") return running;
  for (const fs::path& beside : {parts / "../../hawse", parts / "../../bin/hawse"})
    if (::access(beside.c_str(), X_OK) == 0) return beside.lexically_normal();
  throw Unavailable("the command hawse is not beside its parts in " + parts.string());
}

RunResult run_command(const std::vector<std::string>& argv, const std::map<std::string, std::string>& more) {
  SpawnOptions options;
  options.argv = argv;
  options.env = current_environment();
  for (const auto& [name, value] : more) options.env[name] = value;
  return run_to_end(std::move(options));
}

std::string last_line(const RunResult& result) {
  std::string text = result.err.empty() ? result.out : result.err;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto line = text.rfind('\n');
  return line == std::string::npos ? text : text.substr(line + 1);
}

}  // namespace hawse::bench::life
