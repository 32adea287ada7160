// SPDX-License-Identifier: Apache-2.0
//
// `hawse doctor`: what this machine has and lacks, each found out by trying it, and what to do about what is missing.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/exit_codes.hpp"
#include "base/fd.hpp"
#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "executor/cgroup.hpp"
#include "executor/container/engine.hpp"
#include "executor/warm.hpp"
#include "executor/python/interpreter.hpp"
#include "executor/python/uv.hpp"
#include "plane/port.hpp"

namespace hawse::cli {
namespace {

struct Line {
  std::string what;
  bool there = true, needed = false;  // needed: nothing runs without it
  std::string found;                  // or why it isn't there
  std::string advice = {};            // where it isn't: what to do
};

std::string first_line(const std::string& text) { return strip_control(text.substr(0, text.find('\n'))); }

Line kernel() {
  utsname name{};
  ::uname(&name);
  return {"kernel", true, true, fmt::format("{} {}, {}", name.sysname, name.release, name.machine)};
}

Line wake_ups() {
  if (plane::can_sleep_on_many_words()) return {"wake-ups", true, false, "a node sleeps on its links' own words (futex_waitv)"};
  return {"wake-ups", false, false, "a node with several neighbours sleeps on a doorbell, which a hostile one can tamper with", "Linux 5.16 or newer; see docs/trust.md"};
}

// What every frame relies on: memory without a name whose readers can't write it.
Line sealed_memory() {
  const char* advice = "Linux 5.1 or newer, without a filter on memfd_create";
  const UniqueFd memory(::memfd_create("hawse-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::ftruncate(memory.get(), 4096) != 0) return {"shared memory", false, true, "memfd_create is refused", advice};
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) != 0) return {"shared memory", false, true, "seals are refused", advice};
  void* address = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (address != MAP_FAILED) {
    ::munmap(address, 4096);
    return {"shared memory", false, true, "a sealed memory can still be written", advice};
  }
  return {"shared memory", true, true, "memory files, sealed against writing"};
}

Line process_descriptors() {
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self) return {"process descriptors", false, true, "pidfd_open is refused", "Linux 5.3 or newer"};
  return {"process descriptors", true, true, "pidfd"};
}

// Found out by making one, with every limit that a node can have.
Line control_groups() {
  pipeline::Limits limits;
  limits.memory_bytes = 64u << 20;
  limits.cpus = 1;
  limits.pids = 64;
  std::string why;
  if (const auto group = executor::Cgroup::make(fmt::format("doctor-{}", ::getpid()), limits, &why))
    return {"limits of processes", group->can_limit_cpus(), false, fmt::format("{}: memory{} and pids", group->version(), group->can_limit_cpus() ? ", cpus" : ""),
            group->can_limit_cpus() ? "" : "systemctl edit user@.service, and there: [Service] Delegate=cpu memory pids"};
  return {"limits of processes", false, false, fmt::format("setrlimit: memory as address space, pids as all of your user's, cpus not at all ({})", why),
          "run as root, or in a group of its own: systemd-run --user --scope -p Delegate=yes hawse run ..."};
}

Line engine() {
  try {
    const executor::Engine engine;
    return {"engine", true, false, fmt::format("{}, API {}, {}", engine.version().engine, engine.version().api, engine.socket_path())};
  } catch (const Error& error) {
    return {"engine", false, false, fmt::format("{} (only nodes in containers need one)", error.context()),
            error.hint().empty() ? "install docker.io or podman, and start it" : error.hint()};
  }
}

// What waits takes memory, and its owner runs in the background.
Line warm() {
  unsigned waiting = 0, others = 0;
  for (const auto& line : executor::all_kept()) {
    waiting += line.value("waiting", 0u);
    others += line.contains("sessions") ? 1 : line.value("lent", 0u);
  }
  if (!executor::keeper_runs()) return {"kept warm", true, false, "nothing, no keeper runs"};
  return {"kept warm", true, false,
          fmt::format("{} waiting, {} in use (hawse warm --ls; log: {})", waiting, others, executor::keeper_log().string())};
}

Line python() {
  try {
    const auto interpreter = executor::find_python("");
    return {"python", true, false, fmt::format("{}, {}", interpreter.version, interpreter.path.string())};
  } catch (const Error& error) {
    return {"python", false, false, error.context(), "install python3 (3.9 or newer); nodes in containers have their own"};
  }
}

Line uv() {
  try {
    auto argv = executor::find_uv();
    const auto place = fmt::format("{}", fmt::join(argv, " "));
    argv.push_back("--version");
    SpawnOptions options;
    options.argv = std::move(argv);
    options.env = current_environment();
    return {"uv", true, false, fmt::format("{}, {}", first_line(run_to_end(options).out), place)};
  } catch (const Error& error) {
    return {"uv", false, false, error.context(), error.hint().empty() ? "pip install uv" : error.hint()};
  }
}

bool on_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string folders = path == nullptr ? "" : path;
  for (std::size_t at = 0; at <= folders.size();) {
    const auto end = std::min(folders.find(':', at), folders.size());
    if (::access(fmt::format("{}/{}", folders.substr(at, end - at), name).c_str(), X_OK) == 0) return true;
    at = end + 1;
  }
  return false;
}

Line mmdebstrap() {
  if (on_path("mmdebstrap")) return {"mmdebstrap", true, false, "makes base images where no registry answers"};
  return {"mmdebstrap", false, false, "not found (only `hawse image base` needs it)", "apt install mmdebstrap"};
}

Line stock_nodes() {
  const auto program = resources_dir() / "hawse-node";
  for (const auto& each : {program, resources_dir() / "hawse-media-node", resources_dir() / "hawse-media.so"})
    if (::access(each.c_str(), R_OK) != 0) return {"stock nodes", false, true, fmt::format("{} is missing", each.string()), "install again: make install"};
  return {"stock nodes", true, true, program.string()};
}

Line processor() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, model = "unknown", flags;
  while (std::getline(file, line)) {
    const auto value = line.substr(std::min(line.size(), line.find(':') + 2));
    if (line.starts_with("model name")) model = value;
    if (line.starts_with("flags") && flags.empty()) flags = " " + value + " ";
  }
  std::vector<std::string> features;
  for (const char* feature : {"avx2", "avx512vl"}) {
    features.push_back(fmt::format("{}{}", flags.find(fmt::format(" {} ", feature)) == std::string::npos ? "no " : "", feature));
  }
  return {"processor", true, false, fmt::format("{}, {} cores, {}", strip_control(model), std::thread::hardware_concurrency(), fmt::join(features, ", "))};
}

Line store() {
  try {
    const auto folder = state_dir();
    struct statvfs space {};
    ::statvfs(folder.c_str(), &space);
    return {"environments", true, true, fmt::format("{}, {} free", folder.string(), format_bytes(space.f_bavail * space.f_frsize))};
  } catch (const Error& error) {
    return {"environments", false, true, error.context(), "set HAWSE_STATE to a folder that you may write"};
  }
}

int examine(bool as_json) {
  int code = kOk;
  nlohmann::json all = nlohmann::json::array();
  for (const auto check :
       {kernel, sealed_memory, wake_ups, process_descriptors, control_groups, store, stock_nodes, python, uv, engine, warm, mmdebstrap, processor}) {
    const Line line = check();
    if (!line.there && line.needed) code = kEnvironment;
    if (as_json) {
      all.push_back({{"what", line.what}, {"there", line.there}, {"needed", line.needed}, {"found", line.found}, {"advice", line.advice}});
    } else {
      fmt::print("{:<8} {:<20} {}\n", line.there ? "ok" : "missing", line.what, line.found);
      if (!line.there) fmt::print("{:<8} {:<20}   {}\n", "", "", line.advice);
    }
  }
  if (as_json) fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  return code;
}

}  // namespace

void add_doctor(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("doctor", "Show what this machine has and lacks, and what to do");
  command->footer("Example:\n  hawse doctor");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "As JSON");
  command->callback([as_json, &result] { result.exit_code = examine(*as_json); });
}

}  // namespace hawse::cli
