// SPDX-License-Identifier: Apache-2.0
//
// Starting a program.
//
// Everything the child needs is laid out before vfork(): between vfork() and execve() the child shares our memory, so it
// makes system calls only (no allocation, no locks, no exceptions), with every signal blocked until its handlers are reset.
// A step that fails is told through a close-on-exec pipe, which end of file reports as success.
//
// PDEATHSIG is sent when the *thread* that called spawn() ends, not the process: a thread that starts children which should
// outlive it sets die_with_parent to false.
#include "base/subprocess.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/error.hpp"

namespace hawse {
namespace {

enum class Step : int { descriptors, session, limits, cgroup, folder, exec };

struct Failure {
  Step step;
  int number;
};

// Pointers into the caller's SpawnOptions and vectors; nothing here is owned.
struct ChildPlan {
  const char* program;
  char* const* argv;
  char* const* envp;
  const char* working_directory;  // null: stay
  char* const* cgroup_procs;      // ends with a null
  std::pair<int, int>* fds;       // (ours, theirs); `ours` is moved above first_free by the child
  std::size_t fd_count;
  const std::pair<int, unsigned long>* rlimits;
  std::size_t rlimit_count;
  int first_free;  // every descriptor that is named lies below
  int failure_fd;
  pid_t parent;
  bool new_session;
  bool die_with_parent;
};

[[noreturn]] void fail(int failure_fd, Step step) noexcept {
  const Failure failure{step, errno};
  [[maybe_unused]] const ssize_t ignored = ::write(failure_fd, &failure, sizeof failure);
  ::_exit(127);
}

void reset_signals() noexcept {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);  // KILL, STOP: refused, rightly
}

int place_descriptors(ChildPlan& plan) noexcept {
  // First up and out of the way, so that no dup2() below overwrites a source; then everything is close-on-exec but the
  // copies that dup2() makes.
  const int failure_fd = ::fcntl(plan.failure_fd, F_DUPFD_CLOEXEC, plan.first_free);
  if (failure_fd < 0) fail(plan.failure_fd, Step::descriptors);
  for (std::size_t i = 0; i < plan.fd_count; ++i) {
    plan.fds[i].first = ::fcntl(plan.fds[i].first, F_DUPFD_CLOEXEC, plan.first_free);
    if (plan.fds[i].first < 0) fail(failure_fd, Step::descriptors);
  }
  if (::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0) fail(failure_fd, Step::descriptors);
  for (std::size_t i = 0; i < plan.fd_count; ++i)
    if (::dup2(plan.fds[i].first, plan.fds[i].second) < 0) fail(failure_fd, Step::descriptors);
  return failure_fd;
}

void join_cgroup(const char* path, int failure_fd) noexcept {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || ::write(fd, "0", 1) != 1) fail(failure_fd, Step::cgroup);
  ::close(fd);
}

[[noreturn]] void run_child(ChildPlan& plan) noexcept {
  reset_signals();
  const int failure_fd = place_descriptors(plan);
  if (plan.new_session && ::setsid() < 0) fail(failure_fd, Step::session);
  if (plan.die_with_parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(failure_fd, Step::session);
    if (::getppid() != plan.parent) ::_exit(127);  // it ended before the prctl
  }
  for (std::size_t i = 0; i < plan.rlimit_count; ++i) {
    const rlimit limit{plan.rlimits[i].second, plan.rlimits[i].second};
    if (::setrlimit(static_cast<__rlimit_resource>(plan.rlimits[i].first), &limit) != 0) fail(failure_fd, Step::limits);
  }
  for (char* const* file = plan.cgroup_procs; *file != nullptr; ++file) join_cgroup(*file, failure_fd);
  if (plan.working_directory != nullptr && ::chdir(plan.working_directory) != 0) fail(failure_fd, Step::folder);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.program, plan.argv, plan.envp);
  fail(failure_fd, Step::exec);
}

// A function of its own: nothing of the caller's frame is live across the second return of vfork().
[[gnu::noinline]] pid_t start_child(ChildPlan& plan) noexcept {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::vfork();
  if (pid == 0) run_child(plan);
  const int number = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = number;
  return pid;
}

Error step_error(const Failure& failure, const SpawnOptions& options) {
  errno = failure.number;
  const std::string& program = options.argv.front();
  switch (failure.step) {
    case Step::descriptors: return Error::from_errno("start a program", program + ": pass its descriptors");
    case Step::session: return Error::from_errno("start a program", program + ": make its session");
    case Step::limits: return Error::from_errno("start a program", program + ": set its limits");
    case Step::cgroup: return Error::from_errno("start a program", program + ": join its control group (" + options.cgroup_procs.front() + ")");
    case Step::folder: return Error::from_errno("start a program", program + ": enter " + options.working_directory);
    case Step::exec: return Error::from_errno("start a program", program);
  }
  return Error(ErrorCode::internal, "start a program", program);
}

std::string find_program(const SpawnOptions& options) {
  const std::string& name = options.argv.front();
  if (name.find('/') != std::string::npos) return name;
  std::string_view folders = "/usr/local/bin:/usr/bin:/bin";
  if (const auto found = options.env.find("PATH"); found != options.env.end()) {
    folders = found->second;
  } else if (const char* ours = std::getenv("PATH")) {
    folders = ours;
  }
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find(':'), folders.size());
    std::string path = std::string(folders.substr(0, end)) + "/" + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  throw Error(ErrorCode::system, "start a program", name + ": not found in PATH");
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) throw Error::from_errno("make a pipe", "");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// What the child takes over, standard streams included. `null_device` is opened only where it is needed.
std::vector<std::pair<int, int>> descriptor_plan(const SpawnOptions& options, UniqueFd& null_device) {
  std::vector<std::pair<int, int>> fds = options.fds;
  if (options.stdin_fd < 0) {
    null_device.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null_device) throw Error::from_errno("open /dev/null", "");
  }
  fds.emplace_back(options.stdin_fd < 0 ? null_device.get() : options.stdin_fd, 0);
  if (options.stdout_fd >= 0) fds.emplace_back(options.stdout_fd, 1);
  if (options.stderr_fd >= 0) fds.emplace_back(options.stderr_fd, 2);
  return fds;
}

constexpr std::size_t kMaxCollectedBytes = 16u << 20;

// One stream of a child: collects it, and cuts it into lines.
struct Stream {
  UniqueFd fd;
  std::string* text;
  std::string line;

  void take(std::string_view part, const std::function<void(std::string_view)>& on_line) {
    text->append(part.substr(0, kMaxCollectedBytes - std::min(kMaxCollectedBytes, text->size())));
    if (!on_line) return;
    for (std::size_t end; (end = part.find('\n')) != std::string_view::npos; part.remove_prefix(end + 1)) {
      line.append(part.substr(0, end));
      on_line(line);
      line.clear();
    }
    line.append(part.substr(0, kMaxCollectedBytes - std::min(kMaxCollectedBytes, line.size())));
  }

  // Everything that is there now; closes at the end of the stream.
  void drain(const std::function<void(std::string_view)>& on_line) {
    char block[65536];
    while (fd) {
      const ssize_t size = ::read(fd.get(), block, sizeof block);
      if (size > 0) take({block, static_cast<std::size_t>(size)}, on_line);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) fd.reset();
    }
  }
};

}  // namespace

Subprocess Subprocess::spawn(const SpawnOptions& options) {
  if (options.argv.empty()) throw Error(ErrorCode::internal, "start a program", "no name given");
  const std::string program = find_program(options);
  std::vector<std::string> arguments = options.argv, groups = options.cgroup_procs, variables;
  for (const auto& [name, value] : options.env) variables.push_back(name + "=" + value);
  const std::vector<char*> argv = pointers(arguments), envp = pointers(variables), cgroup_files = pointers(groups);
  UniqueFd null_device;
  std::vector<std::pair<int, int>> fds = descriptor_plan(options, null_device);
  auto [failure_in, failure_out] = make_pipe();
  int highest = std::max(2, failure_out.get());
  for (const auto& [ours, theirs] : fds) highest = std::max({highest, ours, theirs});

  ChildPlan plan{.program = program.c_str(),
                 .argv = argv.data(),
                 .envp = envp.data(),
                 .working_directory = options.working_directory.empty() ? nullptr : options.working_directory.c_str(),
                 .cgroup_procs = cgroup_files.data(),
                 .fds = fds.data(),
                 .fd_count = fds.size(),
                 .rlimits = options.rlimits.data(),
                 .rlimit_count = options.rlimits.size(),
                 .first_free = highest + 1,
                 .failure_fd = failure_out.get(),
                 .parent = ::getpid(),
                 .new_session = options.new_session,
                 .die_with_parent = options.die_with_parent};
  Subprocess child;
  child.pid_ = start_child(plan);
  if (child.pid_ < 0) throw Error::from_errno("start a program", options.argv.front());
  failure_out.reset();
  Failure failure{};
  ssize_t size = 0;
  while ((size = ::read(failure_in.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  if (size != 0) {
    child.wait();
    throw step_error(failure, options);
  }
  child.pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0u)));
  if (!child.pidfd_) throw Error::from_errno("watch a program", options.argv.front());
  return child;
}

Subprocess::Subprocess(Subprocess&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  return *this;
}

Subprocess::~Subprocess() {
  if (pid_ <= 0) return;
  signal_group(SIGKILL);
  signal(SIGKILL);
  wait();
}

void Subprocess::signal(int number) noexcept {
  if (pid_ > 0) ::kill(pid_, number);  // not reaped yet, so the number is still its own
}

void Subprocess::signal_group(int number) noexcept {
  if (pid_ > 0) ::kill(-pid_, number);
}

ExitStatus Subprocess::wait() {
  siginfo_t info{};
  rusage usage{};  // the system call gives it, the library's waitid() doesn't
  while (::syscall(SYS_waitid, P_PID, pid_, &info, WEXITED, &usage) != 0)
    if (errno != EINTR) throw Error::from_errno("wait for a program", std::to_string(pid_));
  pid_ = -1;
  pidfd_.reset();
  return {info.si_code != CLD_EXITED, info.si_status, static_cast<std::uint64_t>(usage.ru_maxrss) * 1024};
}

RunResult run_to_end(SpawnOptions options, const std::function<void(std::string_view line)>& on_line, Interrupt* interrupt) {
  RunResult result;
  auto [out_read, out_write] = make_pipe();
  auto [err_read, err_write] = make_pipe();
  options.stdout_fd = out_write.get();
  options.stderr_fd = err_write.get();
  Subprocess child = Subprocess::spawn(options);
  std::optional<Interrupt::Waiting> waiting(std::in_place, interrupt, [pid = child.pid()] { ::kill(-pid, SIGKILL); });
  out_write.reset();
  err_write.reset();
  Stream streams[2] = {{std::move(out_read), &result.out, {}}, {std::move(err_read), &result.err, {}}};
  for (const Stream& stream : streams) ::fcntl(stream.fd.get(), F_SETFL, O_NONBLOCK);

  // The child's end ends the run, not the end of its streams: a grandchild in the background may hold them for ever.
  for (bool ended = false; !ended;) {
    pollfd polls[3] = {{streams[0].fd.get(), POLLIN, 0}, {streams[1].fd.get(), POLLIN, 0}, {child.pidfd(), POLLIN, 0}};
    if (::poll(polls, 3, -1) < 0 && errno != EINTR) throw Error::from_errno("read what a program writes", options.argv.front());
    ended = (polls[2].revents & POLLIN) != 0;
    for (Stream& stream : streams) stream.drain(on_line);
  }
  for (Stream& stream : streams)
    if (on_line && !stream.line.empty()) on_line(stream.line);
  waiting.reset();  // from here on the number may be another's
  if (interrupt) interrupt->check("run " + options.argv.front());
  result.status = child.wait();
  return result;
}

std::map<std::string, std::string> current_environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (const std::size_t equals = text.find('='); equals != std::string_view::npos)
      out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

}  // namespace hawse
