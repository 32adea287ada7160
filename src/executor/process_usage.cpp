// SPDX-License-Identifier: Apache-2.0
#include "executor/process_usage.hpp"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace hawse::executor {
namespace {

std::optional<double> cpu_s(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::size_t end = text.rfind(')');  // the name before it may hold anything
  if (end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // these begin at field 3; utime, stime, cutime and cstime are 14 to 17
  std::uint64_t ticks = 0, sum = 0;
  for (int i = 0; i < 4 && fields >> ticks; ++i) sum += ticks;
  if (!fields) return std::nullopt;
  return static_cast<double>(sum) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

void complete_from_proc(Usage& usage, pid_t pid) noexcept {
  if (pid <= 0) return;
  try {
    if (!usage.cpu_s) usage.cpu_s = cpu_s(pid);
    if (usage.memory_bytes && usage.memory_peak_bytes) return;
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; in >> word;) {
      std::uint64_t kib = 0;
      if (word == "VmHWM:" && !usage.memory_peak_bytes && in >> kib) usage.memory_peak_bytes = kib * 1024;
      if (word == "VmRSS:" && !usage.memory_bytes && in >> kib) usage.memory_bytes = kib * 1024;
    }
  } catch (const std::exception&) {
    // The figures stay missing.
  }
}

}  // namespace hawse::executor
