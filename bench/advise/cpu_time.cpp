// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/cpu_time.hpp"

#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "executor/cgroup_view.hpp"

namespace hawse::bench::advise {
namespace {

namespace fs = std::filesystem;

std::optional<pid_t> number_of(const std::string& text) {
  pid_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// Until `visit` returns false.
void each_process(const std::function<bool(pid_t)>& visit) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error))
    if (const auto pid = number_of(entry.path().filename().string()); pid && !visit(*pid)) return;
}

struct Stat {
  pid_t session = 0;
  double cpu_s = 0;  // with the children that it has reaped
};

std::optional<Stat> stat_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(in, text)) return std::nullopt;
  const auto name_end = text.rfind(')');  // a name may hold anything
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state, skipped;
  pid_t parent = 0, group = 0;
  Stat stat;
  fields >> state >> parent >> group >> stat.session;
  for (int i = 0; i < 7; ++i) fields >> skipped;  // tty, its group, flags, four counts of faults
  double ticks = 0, all = 0;
  for (int i = 0; i < 4 && fields >> ticks; ++i) all += ticks;  // utime, stime, cutime, cstime
  stat.cpu_s = all / static_cast<double>(sysconf(_SC_CLK_TCK));
  return stat;
}

// The executor gives each node a session of its own.
std::optional<double> of_session(pid_t leader) {
  std::optional<double> sum;
  each_process([&](pid_t pid) {
    if (const auto stat = stat_of(pid); stat && stat->session == leader) sum = sum.value_or(0) + stat->cpu_s;
    return true;
  });
  return sum;
}

std::optional<double> of_container(const std::string& id) {
  std::optional<double> seconds;
  each_process([&](pid_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/cgroup");
    std::stringstream text;
    text << in.rdbuf();
    if (text.str().find(id) == std::string::npos) return true;
    if (const auto group = executor::CgroupView::of_process(pid)) seconds = group->usage().cpu_s;
    return false;
  });
  return seconds;
}

}  // namespace

std::optional<double> cpu_seconds(const std::string& where) {
  const auto space = where.find(' ');
  if (space == std::string::npos) return std::nullopt;
  const std::string kind = where.substr(0, space), id = where.substr(space + 1);
  if (kind == "container") return of_container(id);
  const auto pid = number_of(id);
  return kind == "process" && pid ? of_session(*pid) : std::nullopt;
}

}  // namespace hawse::bench::advise
