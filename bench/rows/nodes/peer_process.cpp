// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/nodes/peer_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "bench/core/row.hpp"

namespace hawse::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kWatchdog{120'000}, kGrace{5'000};

// Both ends open: neither side's open() waits for the other, and a peer that comes late finds what was written.
UniqueFd named_pipe(const fs::path& path) {
  if (::mkfifo(path.c_str(), 0600) != 0) throw Error::from_errno("make a named pipe", path.string());
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd) throw Error::from_errno("open a named pipe", path.string());
  return fd;
}

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

bool ended_within(const Subprocess& process, milliseconds timeout) {
  pollfd fd{process.pidfd(), POLLIN, 0};
  return ::poll(&fd, 1, static_cast<int>(timeout.count())) > 0;
}

// The process's children, their children, and so on: a peer's command starts nodes in process groups of their own.
std::vector<pid_t> descendants_of(pid_t pid) {
  std::vector<pid_t> all;
  std::error_code error;
  for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) {
      all.push_back(child);
      for (const pid_t below : descendants_of(child)) all.push_back(below);
    }
  }
  return all;
}

}  // namespace

PeerProcess::PeerProcess(PeerPackages packages, const fs::path& folder, const std::vector<std::string>& arguments, const std::map<std::string, std::string>& env)
    : packages_(std::move(packages)), folder_(folder), shared_memory_prefix_(fmt::format("hawse_bench_{}_", ::getpid())) {
  fs::create_directories(folder_);
  commands_ = named_pipe(folder_ / "command");
  answers_ = named_pipe(folder_ / "answer");
  const UniqueFd log(::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0600));
  if (!log) throw Error::from_errno("open", (folder_ / "log").string());
  SpawnOptions options;
  options.argv = {packages_.python.string()};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.env = current_environment();
  options.env["PATH"] = packages_.python.parent_path().string() + ":" + options.env["PATH"];
  options.env["PYTHONPATH"] = packages_.folder.string();
  options.env["PYTHONDONTWRITEBYTECODE"] = "1";
  options.env["HAWSE_BENCH_CHANNEL"] = folder_.string();
  options.env["HAWSE_BENCH_PREFIX"] = shared_memory_prefix_;
  for (const auto& [name, value] : env) options.env[name] = value;
  options.working_directory = folder_.string();
  options.stdout_fd = options.stderr_fd = log.get();
  started_ns_ = now_ns();
  process_ = Subprocess::spawn(options);
}

PeerProcess::~PeerProcess() {
  const auto mapped = shared_files();  // not every peer removes them, and one that is killed can't
  try {
    tell({{"end", true}});
  } catch (const std::exception&) {
    // It doesn't read any more: it is ended below.
  }
  if (!ended_within(process_, kGrace)) end_by_force();
  process_.wait();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/dev/shm", error))
    if (entry.path().filename().string().starts_with(shared_memory_prefix_)) fs::remove(entry.path(), error);
  for (const auto& file : mapped) fs::remove(file, error);
}

std::vector<pid_t> PeerProcess::all_pids() const {
  auto pids = descendants_of(process_.pid());
  pids.push_back(process_.pid());
  return pids;
}

// What it and all that it has started have mapped of /dev/shm.
std::set<std::string> PeerProcess::shared_files() const {
  std::set<std::string> mapped;
  for (const pid_t pid : all_pids()) {
    std::ifstream maps(fmt::format("/proc/{}/maps", pid));
    for (std::string line; std::getline(maps, line);)
      if (const auto at = line.find("/dev/shm/"); at != std::string::npos) mapped.insert(line.substr(at));
  }
  return mapped;
}

void PeerProcess::end_by_force() {
  for (const pid_t pid : all_pids()) ::kill(pid, SIGKILL);
}

void PeerProcess::tell(json command) {
  const std::string line = command.dump() + "\n";
  if (::write(commands_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) throw Unavailable("it doesn't take commands any more: " + last_line());
}

json PeerProcess::answer(int id, milliseconds timeout) {
  const std::int64_t until_ns = now_ns() + timeout.count() * 1'000'000;
  for (;;) {
    for (std::size_t end = 0; (end = received_.find('\n')) != std::string::npos;) {
      const json value = json::parse(received_.substr(0, end));
      received_.erase(0, end + 1);
      if (value.value("id", 0) == id) return value;
    }
    const std::int64_t left_ms = (until_ns - now_ns()) / 1'000'000;
    pollfd fds[2] = {{answers_.get(), POLLIN, 0}, {process_.pidfd(), POLLIN, 0}};
    if (left_ms <= 0 || ::poll(fds, 2, static_cast<int>(left_ms)) == 0) throw Unavailable(fmt::format("it gave no answer within {} ms: {}", timeout.count(), last_line()));
    char buffer[65536];
    if (const ssize_t got = ::read(answers_.get(), buffer, sizeof buffer); got > 0) received_.append(buffer, static_cast<std::size_t>(got));
    else if (fds[1].revents != 0) throw Unavailable("it ended: " + last_line());
  }
}

json PeerProcess::ask(json command) {
  const int id = next_id_++;
  command["id"] = id;
  tell(std::move(command));
  return answer(id, kWatchdog);
}

std::string PeerProcess::last_line() const {
  std::istringstream lines(read_file(folder_ / "log"));
  std::string last = "it printed nothing";
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) last = strip_control(line);
  return last;
}

}  // namespace hawse::bench
