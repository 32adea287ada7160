// SPDX-License-Identifier: Apache-2.0
#include "executor/container/container_instance.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "base/error.hpp"
#include "base/text.hpp"

namespace hawse::executor {

namespace {

constexpr int kSignalBase = 128;  // an exit code above it is a signal: a shell's habit, and the engine's

std::int64_t now_ns() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Ending from_exit_code(int code) {
  Ending ending;
  if (code > kSignalBase && code < kSignalBase + NSIG) {
    ending.kind = EndingKind::signalled;
    ending.value = code - kSignalBase;
  } else {
    ending.value = code;
  }
  return ending;
}

}  // namespace

ContainerInstance::ContainerInstance(std::shared_ptr<const Engine> engine, const std::string& name, const nlohmann::json& body, std::optional<std::uint64_t> memory_limit_bytes)
    : engine_(std::move(engine)), memory_limit_bytes_(memory_limit_bytes), ended_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ended_) throw Error::from_errno("start a container", "eventfd");
  const std::int64_t begun = now_ns();
  id_ = engine_->create(name, body);
  const std::int64_t created = now_ns();
  try {
    engine_->start(id_);
    phases_ns_ = {{"create", created - begun}, {"start", now_ns() - created}};
    watcher_ = std::thread([this] { watch(); });
  } catch (...) {
    remove();
    throw;
  }
}

ContainerInstance::ContainerInstance(std::shared_ptr<const Engine> engine, std::string id, pid_t init,
                                     std::optional<std::uint64_t> memory_limit_bytes, UniqueFd keeper, bool shared)
    : engine_(std::move(engine)),
      id_(std::move(id)),
      memory_limit_bytes_(memory_limit_bytes),
      ended_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      cgroup_(CgroupView::of_process(init)),
      keeper_(std::move(keeper)),
      shared_(shared) {
  if (!ended_) throw Error::from_errno("take a container", "eventfd");
  watcher_ = std::thread([this] { watch(); });
}

ContainerInstance::~ContainerInstance() {
  remove();
  interrupt_.now();
  watcher_.join();
}

void ContainerInstance::watch() noexcept {
  try {
    look_up_cgroup();
    engine_->wait(id_, &interrupt_);
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    lost_ = error.what();
  }
  mark_ended();
}

void ContainerInstance::look_up_cgroup() {
  {
    const std::lock_guard lock(mutex_);
    if (cgroup_) return;
  }
  const auto state = engine_->inspect(id_);
  if (!state || state->pid <= 0) return;
  auto found = CgroupView::of_process(state->pid);
  const std::lock_guard lock(mutex_);
  cgroup_ = std::move(found);
}

void ContainerInstance::mark_ended() noexcept {
  const std::uint64_t one = 1;
  if (::write(ended_.get(), &one, sizeof one) < 0) return;  // full: it is readable already
}

void ContainerInstance::exited(int code, int signal) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!told_) {
      told_ = Ending{};
      told_->kind = signal ? EndingKind::signalled : EndingKind::exited;
      told_->value = signal ? signal : code;
    }
  }
  mark_ended();
}

// Init didn't say how: the whole container was ended, or the engine is gone.
Ending ContainerInstance::ending_of_container() {
  Ending ending;
  try {
    const auto state = engine_->inspect(id_);
    if (state && !state->running) {
      ending = from_exit_code(state->exit_code);
      if (state->oom_killed && ending.kind == EndingKind::signalled) ending.kind = EndingKind::out_of_memory;
      ending.text = state->error.empty() ? strip_control(engine_->logs(id_, 20)) : state->error;
      return ending;
    }
    ending.text = state ? "the container runs, and the engine stopped watching it" : "the engine no longer has the container";
  } catch (const Error& error) {
    ending.text = error.what();
  }
  ending.kind = EndingKind::lost;
  const std::lock_guard lock(mutex_);
  if (!lost_.empty()) ending.text = lost_;
  return ending;
}

Ending ContainerInstance::collect() {
  if (collected_) return *collected_;
  try {
    look_up_cgroup();
  } catch (const Error&) {  // then the figures are missing
  }
  std::optional<Ending> told;
  {
    const std::lock_guard lock(mutex_);
    told = told_;
  }
  Ending ending = told ? *told : ending_of_container();
  const Usage last = usage();
  ending.memory_peak_bytes = last.memory_peak_bytes;
  if (ending.kind == EndingKind::signalled && ending.value == SIGKILL && last.memory_kills > 0) ending.kind = EndingKind::out_of_memory;
  ending.memory_limit_bytes = memory_limit_bytes_;
  collected_ = ending;
  remove();
  return ending;
}

void ContainerInstance::kill() noexcept {
  usage();  // the control group goes with the container
  if (shared_) {  // this session leaves it, and the keeper ends what it has there
    ::shutdown(keeper_.get(), SHUT_RDWR);
    return exited(0, SIGKILL);
  }
  try {
    engine_->kill(id_);
  } catch (const std::exception&) {  // the engine is gone: init ends when the runtime hangs up
  }
}

Usage ContainerInstance::usage() const noexcept {
  const std::lock_guard lock(mutex_);
  if (!cgroup_) return last_;
  Usage now = cgroup_->usage();
  if (!now.memory_bytes) return last_;
  now.memory_kills -= std::min(now.memory_kills, before_.memory_kills);
  now.pids_refused -= std::min(now.pids_refused, before_.pids_refused);
  now.held_back_s = std::max(0.0, now.held_back_s - before_.held_back_s);
  if (now.cpu_s) now.cpu_s = std::max(0.0, *now.cpu_s - before_.cpu_s.value_or(0));
  return last_ = now;
}

void ContainerInstance::count_from_here() noexcept {
  const std::lock_guard lock(mutex_);
  if (cgroup_) before_ = cgroup_->usage();
  last_ = {};
}

void ContainerInstance::remove() noexcept {
  if (removed_) return;
  if (keeper_) {
    ::shutdown(keeper_.get(), SHUT_RDWR);  // of a shared one the zygote's socket is a duplicate
    keeper_.reset();
    removed_ = true;
    return;
  }
  try {
    engine_->remove(id_);
    removed_ = true;
  } catch (const std::exception&) {  // the engine is gone: a later run sweeps it
  }
}

}  // namespace hawse::executor
