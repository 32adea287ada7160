// SPDX-License-Identifier: Apache-2.0
#include "executor/cgroup.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "base/files.hpp"

namespace hawse::executor {
namespace fs = std::filesystem;
namespace {

bool write_value(const fs::path& file, const std::string& value) {
  std::ofstream out(file);
  out << value << std::flush;
  return static_cast<bool>(out);
}

// Our own place in a hierarchy: "controller" of v1, "" for v2.
std::optional<std::string> own_place(const std::string& controller) {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string number, names, place;
    std::getline(fields, number, ':');
    std::getline(fields, names, ':');
    std::getline(fields, place);
    if (("," + names + ",").find("," + controller + ",") != std::string::npos) return place;
  }
  return std::nullopt;
}

fs::path v1_folder(const std::string& controller) {
  const auto place = own_place(controller);
  const fs::path root = fs::path("/sys/fs/cgroup") / controller;
  if (!place || !fs::exists(root)) return {};
  const fs::path own = root / fs::path(*place).relative_path();
  return fs::exists(own) ? own : root;  // inside a container the place is the host's, and the mount shows ours as its root
}

bool is_v2() { return fs::exists("/sys/fs/cgroup/cgroup.controllers"); }

// Where a group may be made under v2: below ours; beside ours, which a user's own slice allows, and which needs nobody to move, as a group with processes in it
// can't pass controllers on; at the top, for root.
std::vector<fs::path> v2_parents() {
  const fs::path top = "/sys/fs/cgroup", own = top / fs::path(own_place("").value_or("/")).relative_path();
  std::vector<fs::path> parents = {own};
  if (own != top && own != top / "") parents.insert(parents.end(), {own.parent_path(), top});
  return parents;
}

bool make_folder(const fs::path& folder, std::string* why) {
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) *why = folder.string() + ": " + error.message();
  return !error;
}

bool set(const fs::path& file, const std::string& value, std::string* why) {
  if (write_value(file, value)) return true;
  *why = file.string() + " can't be written";
  return false;
}

// The first line of /proc/swaps is its head.
bool has_swap() {
  std::ifstream in("/proc/swaps");
  std::string head, swap;
  return std::getline(in, head) && std::getline(in, swap);
}

constexpr std::uint64_t kCpuPeriodUs = 100'000;
std::uint64_t cpu_quota_us(double cpus) { return static_cast<std::uint64_t>(cpus * static_cast<double>(kCpuPeriodUs)); }

std::vector<pid_t> members(const fs::path& folder) {
  std::vector<pid_t> pids;
  std::ifstream in(folder / "cgroup.procs");
  for (pid_t pid = 0; in >> pid;) pids.push_back(pid);
  return pids;
}

// A group with processes in it can't pass controllers on, the machine's topmost alone excepted, which has no type. Asking for those that may be used by threads
// would even work, and make every group below one that no process can enter.
bool passes_controllers_on(const fs::path& group) { return !fs::exists(group / "cgroup.type") || members(group).empty(); }

// Whoever was killed forks no more, but may have done so since the list was read: rounds without a pause get ahead of that, and on many processors forbidding it does.
// `folders`: of one group; the first has all of its processes. As short as nobody would notice who waits for it.
void kill_members(const std::vector<fs::path>& folders) noexcept {
  if (write_value(folders.front() / "cgroup.kill", "1")) return;  // v2, Linux 5.14: the kernel does all of it
  std::set<pid_t> killed;
  std::size_t before = 1;
  for (int round = 0; killed.size() != before && round < 50; ++round) {
    if (round == 3)  // no sooner: what is refused counts as the node's meeting its limit
      for (const auto& folder : folders) write_value(folder / "pids.max", "0");
    before = killed.size();
    for (const pid_t pid : members(folders.front())) {
      ::kill(pid, SIGKILL);
      killed.insert(pid);
    }
  }
}

bool remove_folder(const fs::path& folder) noexcept { return ::rmdir(folder.c_str()) == 0 || errno == ENOENT; }

}  // namespace

void remove_cgroup(const fs::path& folder) noexcept {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!remove_folder(folder) && std::chrono::steady_clock::now() < end) {
    kill_members({folder});
    if (!remove_folder(folder)) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a killed process leaves its group a moment later
  }
}

std::vector<fs::path> cgroups_of(const std::string& session) {
  std::vector<fs::path> parents;
  if (is_v2()) parents = v2_parents();
  else parents = {v1_folder("memory"), v1_folder("pids"), v1_folder("cpu")};
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& parent : parents)
    for (const auto& entry : fs::directory_iterator(parent, error))
      if (entry.path().filename().string().starts_with("hawse-" + session + "-")) found.push_back(entry.path());
  return found;
}

std::optional<Cgroup> Cgroup::make_v2(const fs::path& folder, const pipeline::Limits& limits, bool settle, std::string* why) {
  const fs::path parent = folder.parent_path();
  const auto memory_bytes = limits.own_memory_bytes();
  const bool limited = memory_bytes || limits.pids || limits.cpus, passes_on = passes_controllers_on(parent);
  if (!passes_on && (limited || !settle)) {
    *why = parent.string() + " has processes in it, the runtime perhaps: start that in a group below it, see docs/executors.md#limits";
    return std::nullopt;
  }
  if (passes_on)
    for (const char* controller : {"+memory", "+pids", "+cpu"}) write_value(parent / "cgroup.subtree_control", controller);  // what isn't given shows below
  if (!make_folder(folder, why)) return std::nullopt;
  Cgroup group;
  group.v2_ = true;
  group.folders_ = {folder};
  group.view_ = CgroupView::v2(folder);
  std::string type;
  std::ifstream type_file(folder / "cgroup.type");
  if (std::getline(type_file, type); type != "domain") {
    *why = parent.string() + " is a group of threads, below which a process can't have one";
    return std::nullopt;
  }
  if (!settle && !fs::exists(folder / "memory.current")) {
    *why = parent.string() + " isn't given the memory controller";
    return std::nullopt;
  }
  if (memory_bytes && !set(folder / "memory.max", std::to_string(*memory_bytes), why)) return std::nullopt;
  if (memory_bytes) group.swaps_ = !write_value(folder / "memory.swap.max", "0") && has_swap();
  if (limits.pids && !set(folder / "pids.max", std::to_string(*limits.pids), why)) return std::nullopt;
  if (limits.cpus && !set(folder / "cpu.max", std::to_string(cpu_quota_us(*limits.cpus)) + " " + std::to_string(kCpuPeriodUs), why)) {
    if (!settle) return std::nullopt;
    group.cpus_why_not_ = parent.string() + " isn't given the cpu controller";
  }
  return group;
}

std::optional<Cgroup> Cgroup::make(const std::string& name, const pipeline::Limits& limits, std::string* why) {
  const std::optional<std::uint64_t> memory_bytes = limits.own_memory_bytes();
  if (is_v2()) {
    // Where none has all: users are often given all but the cpu controller, and the other limits needn't be weaker for that; a node without limits needs none.
    std::string first_why;
    for (const bool settle : {false, true})
      for (const auto& parent : v2_parents()) {
        if (auto group = make_v2(parent / ("hawse-" + name), limits, settle, why)) return group;
        if (first_why.empty() && ::access(parent.c_str(), W_OK) == 0) first_why = *why;
      }
    if (!first_why.empty()) *why = first_why;
    return std::nullopt;
  }
  Cgroup group;
  const auto enter = [&](const char* controller) -> std::optional<fs::path> {
    const fs::path parent = v1_folder(controller);
    if (parent.empty()) {
      *why = std::string("no cgroup hierarchy for ") + controller;
      return std::nullopt;
    }
    const fs::path folder = parent / ("hawse-" + name);
    if (!make_folder(folder, why)) return std::nullopt;
    group.folders_.push_back(folder);
    return folder;
  };
  // Memory's always: it is how the node's peak is known, and how all of its processes are found.
  const auto memory = enter("memory");
  if (!memory) return std::nullopt;
  if (memory_bytes) {
    if (!set(*memory / "memory.limit_in_bytes", std::to_string(*memory_bytes), why)) return std::nullopt;
    group.swaps_ = !write_value(*memory / "memory.memsw.limit_in_bytes", std::to_string(*memory_bytes)) && has_swap();  // absent without swap accounting
  }
  fs::path pids, cpu;
  if (limits.cpus) {
    const auto folder = enter("cpu");
    cpu = folder.value_or("");
    if (!folder || !set(*folder / "cpu.cfs_period_us", std::to_string(kCpuPeriodUs), why) ||
        !set(*folder / "cpu.cfs_quota_us", std::to_string(cpu_quota_us(*limits.cpus)), why))
      return std::nullopt;
  }
  if (limits.pids) {
    const auto folder = enter("pids");
    pids = folder.value_or("");
    if (!folder || !set(*folder / "pids.max", std::to_string(*limits.pids), why)) return std::nullopt;
  }
  group.view_ = CgroupView::v1(*memory, cpu, pids);
  return group;
}

Cgroup::~Cgroup() {
  for (const auto& folder : folders_) remove_cgroup(folder);
}

std::vector<std::string> Cgroup::entry_files() const {
  std::vector<std::string> files;
  // v1: a process that has one thread yet moves by `tasks` in 0.1 ms; `cgroup.procs` waits for all of the machine's forks to pause, 10 ms and more.
  for (const auto& folder : folders_) files.push_back((folder / (v2_ ? "cgroup.procs" : "tasks")).string());
  return files;
}

std::string Cgroup::version() const {
  std::string text = v2_ ? "cgroup v2" : "cgroup v1";
  if (swaps_) text += " (swap isn't limited: the kernel doesn't count it)";
  if (!can_limit_cpus()) text += " (cpus not limited: " + cpus_why_not_ + ")";
  return text;
}

void Cgroup::kill() noexcept {
  if (!folders_.empty()) kill_members(folders_);
}

bool Cgroup::remove() noexcept {
  kill();
  std::erase_if(folders_, remove_folder);
  return folders_.empty();
}

}  // namespace hawse::executor
