// SPDX-License-Identifier: Apache-2.0
#include "executor/zygote.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "base/socket.hpp"
#include "executor/process_id.hpp"
#include "plane/port.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

constexpr int kAnswer_ms = 5000;  // a zygote that waits answers in well under a millisecond; one that doesn't in this time never will

// A message of user code's process: an object, or null. Never copied: a deep one would take the stack.
json parsed(std::string_view text) {
  json value = json::parse(text, nullptr, false);
  if (!value.is_object()) value = nullptr;
  return value;
}

std::int64_t number(const json& message, const char* name) {
  const auto found = message.find(name);
  return found != message.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

std::string text(const json& message, const char* name) {
  const auto found = message.find(name);
  return found != message.end() && found->is_string() ? found->get<std::string>() : "";
}

Ending ending_of(const json& message) {
  const bool signalled = message.contains("signal");
  return {.kind = signalled ? EndingKind::signalled : EndingKind::exited,
          .value = static_cast<int>(number(message, signalled ? "signal" : "code")),
          .memory_limit_bytes = {},
          .memory_peak_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, number(message, "max_rss_bytes"))),
          .text = {}};
}

// The answer to a start, and who sent it as the kernel says. nullopt: there is none.
std::optional<std::pair<json, pid_t>> receive_report(int socket) {
  std::string bytes(kMaxMessageBytes, '\0');
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const ssize_t size = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);  // descriptors, if it sent any, find no room
  if (size <= 0) return std::nullopt;
  ucred sender{};
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one))
    if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SCM_CREDENTIALS && one->cmsg_len == CMSG_LEN(sizeof sender))
      std::memcpy(&sender, CMSG_DATA(one), sizeof sender);
  return std::pair{parsed({bytes.data(), static_cast<std::size_t>(size)}), sender.pid};
}

const char* to_string(Fork::Become become) {
  switch (become) {
    case Fork::Become::never: break;
    case Fork::Become::with_threads: return "with threads";
    case Fork::Become::always: return "always";
  }
  return "never";
}

}  // namespace

json Zygote::import_message(const Prepared& prepared, bool spare, bool container) {
  return {{"type", "import"}, {"entry", prepared.entry}, {"path", prepared.path}, {"spare", spare}, {"container", container}};
}

json Zygote::heard(std::string_view bytes) {
  const json said = parsed(bytes);
  const std::string type = text(said, "type");
  if (type != "reaped" && type != "exited") return {};
  json known = {{"type", type}};
  for (const char* name : {"number", "code", "signal", "max_rss_bytes"})
    if (said.contains(name)) known[name] = number(said, name);
  if (said.contains("threads")) known["threads"] = true;
  return known;
}

bool Zygote::usable() const noexcept { return !ending_ && !became_ && !readable(home_->ended_fd(), 0); }

// Not waiting: a zygote that dies or imports for long must not hold up the loop.
bool Zygote::send(const json& message, const std::vector<int>& fds) noexcept {
  try {
    return send_message(socket_.get(), message.dump(), fds, true);
  } catch (const Error&) {
    return false;  // it no longer reads: as good as gone
  }
}

void Zygote::take_exited(const json& message) {
  if (text(message, "type") != "exited") return;
  exited_ = true;
  home_->exited(static_cast<int>(number(message, "code")), static_cast<int>(number(message, "signal")));
}

std::optional<Ending> Zygote::reap(unsigned number_of_start, bool sweep) {
  try {
    if (ending_ || !send({{"type", "reap"}, {"number", number_of_start}, {"sweep", sweep}})) return std::nullopt;
    while (readable(socket_.get(), kAnswer_ms)) {
      const auto message = receive_message(socket_.get(), true);
      if (!message) return std::nullopt;
      const json reply = heard(message->text);
      take_exited(reply);
      if (exited_) return std::nullopt;
      if (text(reply, "type") != "reaped" || number(reply, "number") != number_of_start) continue;
      if (!reply.contains("signal") && !reply.contains("code")) return std::nullopt;  // it never made that one
      return ending_of(reply);
    }
  } catch (const Error&) {
    // A message over the limits.
  }
  return std::nullopt;
}

Ending Zygote::ending() {
  if (ending_) return *ending_;
  try {
    // A container's init still has to say how its zygote ended; a process's hangs up.
    while (!readable(home_->ended_fd(), 0) && readable(socket_.get(), kAnswer_ms)) {
      const auto message = receive_message(socket_.get(), true);
      if (!message) break;
      take_exited(heard(message->text));
    }
  } catch (const Error&) {
  }
  if (!readable(home_->ended_fd(), kAnswer_ms)) home_->kill();
  ending_ = home_->ending();
  return *ending_;
}

// ---- one start ------------------------------------------------------------------------------------------------------------

Fork::Fork(std::shared_ptr<Zygote> zygote, const Launch& launch, Options options)
    : zygote_(std::move(zygote)), sweep_(options.sweep), number_(++zygote_->last_number_), asked_ns_(plane::monotonic_ns()) {
  auto [ours, theirs] = socket_pair();
  report_ = std::move(ours);
  const int yes = 1;
  if (::setsockopt(report_.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0) throw Error::from_errno("start a program", "SO_PASSCRED");
  // One that is gone shows in the report's end.
  zygote_->send({{"type", "fork"}, {"number", number_}, {"cgroup", options.cgroup_files}, {"become", to_string(options.become)}},
                {launch.control.get(), launch.out.get(), launch.err.get(), theirs.get()});
  ++zygote_->waiting_;
  if (!zygote_->home().tells_exit()) return;
  // A container's init keeps the zygote's socket open: what a dead zygote hasn't read stays in it, and the report's other end with that.
  answered_.reset(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event readable_one{.events = EPOLLIN, .data = {}};
  for (const int fd : {report_.get(), zygote_->socket_.get()})
    if (::epoll_ctl(answered_.get(), EPOLL_CTL_ADD, fd, &readable_one) != 0) throw Error::from_errno("start a program", "epoll");
}

Fork::~Fork() {
  leave();
  if (pid_ <= 0 || reaped_) return;
  kill();
  ::kill(-pid_, SIGKILL);
  if (readable(pidfd_.get(), kAnswer_ms)) zygote_->reap(number_, sweep_);
}

void Fork::leave() noexcept {
  if (std::exchange(waiting_, false)) --zygote_->waiting_;
}

void Fork::give_up() noexcept {
  given_up_ = true;
  ::shutdown(report_.get(), SHUT_RDWR);
}

void Fork::kill() noexcept {
  if (pid_ <= 0 && !became_) return give_up();
  if (became_) return zygote_->home().kill();
  // A container's node may be another user's: then its zygote, which is that user's too, does it.
  if (pidfd_ && ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0u) != 0 && errno == EPERM)
    zygote_->send({{"type", "kill"}, {"number", number_}});
}

void Fork::abort() noexcept {
  if (became_) return zygote_->home().abort();
  if (pidfd_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGABRT, nullptr, 0u);
}

void Fork::hang_up() noexcept {
  if (became_) ::shutdown(zygote_->socket_.get(), SHUT_RDWR);
}

int Fork::ended_fd() const noexcept { return became_ ? zygote_->socket_.get() : pid_ > 0 ? pidfd_.get() : answered_fd(); }

Fork::Answer Fork::answer() {
  std::optional<std::pair<json, pid_t>> message;
  if (!given_up_) message = receive_report(report_.get());
  leave();
  if (given_up_ || !message) return Answer::ended;
  const auto& [report, sender] = *message;
  zygote_->up_ = true;
  const std::string type = text(report, "type");
  if (type == "threads" || type == "became") {
    for (const auto& name : report.value("names", json::array()))
      if (name.is_string() && threads_.size() < 8) threads_.push_back(name.get<std::string>());
    if (type == "threads") return Answer::threads;
    take_times(report);
    became_ = zygote_->became_ = true;
    return Answer::became;
  }
  if (type == "refused") {
    zygote_->reap(number_, sweep_);  // where it came as far as a process
    throw Error(ErrorCode::system, "start a program", text(report, "reason"));
  }
  if (type != "forked") throw Error(ErrorCode::system, "start a program", "its zygote broke the protocol");
  take_process(sender);
  take_times(report);
  return Answer::forked;
}

void Fork::take_process(pid_t sender) {
  if (sender <= 1 || !zygote_->home().has(sender)) throw Error(ErrorCode::system, "start a program", "its zygote named a process that isn't its own");
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, sender, 0u)));
  if (!pidfd_) throw Error::from_errno("watch a program", std::to_string(sender));
  pid_ = sender;
}

void Fork::take_times(const json& report) {
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
      zygote_->home().kill();
      zygote_->ending();
    }
    return {.kind = EndingKind::signalled, .value = SIGKILL, .memory_limit_bytes = {}, .memory_peak_bytes = {}, .text = {}};
  }
  if (became_) return zygote_->ending();
  if (const auto ending = zygote_->reap(number_, sweep_)) return *ending;
  const bool was_up = zygote_->up_;
  Ending ending = zygote_->ending();
  // It died as it imported the node's module, with its container, or for want of memory that is the node's as well: that is this node's end.
  const bool whole = zygote_->home().tells_exit() && !zygote_->exited_;
  if (!was_up || whole || ending.kind == EndingKind::lost || ending.kind == EndingKind::out_of_memory) return ending;
  const std::string how = ending.kind == EndingKind::exited ? "exited with code " : "was ended by signal ";
  ending.text = "its zygote (" + zygote_->home().name() + ") " + how + std::to_string(ending.value) + ", and the nodes that it had forked with it";
  ending.kind = EndingKind::lost;
  return ending;
}

std::string threads_in_words(const pipeline::Node& node, const std::vector<std::string>& threads) {
  std::string text =
      (node.source_file.empty() ? node.module : node.source_file.filename().string()) + " leaves threads running when it is imported (";
  for (const auto& name : threads) text += (&name == &threads.front() ? "" : ", ") + name;
  return text + ")";
}

}  // namespace hawse::executor
