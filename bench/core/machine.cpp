// SPDX-License-Identifier: Apache-2.0
//
// What the figures were taken on.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/error.hpp"
#include "base/text.hpp"
#include "bench/core/runner.hpp"
#include "executor/container/engine.hpp"
#include "executor/python/interpreter.hpp"

namespace hawse::bench {
namespace {

// The value of the first line `key<separator>value` of a file; "" where there is none.
std::string value_in(const char* file, const std::string& key, char separator) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto at = line.find(separator);
    if (!line.starts_with(key) || at == std::string::npos) continue;
    const auto first = line.find_first_not_of(" \t\"", at + 1);
    const auto last = line.find_last_not_of(" \t\"");
    return first == std::string::npos ? "" : strip_control(line.substr(first, last + 1 - first));
  }
  return "";
}

std::string first_line(const char* file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return strip_control(line);
}

std::string said(const std::function<std::string()>& ask) {
  try {
    return ask();
  } catch (const Error& error) {
    return fmt::format("none ({})", strip_control(error.context()));
  }
}

void add(std::map<std::string, std::string>& more, const char* name, std::string value) {
  if (!value.empty()) more[name] = std::move(value);
}

}  // namespace

Machine describe_machine() {
  Machine machine;
  machine.cpu = value_in("/proc/cpuinfo", "model name", ':');
  if (machine.cpu.empty()) machine.cpu = value_in("/proc/cpuinfo", "CPU part", ':');
  machine.cores = std::thread::hardware_concurrency();
  utsname name{};
  ::uname(&name);
  machine.kernel = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
  machine.memory = format_bytes(static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  machine.os = value_in("/etc/os-release", "PRETTY_NAME", '=');
  machine.engine = said([] {
    const auto version = executor::Engine().version();
    return fmt::format("{}, API {}", version.engine, version.api);
  });
  machine.python = said([] { return executor::find_python("").version; });
  machine.compiler = fmt::format("g++ {}", __VERSION__);
#if defined(__clang__)
  machine.compiler = __VERSION__;
#endif
  const bool virtual_machine = (" " + value_in("/proc/cpuinfo", "flags", ':') + " ").find(" hypervisor ") != std::string::npos;
  add(machine.more, "virtual machine", virtual_machine ? "yes" : "no");
  add(machine.more, "control groups", std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers") ? "version 2" : "version 1");
  add(machine.more, "frequency governor", first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
  add(machine.more, "huge pages in shared memory", first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled"));
  double load[1] = {0};
  if (::getloadavg(load, 1) == 1) add(machine.more, "load when it started", fmt::format("{:.2f}", load[0]));
  return machine;
}

}  // namespace hawse::bench
