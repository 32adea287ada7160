// SPDX-License-Identifier: Apache-2.0
#include "executor/container/container_zygote.hpp"

#include <signal.h>

#include <atomic>

#include "base/error.hpp"
#include "executor/process_id.hpp"

namespace hawse::executor {

namespace {

class ForkedInContainer final : public Instance {
 public:
  ForkedInContainer(std::shared_ptr<ContainerZygote> home, Launch launch)
      : home_(std::move(home)),
        launch_(std::move(launch)),
        memory_limit_bytes_(launch_.node->limits.own_memory_bytes()),
        phases_ns_(std::exchange(home_->phases_ns, {})) {
    container().count_from_here();
    const auto become = home_->shared ? Fork::Become::never : home_->home->visible() ? Fork::Become::with_threads : Fork::Become::always;
    fork_.emplace(home_->zygote, launch_, Fork::Options{.become = become, .sweep = !home_->shared});
  }

  int started_fd() const noexcept override { return fork_->answered_fd(); }

  void started() override {
    const auto answer = fork_->answer();
    if (answer == Fork::Answer::threads)
      throw Error(ErrorCode::environment, "share a container",
                  "the node's module leaves threads running when it is imported, and such a process can't be forked", "leave out share: true");
    if (answer == Fork::Answer::became && !fork_->threads().empty() && launch_.node->restart.on == pipeline::RestartOn::failure &&
        launch_.attempt == 1 && launch_.notice)
      launch_.notice(threads_in_words(*launch_.node, fork_->threads()) +
                     ": it isn't forked, each of its starts has a container of its own; fork: false says so beforehand");
    if (answer == Fork::Answer::forked || answer == Fork::Answer::became) {
      phases_ns_.emplace_back("interpreter", fork_->interpreter_ns());
      phases_ns_.emplace_back("import", fork_->import_ns());
    }
    launch_ = {};  // closes our ends of what the node has
  }

  int ended_fd() const noexcept override { return fork_->ended_fd(); }

  Ending collect() override {
    if (fork_->pid() > 0) ::kill(-fork_->pid(), SIGKILL);  // what it started ends with it
    Ending ending = fork_->ending();
    if (ending.kind == EndingKind::lost || ending.kind == EndingKind::out_of_memory) return ending;
    const Usage last = usage();
    ending.memory_peak_bytes = last.memory_peak_bytes;
    if (ending.kind == EndingKind::signalled && ending.value == SIGKILL && last.memory_kills > 0) ending.kind = EndingKind::out_of_memory;
    ending.memory_limit_bytes = memory_limit_bytes_;
    return ending;
  }

  void kill() noexcept override {
    // One that hasn't heeded the first has stopped its zygote.
    if (killed_.exchange(true) && !home_->shared) return home_->home->kill();
    fork_->kill();
  }

  void abort() noexcept override { fork_->abort(); }
  void gone() noexcept override { fork_->hang_up(); }

  Usage usage() const noexcept override { return container().usage(); }
  pid_t pid() const noexcept override { return fork_->pid() > 0 ? fork_->pid() : home_->shared ? 0 : container().pid(); }
  std::string where() const override { return container().where(); }
  std::string limits_by() const override { return container().limits_by(); }
  std::vector<std::pair<std::string, std::int64_t>> phases_ns() const override { return phases_ns_; }

 private:
  ContainerInstance& container() const noexcept { return home_->home->container(); }

  std::shared_ptr<ContainerZygote> home_;
  Launch launch_;
  std::optional<std::uint64_t> memory_limit_bytes_;
  std::vector<std::pair<std::string, std::int64_t>> phases_ns_;
  std::optional<Fork> fork_;
  std::atomic<bool> killed_ = false;
};

}  // namespace

// Its zygote is process 1's child, and it is the zygote's.
bool ContainerHome::has(pid_t node) const { return visible() && parent_of(parent_of(node)) == init_; }

std::unique_ptr<Instance> fork_in_container(std::shared_ptr<ContainerZygote> home, Launch launch) {
  return std::make_unique<ForkedInContainer>(std::move(home), std::move(launch));
}

}  // namespace hawse::executor
