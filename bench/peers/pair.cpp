// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/pair.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"
#include "base/subprocess.hpp"
#include "bench/core/row.hpp"
#include "plane/port.hpp"

namespace hawse::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::array kPlugins = {
    std::pair{"iceoryx2", "iceoryx2: its plug-in isn't built ('make peers' needs cargo 1.89 or newer)"},
    std::pair{"zeromq", "zeromq: its plug-in isn't built ('make peers' needs libzmq3-dev)"},
};

// "": built in.
std::string plugin_of(const std::string& peer) {
  for (const auto& [name, missing] : kPlugins) {
    if (peer != name) continue;
    const fs::path path = resources_dir() / "peers" / (peer + ".so");
    if (!fs::exists(path)) throw Unavailable(missing);
    return path.string();
  }
  return "";
}

std::array<int, 2> cores_for(const PairJob& job) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) throw Error::from_errno("ask for the usable cores", "");
  std::array<int, 2> cores{};
  std::size_t found = 0;
  for (int core = 0; core < CPU_SETSIZE && found < 2; ++core)
    if (CPU_ISSET(static_cast<std::size_t>(core), &allowed)) cores[found++] = core;
  if (job.one_core) return {cores[0], cores[0]};
  if (found < 2) throw Unavailable("it needs two cores, and this process may use only one");
  return cores;
}

template <std::size_t Size>
void copy_text(char (&to)[Size], const std::string& from) {
  if (from.size() >= Size) throw Error(ErrorCode::internal, "benchmark", "'" + from + "' is too long");
  std::memcpy(to, from.c_str(), from.size() + 1);
}

class SharedArea {
 public:
  explicit SharedArea(const PairJob& job, const std::string& plugin, const std::string& folder)
      : bytes_(area_bytes(static_cast<std::uint32_t>(job.samples))) {
    fd_.reset(::memfd_create("hawse-bench-job", MFD_CLOEXEC));
    if (!fd_ || ::ftruncate(fd_.get(), static_cast<off_t>(bytes_)) != 0) throw Error::from_errno("make shared memory", "for the samples");
    void* data = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (data == MAP_FAILED) throw Error::from_errno("map shared memory", "for the samples");
    area_ = static_cast<Area*>(data);
    Job& to = area_->job;
    copy_text(to.peer, job.peer);
    copy_text(to.plugin, plugin);
    copy_text(to.folder, folder);
    to.loop = job.loop;
    to.wait = job.wait;
    to.touch = job.touch;
    to.touch_only = job.touch_only ? 1 : 0;
    to.readers = job.readers;
    to.depth = job.depth;
    to.samples = static_cast<std::uint32_t>(job.samples);
    to.operations = job.operations;
    to.warm_up = job.warm_up;
    to.bytes = job.bytes;
    to.reply_bytes = job.reply_bytes;
    to.gap_min_ns = job.gap_min_ns;
    to.gap_max_ns = job.gap_max_ns;
    to.spin_ns = job.spin_ns;
  }
  SharedArea(const SharedArea&) = delete;
  ~SharedArea() { ::munmap(area_, bytes_); }

  int fd() const noexcept { return fd_.get(); }
  Area* operator->() const noexcept { return area_; }

 private:
  UniqueFd fd_;
  std::size_t bytes_;
  Area* area_ = nullptr;
};

// In memory where there is such a file system: what a library writes there while it sets up shouldn't wait for a disk. Removed at the end, and with it what a
// library put into /dev/shm under the folder's name.
class PairFolder {
 public:
  PairFolder() : dir_(fs::is_directory(kMemory) ? fs::path(kMemory) : fs::temp_directory_path(), "hawse-bench-") {}
  ~PairFolder() {
    const std::string prefix = dir_.path().filename().string();
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(kMemory, ignored))
      if (entry.path().filename().string().starts_with(prefix)) fs::remove_all(entry.path(), ignored);
  }
  std::string path() const { return dir_.path().string(); }

 private:
  static constexpr const char* kMemory = "/dev/shm";
  ScopedDir dir_;
};

Subprocess start(int end, int core, int area_fd, int socket_fd) {
  SpawnOptions options;
  options.argv = {(resources_dir() / "hawse-bench-end").string(), std::to_string(end), std::to_string(core)};
  options.env = current_environment();
  options.fds = {{area_fd, kAreaFd}, {socket_fd, kSocketFd}};
  options.stdout_fd = STDERR_FILENO;  // our own output may be data
  return Subprocess::spawn(options);
}

std::string how_it_ended(const ExitStatus& status) {
  return status.signalled ? fmt::format("was ended by signal {} ({})", status.value, ::strsignal(status.value))
                          : fmt::format("ended with exit code {}", status.value);
}

// Waits for one end; nullopt when the limit passes. The first to fail decides: the other then says only that it was left alone.
std::optional<std::string> wait_for_both(std::array<Subprocess, 2>& ends, const SharedArea& area, std::int64_t until_ns) {
  std::array<bool, 2> over{};
  while (!over[0] || !over[1]) {
    pollfd polls[2];
    for (std::size_t i = 0; i < 2; ++i) polls[i] = {over[i] ? -1 : ends[i].pidfd(), POLLIN, 0};
    const std::int64_t left_ms = (until_ns - plane::monotonic_ns()) / 1'000'000;
    if (left_ms <= 0) return std::nullopt;
    if (::poll(polls, 2, static_cast<int>(std::min<std::int64_t>(left_ms + 1, 1'000'000))) < 0 && errno != EINTR)
      throw Error::from_errno("wait for two ends", area->job.peer);
    for (std::size_t i = 0; i < 2; ++i) {
      if (over[i] || (polls[i].revents & POLLIN) == 0) continue;
      over[i] = true;
      const ExitStatus status = ends[i].wait();
      if (status.signalled || status.value != 0)
        return area->error[i][0] != '\0' ? std::string(area->error[i]) : fmt::format("{}: one of its ends {}", area->job.peer, how_it_ended(status));
    }
  }
  return "";
}

}  // namespace

PairResult run_pair(const PairJob& job) {
  const std::string plugin = plugin_of(job.peer);
  const auto cores = cores_for(job);
  const PairFolder folder;
  const SharedArea area(job, plugin, folder.path());
  std::array<Subprocess, 2> ends;
  {
    auto [socket_0, socket_1] = socket_pair();
    ends[1] = start(1, cores[1], area.fd(), socket_1.get());
    ends[0] = start(0, cores[0], area.fd(), socket_0.get());
  }
  const auto failure = wait_for_both(ends, area, plane::monotonic_ns() + job.limit_ns);
  if (!failure) throw Unavailable(fmt::format("{}: not done after {:.1f} s", job.peer, static_cast<double>(job.limit_ns) / 1e9));
  if (!failure->empty()) throw Unavailable(*failure);
  return {{area->values(), area->values() + job.samples}, area->version};
}

}  // namespace hawse::bench
