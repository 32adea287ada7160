// SPDX-License-Identifier: Apache-2.0
#include "executor/process_zygote.hpp"

#include <signal.h>

#include <optional>

#include "base/socket.hpp"
#include "executor/cgroup.hpp"
#include "executor/process_id.hpp"

namespace hawse::executor {

namespace {

pipeline::Limits memory_of(const pipeline::Limits& limits) {
  pipeline::Limits only;
  only.memory_bytes = limits.memory_bytes;
  return only;
}

class ProcessHome final : public ZygoteHome {
 public:
  ProcessHome(SpawnOptions options, const std::string& name, const pipeline::Limits& limits) : limits_(limits) {
    std::string why;
    cgroup_ = Cgroup::make(name, memory_of(limits), &why);
    if (cgroup_) options.cgroup_procs = cgroup_->entry_files();
    process_ = Subprocess::spawn(options);
    pid_ = process_.pid();
    id_ = process_id(pid_);
  }
  ~ProcessHome() override { process_.signal_group(SIGKILL); }

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
      ending.memory_limit_bytes = limits_.own_memory_bytes();
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
  pipeline::Limits limits_;
  pid_t pid_ = -1;
  std::string id_;
};

}  // namespace

std::shared_ptr<Zygote> start_zygote(SpawnOptions options, const std::string& name, const pipeline::Limits& limits, const Prepared& prepared,
                                     bool spare) {
  auto [ours, theirs] = socket_pair();
  options.fds = {{theirs.get(), 3}};
  auto home = std::make_unique<ProcessHome>(std::move(options), name, limits);
  send_message(ours.get(), Zygote::import_message(prepared, spare, false).dump());
  return std::make_shared<Zygote>(std::move(home), std::move(ours));
}

}  // namespace hawse::executor
