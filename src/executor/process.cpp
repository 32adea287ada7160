// SPDX-License-Identifier: Apache-2.0
//
// Executor `process`: a Python node, a C++ program or a stock node as a process of its own, in its own session, with its socket as descriptor 3.
// Limits: a cgroup (v2, else v1) where one can be made, else rlimits; limits_by() says which.
//
// A Python node that isn't the only one of its kind, may be started again, or is kept warm (warm.hpp), is forked from a zygote (zygote.hpp): one for each
// interpreter, packages, module, environment and memory limit. Elsewhere a zygote would only be one process more.
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <ranges>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"
#include "base/subprocess.hpp"
#include "executor/cgroup.hpp"
#include "executor/executor.hpp"
#include "executor/process_command.hpp"
#include "executor/process_id.hpp"
#include "executor/process_usage.hpp"
#include "executor/process_zygote.hpp"
#include "executor/python/packages.hpp"
#include "executor/python/sdk.hpp"

namespace hawse::executor {
namespace {

namespace fs = std::filesystem;

// Control groups in which something takes a while to die: a thread for each waits for that. Used by one thread; the destructor waits for all.
class LateRemovals {
 public:
  void add(Cgroup group) {
    std::erase_if(waits_, [](const auto& wait) { return wait.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
    waits_.push_back(std::async(std::launch::async, [group = std::move(group)]() mutable { const Cgroup gone = std::move(group); }));
  }

 private:
  std::vector<std::future<void>> waits_;
};

// A node's control group, and what is said of it at the node's end.
class Group {
 public:
  Group(const Launch& launch, LateRemovals& late) : limits_(launch.node->limits), late_(late) {
    const bool wants = limits_.memory_bytes || limits_.cpus || limits_.pids;
    cgroup_ = Cgroup::make(launch.session + "-" + launch.node->id + "-" + std::to_string(launch.attempt), limits_, &why_);
    if (wants) limits_by_ = cgroup_ ? cgroup_->version() : "rlimit";
    if (!cgroup_ && limits_.cpus) limits_by_ += " (cpus not limited: " + why_ + ")";
  }

  bool by_rlimits() const { return !cgroup_ && !limits_by_.empty(); }
  bool any_rlimits() const { return !rlimits().empty(); }
  const std::string& limits_by() const { return limits_by_; }
  const std::string& why() const { return why_; }  // there is no group
  std::vector<std::string> entry_files() const { return cgroup_ ? cgroup_->entry_files() : std::vector<std::string>{}; }

  std::vector<std::pair<int, unsigned long>> rlimits() const {
    std::vector<std::pair<int, unsigned long>> list;
    if (limits_.file_bytes) list.emplace_back(RLIMIT_FSIZE, *limits_.file_bytes);
    if (by_rlimits() && limits_.memory_bytes) list.emplace_back(RLIMIT_AS, *limits_.memory_bytes);
    if (by_rlimits() && limits_.pids) list.emplace_back(RLIMIT_NPROC, *limits_.pids);
    return list;
  }

  void kill() noexcept {
    const std::lock_guard lock(mutex_);
    if (cgroup_) cgroup_->kill();
  }
  Usage usage(pid_t pid) const {  // what it doesn't tell, of this process alone
    const std::lock_guard lock(mutex_);
    Usage usage = cgroup_ ? cgroup_->usage() : last_;
    complete_from_proc(usage, pid);
    return usage;
  }
  void guard(std::vector<std::string>& lines) const {
    if (cgroup_)
      for (const auto& folder : std::views::reverse(cgroup_->folders())) lines.push_back("cgroup " + folder.string());  // that of pids first: nothing forks any more
  }

  // The node has ended: what the group knows about that goes into `ending`, and the group goes.
  Ending close(Ending ending) {
    const std::lock_guard lock(mutex_);
    if (!cgroup_ || ending.kind == EndingKind::out_of_memory) return ending;
    last_ = cgroup_->usage();
    if (last_.memory_peak_bytes) ending.memory_peak_bytes = last_.memory_peak_bytes;
    ending.memory_limit_bytes = limits_.own_memory_bytes();
    if (ending.kind == EndingKind::signalled && ending.value == SIGKILL && last_.memory_kills > 0) ending.kind = EndingKind::out_of_memory;
    if (!cgroup_->remove()) late_.add(std::move(*cgroup_));
    cgroup_.reset();
    return ending;
  }

 private:
  mutable std::mutex mutex_;  // kill() comes from any thread
  pipeline::Limits limits_;
  LateRemovals& late_;
  std::optional<Cgroup> cgroup_;
  Usage last_;  // when it was closed
  std::string why_, limits_by_;
};

class ProcessInstance : public Instance {
 public:
  ProcessInstance(SpawnOptions options, std::unique_ptr<Group> group) : group_(std::move(group)) {
    options.cgroup_procs = group_->entry_files();
    options.rlimits = group_->rlimits();
    process_ = Subprocess::spawn(options);
    pid_ = process_.pid();
    id_ = process_id(pid_);
  }

  int ended_fd() const noexcept override { return process_.pidfd(); }

  Ending collect() override {
    process_.signal_group(SIGKILL);  // what it started ends with it
    const ExitStatus status = process_.wait();
    return group_->close({.kind = status.signalled ? EndingKind::signalled : EndingKind::exited, .value = status.value, .memory_limit_bytes = {}, .memory_peak_bytes = status.max_rss_bytes, .text = {}});
  }

  void kill() noexcept override {
    process_.signal(SIGKILL);
    group_->kill();
  }
  void abort() noexcept override { process_.signal(SIGABRT); }

  Usage usage() const noexcept override { return group_->usage(pid_); }
  pid_t pid() const noexcept override { return pid_; }
  std::string where() const override { return "process " + std::to_string(pid_); }
  std::string limits_by() const override { return group_->limits_by(); }

  std::vector<std::string> guarded() const override {
    std::vector<std::string> lines = {"group " + id_};
    group_->guard(lines);
    return lines;
  }

 private:
  std::unique_ptr<Group> group_;  // outlives the process
  Subprocess process_;
  pid_t pid_;
  std::string id_;
};

// A node that a zygote forks. Until the zygote has answered it is under way; if that can't fork it, it is started like any other.
class ForkedInstance : public Instance {
 public:
  using StartAlone = std::function<std::unique_ptr<Instance>(Launch, std::unique_ptr<Group>, const std::vector<std::string>& threads)>;

  ForkedInstance(std::shared_ptr<Zygote> zygote, Launch launch, std::unique_ptr<Group> group, StartAlone start_alone)
      : launch_(std::move(launch)),
        start_alone_(std::move(start_alone)),
        group_(std::move(group)),
        zygote_(std::move(zygote)),
        fork_(zygote_, launch_, {.cgroup_files = group_->entry_files()}) {}

  int started_fd() const noexcept override { return fork_.answered_fd(); }

  void started() override {
    const auto answer = fork_.answer();
    if (answer == Fork::Answer::threads) {
      alone_ = start_alone_(std::move(launch_), std::move(group_), fork_.threads());
    } else if (answer == Fork::Answer::forked) {
      id_ = process_id(fork_.pid());
    }
    launch_ = {};  // closes our ends of what the node has
  }

  int ended_fd() const noexcept override { return alone_ ? alone_->ended_fd() : fork_.ended_fd(); }

  Ending collect() override {
    if (alone_) return alone_->collect();
    if (fork_.pid() > 0) ::kill(-fork_.pid(), SIGKILL);  // what it started ends with it
    return group_->close(fork_.ending());
  }

  void kill() noexcept override {
    if (alone_) return alone_->kill();
    fork_.kill();
    group_->kill();
  }
  void abort() noexcept override {
    if (alone_) alone_->abort();
    else fork_.abort();
  }

  Usage usage() const noexcept override { return alone_ ? alone_->usage() : group_->usage(fork_.pid()); }
  pid_t pid() const noexcept override { return alone_ ? alone_->pid() : std::max(fork_.pid(), 0); }
  std::string where() const override { return alone_ ? alone_->where() : fork_.pid() > 0 ? "process " + std::to_string(fork_.pid()) : ""; }
  std::string limits_by() const override { return alone_ ? alone_->limits_by() : group_->limits_by(); }

  std::vector<std::pair<std::string, std::int64_t>> phases_ns() const override {
    if (alone_ || fork_.pid() <= 0) return {};
    return {{"interpreter", fork_.interpreter_ns()}, {"import", fork_.import_ns()}};
  }

  std::vector<std::string> guarded() const override {
    if (alone_) return alone_->guarded();
    std::vector<std::string> lines = zygote_->home().guarded();
    group_->guard(lines);
    if (!id_.empty()) lines.push_back("group " + id_);
    return lines;
  }

 private:
  Launch launch_;
  StartAlone start_alone_;
  std::unique_ptr<Group> group_;  // outlives the process
  std::shared_ptr<Zygote> zygote_;
  Fork fork_;
  std::unique_ptr<Instance> alone_;
  std::string id_;
};

class ProcessExecutor : public Executor {
 public:
  explicit ProcessExecutor(Making making) : making_(std::move(making)) {}

  Prepared prepare(const pipeline::Node& node, const Report& report) override {
    Prepared prepared;
    if (node.kind == pipeline::NodeKind::stock) {
      prepared.entry = {{"kind", "stock"}, {"name", node.stock}};
      prepared.summary = "c++";
      return prepared;
    }
    if (node.kind == pipeline::NodeKind::program) {
      prepared.entry = {{"kind", "program"}};
      prepared.summary = "c++";
      return prepared;
    }
    const Interpreter interpreter = find_python(node.python.version);
    compile_sdk(resources_dir() / "python", interpreter);
    prepared.interpreter = interpreter.path;
    prepared.summary = "python " + interpreter.version;
    if (!node.packages.empty()) {
      EnvironmentIndex index(state_dir() / "index.sqlite");
      PackageStore store(state_dir(), index);
      const Packages packages = store.install({.python = interpreter.tag(), .platform = "", .interpreter = interpreter, .pipeline = node.file, .interrupt = making_.interrupt.get()}, node.packages, report);
      prepared.packages = packages.folder;
      prepared.path.push_back(packages.folder.string());
      prepared.summary += ", " + packages.summary;
      const std::lock_guard lock(mutex_);
      uses_.push_back(packages.use);
    }
    prepared.entry = {{"kind", "python"}, {"file", node.source_file.string()}, {"module", node.module}, {"class", node.class_name}};
    return prepared;
  }

  void expect(const pipeline::Pipeline& pipeline) override {
    for (const auto& node : pipeline.nodes) {
      if (!may_fork(node)) continue;
      Kind& kind = kinds_[kind_of(node)];
      const bool restarts = node.restart.on == pipeline::RestartOn::failure;
      kind.starts += restarts ? 2 : 1;
      kind.restarts = kind.restarts || restarts;
    }
  }

  std::unique_ptr<Instance> launch(Launch launch) override {
    auto group = std::make_unique<Group>(launch, late_);
    const auto kind = may_fork(*launch.node) ? kinds_.find(kind_of(*launch.node)) : kinds_.end();
    // rlimits hold from a process's first moment or not at all.
    if (group->any_rlimits() && launch.attempt == 1 && launch.notice && may_fork(*launch.node) && (launch.node->pool > 0 || is_kept(*launch.node)))
      launch.notice("isn't forked from what is kept warm: setrlimit holds its limits here, from a process's first moment (" + group->why() + ")");
    if (kind == kinds_.end() || kind->second.has_threads || group->any_rlimits()) return start_alone(launch, std::move(group));
    Kind& kin = kind->second;
    if (kin.zygote && !kin.zygote->usable()) kin.zygote.reset();
    if (!kin.zygote) kin.zygote = kept_zygote(launch);
    if (!kin.zygote) {
      if (kin.starts < 2) return start_alone(launch, std::move(group));
      kin.zygote = new_zygote(launch, kin.restarts);
    }
    return std::make_unique<ForkedInstance>(kin.zygote, std::move(launch), std::move(group), [this, &kin](Launch again, std::unique_ptr<Group> its, const auto& threads) {
      kin.zygote.reset();
      if (!std::exchange(kin.has_threads, true) && again.notice)
        again.notice(threads_in_words(*again.node, threads) +
                     ": its nodes aren't forked, each starts an interpreter of its own; fork: false says so beforehand");
      return start_alone(again, std::move(its));
    });
  }

 private:
  // Nodes that one zygote can fork.
  struct Kind {
    unsigned starts = 0;  // that can be foreseen
    bool restarts = false, has_threads = false;
    std::shared_ptr<Zygote> zygote;
  };

  static bool may_fork(const pipeline::Node& node) {
    return node.kind == pipeline::NodeKind::python && node.executor == pipeline::ExecutorKind::process && node.fork;
  }

  // What has changed since the start is no kind that was foreseen: such a node starts alone, with its files as they are now.
  static std::string kind_of(const pipeline::Node& node) {
    std::error_code gone;
    std::vector<std::int64_t> written;
    for (const auto& file : node.code_files) written.push_back(std::filesystem::last_write_time(file, gone).time_since_epoch().count());
    return nlohmann::json{node.python.version, node.packages, node.source_file.string(), node.module, node.env, node.limits.own_memory_bytes().value_or(0), written}.dump();
  }

  std::shared_ptr<Zygote> kept_zygote(const Launch& launch) {
    if (launch.node->pool == 0 && !is_kept(*launch.node)) return nullptr;
    auto lent = take_or_keep(*launch.node, process_recipe(*launch.node, *launch.prepared), launch.attempt, making_.interrupt.get());
    return lent ? lent_zygote(std::move(*lent)) : nullptr;
  }

  std::shared_ptr<Zygote> new_zygote(const Launch& launch, bool spare) {
    auto made = start_zygote(spawn_options(launch), launch.session + "-zygote." + std::to_string(++zygotes_), launch.node->limits.own_memory_bytes());
    send_message(made.socket.get(), Zygote::import_message(*launch.prepared, spare, false).dump());
    return std::make_shared<Zygote>(std::move(made.home), std::move(made.socket));
  }

  static SpawnOptions spawn_options(const Launch& launch) {
    SpawnOptions options = process_command(*launch.node, *launch.prepared);
    options.fds = {{launch.control.get(), 3}};
    options.stdout_fd = launch.out.get();
    options.stderr_fd = launch.err.get();
    return options;
  }

  static std::unique_ptr<Instance> start_alone(const Launch& launch, std::unique_ptr<Group> group) {
    return std::make_unique<ProcessInstance>(spawn_options(launch), std::move(group));
  }

  const Making making_;
  // Used by the thread that launches.
  std::map<std::string, Kind> kinds_;
  unsigned zygotes_ = 0;
  LateRemovals late_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Use>> uses_;  // of all that it has prepared
};

}  // namespace

std::unique_ptr<Executor> make_process_executor(Making making) { return std::make_unique<ProcessExecutor>(std::move(making)); }

}  // namespace hawse::executor
