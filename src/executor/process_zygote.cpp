// SPDX-License-Identifier: Apache-2.0
#include "executor/process_zygote.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"
#include "executor/cgroup.hpp"
#include "executor/process_command.hpp"
#include "executor/process_id.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

class ProcessHome final : public ZygoteHome {
 public:
  ProcessHome(SpawnOptions options, const std::string& name, std::optional<std::uint64_t> memory_bytes) : memory_bytes_(memory_bytes) {
    pipeline::Limits memory;
    memory.memory_bytes = memory_bytes;
    std::string why;
    cgroup_ = Cgroup::make(name, memory, &why);
    if (cgroup_) options.cgroup_procs = cgroup_->entry_files();
    process_ = Subprocess::spawn(options);
    pid_ = process_.pid();
    id_ = process_id(pid_);
  }
  ~ProcessHome() override { process_.signal_group(SIGKILL); }

  pid_t pid() const noexcept { return pid_; }
  int ended_fd() const noexcept override { return process_.pidfd(); }
  void kill() noexcept override { process_.signal(SIGKILL); }
  bool has(pid_t node) const override { return parent_of(node) == pid_; }
  std::string name() const override { return "process " + std::to_string(pid_); }

  Ending ending() override {
    process_.signal_group(SIGKILL);
    const ExitStatus status = process_.wait();
    Ending ending{.kind = status.signalled ? EndingKind::signalled : EndingKind::exited,
                  .value = status.value,
                  .memory_limit_bytes = {},
                  .memory_peak_bytes = status.max_rss_bytes,
                  .text = {}};
    if (cgroup_ && status.signalled && cgroup_->usage().memory_kills > 0) {
      ending.kind = EndingKind::out_of_memory;
      ending.memory_limit_bytes = memory_bytes_;
      ending.memory_peak_bytes = cgroup_->usage().memory_peak_bytes;
    }
    return ending;
  }

  std::vector<std::string> guarded() const override {
    std::vector<std::string> lines = {"group " + id_};
    if (cgroup_)
      for (const auto& folder : cgroup_->folders()) lines.push_back("cgroup " + folder.string());
    return lines;
  }

 private:
  std::optional<Cgroup> cgroup_;  // outlives the process
  Subprocess process_;
  std::optional<std::uint64_t> memory_bytes_;
  pid_t pid_ = -1;
  std::string id_;
};

// The keeper reaps it no sooner than the connection to it is closed: so long its number is its own.
class LentHome final : public ZygoteHome {
 public:
  LentHome(pid_t pid, UniqueFd keeper) : keeper_(std::move(keeper)), pid_(pid), id_(process_id(pid)) {
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u)));
    if (!pidfd_) throw Error::from_errno("take what is kept warm", "process " + std::to_string(pid));
  }
  ~LentHome() override { kill(); }

  int ended_fd() const noexcept override { return pidfd_.get(); }
  void kill() noexcept override { ::kill(-pid_, SIGKILL); }
  bool has(pid_t node) const override { return parent_of(node) == pid_; }
  std::string name() const override { return "process " + std::to_string(pid_); }
  std::vector<std::string> guarded() const override { return {"group " + id_}; }

  Ending ending() override {
    kill();
    Ending ending;
    ending.kind = EndingKind::lost;
    ending.text = "its zygote (" + name() + "), which the keeper had made, has ended";
    return ending;
  }

 private:
  UniqueFd keeper_, pidfd_;
  pid_t pid_;
  std::string id_;
};

// What a process has from its parent, which the keeper is not: it may have been started anywhere.
json inherited() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  json cpus = json::array();
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  return {{"cpus", cpus}, {"nice", ::getpriority(PRIO_PROCESS, 0)}, {"cwd", std::filesystem::current_path().string()}};
}

void pass_on(const json& process, pid_t pid) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  for (const unsigned cpu : process.at("cpus").get<std::vector<unsigned>>())
    if (cpu < CPU_SETSIZE) CPU_SET(cpu, &allowed);
  if (::sched_setaffinity(pid, sizeof allowed, &allowed) != 0) throw Error::from_errno("keep a node warm", "its processors");
  const int nice = process.at("nice");
  if (::getpriority(PRIO_PROCESS, static_cast<id_t>(pid)) != nice && ::setpriority(PRIO_PROCESS, static_cast<id_t>(pid), nice) != 0)
    throw Error::from_errno("keep a node warm", "its priority (the keeper was started with a lower one: hawse warm --stop ends it)");
}

// The interpreter and the node-side library, as they are now.
json stamps_of(const Prepared& prepared) {
  json all = json::array();
  const auto add = [&](const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) == 0) all.push_back({file.string(), status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec});
  };
  add(prepared.interpreter);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(resources_dir() / "python/hawse"))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) add(file);
  return all;
}

}  // namespace

ProcessZygote start_zygote(SpawnOptions options, const std::string& name, std::optional<std::uint64_t> memory_bytes) {
  auto [ours, theirs] = socket_pair();
  options.fds = {{theirs.get(), 3}};
  options.argv.emplace_back("zygote");
  auto home = std::make_unique<ProcessHome>(std::move(options), name, memory_bytes);
  const pid_t pid = home->pid();
  return {std::move(home), std::move(ours), pid};
}

Recipe process_recipe(const pipeline::Node& node, const Prepared& prepared) {
  const SpawnOptions options = process_command(node, prepared);
  Recipe recipe;
  recipe.process = inherited();
  recipe.process.update({{"argv", options.argv}, {"env", options.env}, {"memory_bytes", node.limits.own_memory_bytes().value_or(0)}});
  recipe.import = Zygote::import_message(prepared, true, false);
  recipe.key = key_of(node, {recipe.process, recipe.import, stamps_of(prepared)});
  recipe.timeout_ns = node.start_timeout_ns;
  return recipe;
}

ProcessZygote start_zygote(const Recipe& recipe, const std::string& name, int output) {
  const json& process = recipe.process;
  SpawnOptions options;
  process.at("argv").get_to(options.argv);
  process.at("env").get_to(options.env);
  process.at("cwd").get_to(options.working_directory);
  options.stdout_fd = options.stderr_fd = output;
  const std::uint64_t memory_bytes = process.at("memory_bytes");
  auto started = start_zygote(std::move(options), name, memory_bytes > 0 ? std::optional(memory_bytes) : std::nullopt);
  pass_on(process, started.pid);
  return started;
}

std::shared_ptr<Zygote> lent_zygote(Lent lent) {
  return std::make_shared<Zygote>(std::make_unique<LentHome>(lent.pid, std::move(lent.keeper)), std::move(lent.zygote));
}

}  // namespace hawse::executor
