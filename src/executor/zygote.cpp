// SPDX-License-Identifier: Apache-2.0
#include "executor/zygote.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/socket.hpp"
#include "executor/process_id.hpp"
#include "plane/port.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

constexpr int kAnswer_ms = 5000;  // a zygote that waits answers in well under a millisecond; one that doesn't in this time never will

bool readable(int fd, int timeout_ms) noexcept {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, timeout_ms) > 0;
}

pipeline::Limits memory_of(const pipeline::Limits& limits) {
  pipeline::Limits only;
  only.memory_bytes = limits.memory_bytes;
  return only;
}

Ending ending_of(const ExitStatus& status) {
  return {.kind = status.signalled ? EndingKind::signalled : EndingKind::exited, .value = status.value, .memory_limit_bytes = {}, .memory_peak_bytes = status.max_rss_bytes, .text = {}};
}

// A message of user code's process: an object, or null.
json parsed(const std::optional<Message>& message) {
  if (!message) return {};
  json value = json::parse(message->text, nullptr, false);
  return value.is_object() ? value : json();
}

std::int64_t number(const json& message, const char* name) {
  const auto found = message.find(name);
  return found != message.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

std::string text(const json& message, const char* name) {
  const auto found = message.find(name);
  return found != message.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Zygote::Zygote(SpawnOptions options, const std::string& name, const pipeline::Limits& limits, const Prepared& prepared, bool spare) : limits_(limits) {
  auto [ours, theirs] = socket_pair();
  socket_ = std::move(ours);
  options.fds = {{theirs.get(), 3}};
  std::string why;
  cgroup_ = Cgroup::make(name, memory_of(limits), &why);
  if (cgroup_) options.cgroup_procs = cgroup_->entry_files();
  process_ = Subprocess::spawn(options);
  pid_ = process_.pid();
  id_ = process_id(pid_);
  send_message(socket_.get(), json{{"type", "import"}, {"entry", prepared.entry}, {"path", prepared.path}, {"spare", spare}}.dump());
}

Zygote::~Zygote() { process_.signal_group(SIGKILL); }

bool Zygote::usable() const noexcept { return !ending_ && !readable(process_.pidfd(), 0); }

std::vector<std::string> Zygote::guarded() const {
  std::vector<std::string> lines = {"group " + id_};
  if (cgroup_)
    for (const auto& folder : cgroup_->folders()) lines.push_back("cgroup " + folder.string());
  return lines;
}

std::optional<ExitStatus> Zygote::reap(unsigned number_of_start) {
  try {
    if (ending_ || !send_message(socket_.get(), json{{"type", "reap"}, {"number", number_of_start}}.dump(), {}, true)) return std::nullopt;
    while (readable(socket_.get(), kAnswer_ms)) {
      const auto message = receive_message(socket_.get(), true);
      if (!message) return std::nullopt;
      const json reply = parsed(message);
      if (text(reply, "type") != "reaped" || number(reply, "number") != number_of_start) continue;
      const bool signalled = reply.contains("signal");
      if (!signalled && !reply.contains("code")) return std::nullopt;  // it never made that one
      return ExitStatus{signalled, static_cast<int>(number(reply, signalled ? "signal" : "code")),
                        static_cast<std::uint64_t>(std::max<std::int64_t>(0, number(reply, "max_rss_bytes")))};
    }
  } catch (const Error&) {
    // A message over the limits, or a zygote that no longer reads: as good as none.
  }
  return std::nullopt;
}

Ending Zygote::ending() {
  if (ending_) return *ending_;
  if (!readable(process_.pidfd(), kAnswer_ms)) process_.signal(SIGKILL);
  process_.signal_group(SIGKILL);
  ending_ = ending_of(process_.wait());
  if (cgroup_ && ending_->kind == EndingKind::signalled && cgroup_->usage().memory_kills > 0) {
    ending_->kind = EndingKind::out_of_memory;
    ending_->memory_limit_bytes = limits_.own_memory_bytes();
    ending_->memory_peak_bytes = cgroup_->usage().memory_peak_bytes;
  }
  return *ending_;
}

// ---- one start ------------------------------------------------------------------------------------------------------------

Fork::Fork(std::shared_ptr<Zygote> zygote, const Launch& launch, const std::vector<std::string>& cgroup_files)
    : zygote_(std::move(zygote)), number_(++zygote_->last_number_), asked_ns_(plane::monotonic_ns()) {
  auto [ours, theirs] = socket_pair();
  report_ = std::move(ours);
  const json request = {{"type", "fork"}, {"number", number_}, {"cgroup", cgroup_files}};
  // Not waiting: a zygote that dies or imports for long must not hold up the loop. One that is gone shows in the report's end.
  send_message(zygote_->socket_.get(), request.dump(), {launch.control.get(), launch.out.get(), launch.err.get(), theirs.get()}, true);
  ++zygote_->waiting_;
}

Fork::~Fork() {
  leave();
  if (pid_ <= 0 || reaped_) return;
  signal(SIGKILL);
  ::kill(-pid_, SIGKILL);
  if (readable(pidfd_.get(), kAnswer_ms)) zygote_->reap(number_);
}

void Fork::leave() noexcept {
  if (std::exchange(waiting_, false)) --zygote_->waiting_;
}

void Fork::give_up() noexcept {
  given_up_ = true;
  ::shutdown(report_.get(), SHUT_RDWR);
}

void Fork::signal(int number_of_signal) noexcept {
  if (pidfd_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number_of_signal, nullptr, 0u);
}

Fork::Answer Fork::answer() {
  std::optional<Message> message;
  if (!given_up_) message = receive_message(report_.get(), true);
  leave();
  if (given_up_ || !message) return Answer::ended;
  zygote_->up_ = true;
  const json report = parsed(message);
  const std::string type = text(report, "type");
  if (type == "threads") {
    for (const auto& name : report.value("names", json::array()))
      if (name.is_string() && threads_.size() < 8) threads_.push_back(name.get<std::string>());
    return Answer::threads;
  }
  if (type == "refused") {
    zygote_->reap(number_);  // where it came as far as a process
    throw Error(ErrorCode::system, "start a program", text(report, "reason"));
  }
  if (type != "forked") throw Error(ErrorCode::system, "start a program", "its zygote broke the protocol");
  take(report);
  return Answer::forked;
}

void Fork::take(const json& report) {
  const std::int64_t pid = number(report, "pid");
  if (pid <= 1 || pid > INT32_MAX || parent_of(static_cast<pid_t>(pid)) != zygote_->pid_)
    throw Error(ErrorCode::system, "start a program", "its zygote named a process that isn't its own");
  pid_ = static_cast<pid_t>(pid);
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0u)));
  if (!pidfd_) throw Error::from_errno("watch a program", std::to_string(pid_));
  const std::int64_t now_ns = plane::monotonic_ns();
  const std::int64_t started_ns = std::clamp(number(report, "started_ns"), asked_ns_, now_ns);
  const std::int64_t imported_ns = std::clamp(number(report, "imported_ns"), started_ns, now_ns);
  interpreter_ns_ = started_ns - asked_ns_;
  import_ns_ = imported_ns - started_ns;
}

Ending Fork::ending() {
  reaped_ = true;
  if (given_up_) {
    // Its module may hang as it is imported: nobody waits for that zygote any more.
    if (!zygote_->up_ && zygote_->waiting_ == 0) {
      zygote_->process_.signal(SIGKILL);
      zygote_->ending();
    }
    return {.kind = EndingKind::signalled, .value = SIGKILL, .memory_limit_bytes = {}, .memory_peak_bytes = {}, .text = {}};
  }
  if (const auto status = zygote_->reap(number_)) return ending_of(*status);
  const bool was_up = zygote_->up_;
  Ending ending = zygote_->ending();
  if (!was_up) return ending;  // it died as it imported the node's module: that is this node's end
  const std::string how = ending.kind == EndingKind::exited ? "exited with code " : "was ended by signal ";
  ending.text = "its zygote (process " + std::to_string(zygote_->pid_) + ") " + how + std::to_string(ending.value) + ", and the nodes that it had forked with it";
  ending.kind = EndingKind::lost;
  return ending;
}

}  // namespace hawse::executor
