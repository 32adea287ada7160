// SPDX-License-Identifier: Apache-2.0
//
// Executor `process`: a Python node, a C++ program or a stock node as a process of its own, in its own session, with its socket as descriptor 3.
// Limits: a cgroup (v2, else v1) where one can be made, else rlimits; limits_by() says which.
#include <signal.h>
#include <sys/resource.h>

#include <mutex>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "executor/cgroup.hpp"
#include "executor/executor.hpp"
#include "executor/process_id.hpp"
#include "executor/python/packages.hpp"

namespace hawse::executor {
namespace {

namespace fs = std::filesystem;

class ProcessInstance : public Instance {
 public:
  ProcessInstance(Subprocess process, std::optional<Cgroup> cgroup, std::string limits_by, const pipeline::Limits& limits)
      : process_(std::move(process)), cgroup_(std::move(cgroup)), limits_by_(std::move(limits_by)), limits_(limits), pid_(process_.pid()),
        id_(process_id(pid_)) {}

  int ended_fd() const noexcept override { return process_.pidfd(); }

  Ending collect() override {
    process_.signal_group(SIGKILL);  // what it started ends with it
    const ExitStatus status = process_.wait();
    Ending ending{.kind = status.signalled ? EndingKind::signalled : EndingKind::exited, .value = status.value, .memory_limit_bytes = {}, .memory_peak_bytes = status.max_rss_bytes, .text = {}};
    if (cgroup_) {
      ending.memory_peak_bytes = cgroup_->usage().memory_peak_bytes;
      ending.memory_limit_bytes = limits_.memory_bytes;
      if (status.signalled && cgroup_->oom_kills() > 0) ending.kind = EndingKind::out_of_memory;
    }
    const std::lock_guard lock(mutex_);
    cgroup_.reset();
    return ending;
  }

  void kill() noexcept override {
    const std::lock_guard lock(mutex_);
    process_.signal(SIGKILL);
    if (cgroup_) cgroup_->kill();
  }

  Usage usage() const noexcept override {
    const std::lock_guard lock(mutex_);
    return cgroup_ ? cgroup_->usage() : Usage{};
  }
  std::string where() const override { return "process " + std::to_string(pid_); }
  std::string limits_by() const override { return limits_by_; }

  std::vector<std::string> guarded() const override {
    std::vector<std::string> lines = {"group " + id_};
    if (cgroup_)
      for (const auto& folder : cgroup_->folders()) lines.push_back("cgroup " + folder.string());
    return lines;
  }

 private:
  mutable std::mutex mutex_;  // kill() comes from any thread
  Subprocess process_;
  std::optional<Cgroup> cgroup_;
  std::string limits_by_;
  pipeline::Limits limits_;
  pid_t pid_;
  std::string id_;
};

class ProcessExecutor : public Executor {
 public:
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
    prepared.interpreter = interpreter.path;
    prepared.summary = "python " + interpreter.version;
    if (!node.packages.empty()) {
      EnvironmentIndex index(state_dir() / "index.sqlite");
      PackageStore store(state_dir(), index);
      const Packages packages = store.install({.python = interpreter.tag(), .platform = "", .interpreter = interpreter, .compile = {}}, node.packages, report);
      prepared.packages = packages.folder;
      prepared.path.push_back(packages.folder.string());
      prepared.summary += ", " + packages.summary;
    }
    prepared.entry = {{"kind", "python"}, {"file", node.source_file.string()}, {"module", node.module}, {"class", node.class_name}};
    return prepared;
  }

  std::unique_ptr<Instance> launch(Launch launch) override {
    const pipeline::Node& node = *launch.node;
    SpawnOptions options;
    options.argv = command(node, *launch.prepared);
    options.env = environment(node);
    options.fds = {{launch.control.get(), 3}};
    options.stdout_fd = launch.out.get();
    options.stderr_fd = launch.err.get();
    std::optional<Cgroup> cgroup;
    const bool wants = node.limits.memory_bytes || node.limits.cpus || node.limits.pids;
    std::string limits_by;
    std::string why;
    cgroup = Cgroup::make(launch.session + "-" + node.id + "-" + std::to_string(launch.attempt), node.limits, &why);
    if (cgroup) {
      options.cgroup_procs = cgroup->procs_files();
      if (wants) limits_by = cgroup->version();
    } else if (wants) {
      limits_by = "rlimit";
      if (node.limits.memory_bytes) options.rlimits.push_back({RLIMIT_AS, *node.limits.memory_bytes});
      if (node.limits.pids) options.rlimits.push_back({RLIMIT_NPROC, *node.limits.pids});
      if (node.limits.cpus) limits_by += " (cpus not limited: " + why + ")";
    }
    return std::make_unique<ProcessInstance>(Subprocess::spawn(options), std::move(cgroup), limits_by, node.limits);
  }

 private:
  static std::vector<std::string> command(const pipeline::Node& node, const Prepared& prepared) {
    switch (node.kind) {
      case pipeline::NodeKind::stock: return {(resources_dir() / "hawse-node").string(), node.stock};
      case pipeline::NodeKind::program: return {node.source_file.string()};
      case pipeline::NodeKind::python: break;
    }
    return {prepared.interpreter.string(), "-I", "-u", "-B", (resources_dir() / "python/hawse/_main.py").string()};
  }

  // What a program needs to find its way, and what the manifest gives; no secrets that happen to be in the user's environment.
  static std::map<std::string, std::string> environment(const pipeline::Node& node) {
    std::map<std::string, std::string> env = {{"HAWSE_FD", "3"}};
    for (const auto& [name, value] : current_environment()) {
      const bool wanted = name == "PATH" || name == "HOME" || name == "USER" || name == "LOGNAME" || name == "SHELL" || name == "LANG" || name == "TZ" ||
                          name == "TMPDIR" || name == "LD_LIBRARY_PATH" || name.starts_with("LC_") || name.starts_with("XDG_") || name.starts_with("CUDA_") ||
                          name.starts_with("NVIDIA_") || name == "HAWSE_RESOURCES";
      if (wanted) env[name] = value;
    }
    for (const auto& [name, value] : node.env) env[name] = value;
    return env;
  }
};

}  // namespace

std::unique_ptr<Executor> make_process_executor() { return std::make_unique<ProcessExecutor>(); }

}  // namespace hawse::executor
