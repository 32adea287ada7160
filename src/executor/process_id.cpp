// SPDX-License-Identifier: Apache-2.0
#include "executor/process_id.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sstream>
#include <string_view>

#include "base/fd.hpp"

namespace hawse::executor {

namespace {

// Field `number` of /proc/PID/stat, as proc(5) counts them; from 3 on.
std::string stat_field(pid_t pid, int number) {
  char bytes[1024];  // its longest is some 600
  const UniqueFd file(::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t size = file ? ::read(file.get(), bytes, sizeof bytes) : -1;
  if (size <= 0) return "";
  std::string_view text(bytes, static_cast<std::size_t>(size));
  std::size_t at = text.rfind(')');  // the name before it may hold anything
  for (int i = 2; i < number && at != std::string_view::npos; ++i) at = text.find(' ', at + 1);
  return at == std::string_view::npos ? "" : std::string(text.substr(at + 1, text.find(' ', at + 1) - at - 1));
}

}  // namespace

std::string process_id(pid_t pid) {
  const std::string start_ticks = stat_field(pid, 22);
  return start_ticks.empty() ? "" : std::to_string(pid) + " " + start_ticks;
}

pid_t parent_of(pid_t pid) {
  const std::string parent = stat_field(pid, 4);
  return parent.empty() ? 0 : static_cast<pid_t>(std::stol(parent));
}

void kill_group(const std::string& id) noexcept {
  std::istringstream in(id);
  pid_t pid = 0;
  if (!(in >> pid) || pid <= 1) return;
  const std::string now = process_id(pid);
  if (now.empty() || now == id) ::kill(-pid, SIGKILL);  // a group's id isn't given again while a member lives
}

}  // namespace hawse::executor
