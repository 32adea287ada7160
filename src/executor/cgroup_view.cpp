// SPDX-License-Identifier: Apache-2.0
#include "executor/cgroup_view.hpp"

#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace hawse::executor {

namespace {

namespace fs = std::filesystem;

bool has_option(const std::string& comma_list, const std::string& option) { return ("," + comma_list + ",").find("," + option + ",") != std::string::npos; }

std::map<std::string, fs::path> read_mounts() {
  std::map<std::string, fs::path> found;
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, place, type, options;
    fields >> device >> place >> type >> options;
    if (type == "cgroup2") found.emplace("", place);
    if (type != "cgroup") continue;
    std::istringstream names(options);
    for (std::string name; std::getline(names, name, ',');) found.emplace(name, place);
  }
  return found;
}

// Where the hierarchy with this controller is mounted; "" asks for cgroup v2's. They are there from the machine's start on: the list, which can be long, is read once.
fs::path mount_of(const std::string& controller) {
  static const auto mounts = read_mounts();
  const auto found = mounts.find(controller);
  return found == mounts.end() ? fs::path() : found->second;
}

std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

std::optional<std::uint64_t> number_after(const fs::path& file, const std::string& name) {
  std::ifstream in(file);
  std::string word;
  for (std::uint64_t number = 0; in >> word >> number;)
    if (word == name) return number;
  return std::nullopt;
}

}  // namespace

std::optional<CgroupView> CgroupView::of_process(pid_t pid) {
  std::ifstream lines("/proc/" + std::to_string(pid) + "/cgroup");
  CgroupView found(false, {}, {}, {}, {});
  std::string unified;
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) unified = path;
    const auto take = [&](const char* controller, fs::path& folder) {
      if (has_option(controllers, controller)) folder = mount_of(controller) / fs::path(path).relative_path();
    };
    take("memory", found.memory_);
    take("cpu", found.cpu_);
    take("cpuacct", found.cpuacct_);
    take("pids", found.pids_);
  }
  if (found.memory_.empty() && !unified.empty()) found = v2(mount_of("") / fs::path(unified).relative_path());
  std::error_code error;
  if (found.memory_.empty() || !fs::is_directory(found.memory_, error)) return std::nullopt;
  return found;
}

Usage CgroupView::usage() const noexcept try {
  Usage usage;
  usage.memory_bytes = number_in(memory_ / (v2_ ? "memory.current" : "memory.usage_in_bytes"));
  usage.memory_peak_bytes = number_in(memory_ / (v2_ ? "memory.peak" : "memory.max_usage_in_bytes"));
  usage.memory_kills = number_after(memory_ / (v2_ ? "memory.events" : "memory.oom_control"), "oom_kill").value_or(0);
  if (v2_) {
    if (const auto us = number_after(cpu_ / "cpu.stat", "usage_usec")) usage.cpu_s = static_cast<double>(*us) / 1e6;
    usage.held_back_s = static_cast<double>(number_after(cpu_ / "cpu.stat", "throttled_usec").value_or(0)) / 1e6;
  } else {
    const auto ns = cpuacct_.empty() ? std::nullopt : number_in(cpuacct_ / "cpuacct.usage");
    if (ns) usage.cpu_s = static_cast<double>(*ns) / 1e9;
    if (!cpu_.empty()) usage.held_back_s = static_cast<double>(number_after(cpu_ / "cpu.stat", "throttled_time").value_or(0)) / 1e9;
  }
  if (pids_.empty()) return usage;
  usage.pids_peak = number_in(pids_ / "pids.peak");
  usage.pids_refused = number_after(pids_ / "pids.events", "max").value_or(0);
  return usage;
} catch (...) {
  return {};
}

}  // namespace hawse::executor
