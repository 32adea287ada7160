// SPDX-License-Identifier: Apache-2.0
#include "executor/process_id.hpp"

#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace hawse::executor {

namespace {

// Field `number` of /proc/PID/stat, as proc(5) counts them; from 3 on.
std::string stat_field(pid_t pid, int number) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::size_t end = text.rfind(')');  // the name before it may hold anything
  if (end == std::string::npos) return "";
  std::istringstream fields(text.substr(end + 1));
  std::string field;
  for (int i = 2; i < number; ++i) fields >> field;
  return field;
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
