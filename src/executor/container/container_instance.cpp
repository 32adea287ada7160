// SPDX-License-Identifier: Apache-2.0
#include "executor/container/container_instance.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "executor/container/container_spec.hpp"
#include "executor/container/gpus.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

constexpr int kSignalBase = 128;  // an exit code above it is a signal: a shell's habit, and the engine's

constexpr std::int64_t kFirstPause_ns = 100'000'000, kLongestPause_ns = 4'000'000'000;  // between two looks at an engine that is gone

void raise(const UniqueFd& event) noexcept {
  const std::uint64_t one = 1;
  if (::write(event.get(), &one, sizeof one) < 0) return;  // full: it is readable already
}

ContainerInstance::Notice or_none(ContainerInstance::Notice notice) { return notice ? std::move(notice) : [](const std::string&) {}; }

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

// Whether that is process 1 of a container of ours: an engine in another process namespace counts otherwise than we do, and its number is any process here.
bool is_an_init(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid), status = read_file(folder + "/status", 1u << 16);
  const auto numbers = status.find("NSpid:");
  if (numbers == std::string::npos || !status.substr(numbers, status.find('\n', numbers) - numbers).ends_with("\t1") || pid == 1) return false;
  return read_file(folder + "/cmdline", 1u << 16).starts_with(std::string(kInitInside) + '\0');
}

}  // namespace

ContainerInstance::ContainerInstance(std::shared_ptr<const Engine> engine, std::shared_ptr<Removals> removals, const std::string& name, const nlohmann::json& body,
                                     std::optional<std::uint64_t> memory_limit_bytes, Notice notice)
    : engine_(std::move(engine)), removals_(std::move(removals)), notice_(or_none(std::move(notice))), memory_limit_bytes_(memory_limit_bytes),
      ended_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), over_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!ended_ || !over_) throw Error::from_errno("start a container", "eventfd");
  const std::int64_t begun = now_ns();
  std::int64_t created = 0;
  try {
    create(name, body);
    created = now_ns();
    engine_->start(id_);
    phases_ns_ = {{"create", created - begun}, {"start", now_ns() - created}};
    watcher_ = std::thread([this] { watch(); });
  } catch (const Unreachable&) {
    remove();
    throw;
  } catch (const Error& error) {
    remove();
    throw about_gpus(body, error);
  } catch (...) {
    remove();
    throw;
  }
}

ContainerInstance::ContainerInstance(std::shared_ptr<const Engine> engine, std::shared_ptr<Removals> removals, std::string id, pid_t init,
                                     std::optional<std::uint64_t> memory_limit_bytes, Notice notice, UniqueFd keeper, bool shared)
    : engine_(std::move(engine)),
      removals_(std::move(removals)),
      notice_(or_none(std::move(notice))),
      id_(std::move(id)),
      memory_limit_bytes_(memory_limit_bytes),
      ended_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      over_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      keeper_(std::move(keeper)),
      shared_(shared) {
  if (!ended_ || !over_) throw Error::from_errno("take a container", "eventfd");
  if (init > 0) take_group(init, true);
  watcher_ = std::thread([this] { watch(); });
}

// An earlier request whose answer never came may have made one of that name all the same.
void ContainerInstance::create(const std::string& name, const json& body) {
  try {
    id_ = engine_->create(name, body, &warnings_);
  } catch (const Error& error) {
    if (error.context().find("already in use") == std::string::npos) throw;
    engine_->remove(name);
    id_ = engine_->create(name, body, &warnings_);
  }
}

ContainerInstance::~ContainerInstance() {
  remove();
  raise(over_);
  interrupt_.now();
  watcher_.join();
}

void ContainerInstance::watch() noexcept {
  bool told = false;
  for (std::int64_t pause_ns = kFirstPause_ns;; pause_ns = std::min(2 * pause_ns, kLongestPause_ns)) {
    try {
      const bool runs = look_up();
      if (std::exchange(told, false)) notice_(runs ? "the container engine answers again, and has kept its container" : "the container engine answers again; it has ended its container");
      if (runs) engine_->wait(id_, &interrupt_);
      break;
    } catch (const Unreachable& error) {
      if (!std::exchange(told, true)) notice_("can't be watched: " + error.context() + "; it goes on, and is seen by its own socket alone until the engine is back");
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      lost_ = error.what();
      break;
    }
    if (!pause(pause_ns)) break;
  }
  mark_ended();
}

bool ContainerInstance::pause(std::int64_t ns) noexcept {
  pollfd over{.fd = over_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&over, 1, static_cast<int>(ns / 1'000'000)) == 0;
}

ContainerInstance::Group ContainerInstance::group_of(pid_t init, bool is_ours) const {
  try {
    if (read_file("/proc/" + std::to_string(init) + "/cgroup", 1u << 16).find(id_) != std::string::npos) return Group::own;
    return is_ours || is_an_init(init) ? Group::none : Group::unseen;
  } catch (const Error&) {  // it has just ended, or isn't seen from here
    return Group::unseen;
  }
}

// Its control group. A rootless engine may have none for it: then it is in somebody else's, whose figures aren't its own.
void ContainerInstance::take_group(pid_t init, bool is_ours) {
  const Group group = group_of(init, is_ours);
  if (group == Group::none && !unlimited_.exchange(true)) notice_("its limits don't hold: its engine gave it no control group of its own");
  if (is_ours || group != Group::unseen) init_ = init;
  if (group != Group::own) return;
  auto found = CgroupView::of_process(init);
  const std::lock_guard lock(mutex_);
  if (!cgroup_) cgroup_ = std::move(found);
}

// Whether it runs; finds its control group.
bool ContainerInstance::look_up() {
  const auto state = engine_->inspect(id_);
  if (!state || state->pid <= 0) return false;
  take_group(state->pid, false);
  return true;
}

void ContainerInstance::mark_ended() noexcept { raise(ended_); }

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
    ending.text = error.context();
    note_silence(error);
  }
  ending.kind = EndingKind::lost;
  const std::lock_guard lock(mutex_);
  if (!lost_.empty()) ending.text = lost_;
  return ending;
}

void ContainerInstance::note_silence(const Error& error) noexcept { silent_ = silent_ || dynamic_cast<const Unreachable*>(&error) != nullptr; }

Ending ContainerInstance::collect() {
  if (collected_) return *collected_;
  std::optional<Ending> told;
  bool figures = false;
  {
    const std::lock_guard lock(mutex_);
    told = told_;
    figures = cgroup_.has_value();
  }
  Ending ending = told ? *told : ending_of_container();
  try {
    if (told && !figures) look_up();
  } catch (const Error& error) {  // then they are missing
    note_silence(error);
  }
  const Usage last = usage();
  ending.memory_peak_bytes = last.memory_peak_bytes;
  if (ending.kind == EndingKind::signalled && ending.value == SIGKILL && last.memory_kills > 0) ending.kind = EndingKind::out_of_memory;
  ending.memory_limit_bytes = memory_limit_bytes_;
  collected_ = ending;
  if (ending.kind == EndingKind::lost) remove();  // it may run
  return ending;
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

// Its init's first child: what that takes in later stands behind it.
pid_t ContainerInstance::pid() const noexcept try {
  const std::string init = std::to_string(init_.load());
  return init_ > 0 ? std::atoi(read_file("/proc/" + init + "/task/" + init + "/children", 1u << 16).c_str()) : 0;
} catch (const std::exception&) {
  return 0;
}

void ContainerInstance::count_from_here() noexcept {
  const std::lock_guard lock(mutex_);
  if (cgroup_) before_ = cgroup_->usage();
  last_ = {};
}

void ContainerInstance::remove() noexcept {
  if (std::exchange(removed_, true) || id_.empty()) return;
  if (keeper_) {
    ::shutdown(keeper_.get(), SHUT_RDWR);  // of a shared one the zygote's socket is a duplicate
    return keeper_.reset();
  }
  if (silent_) return removals_->remove(id_);
  try {
    engine_->remove(id_);
  } catch (const std::exception&) {
    removals_->remove(id_);
  }
}

void ContainerInstance::kill() noexcept {
  usage();  // the control group goes with the container
  if (shared_) {  // this session leaves it, and the keeper ends what it has there
    ::shutdown(keeper_.get(), SHUT_RDWR);
    return exited(0, SIGKILL);
  }
  removals_->signal(id_, "SIGKILL");
}

}  // namespace hawse::executor
