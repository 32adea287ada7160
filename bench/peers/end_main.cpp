// SPDX-License-Identifier: Apache-2.0
//
// hawse-bench-end: one end of a pair. Started twice by `hawse bench` (pair.hpp), which kills it when it has waited long enough, and dies with it.
// A process of its own, so that a transport that crashes, spins for ever or keeps threads does so here and not in `hawse bench`.
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string_view>

#include "bench/peers/job.hpp"
#include "bench/peers/loops.hpp"
#include "bench/peers/registry.hpp"

namespace hawse::bench {
namespace {

hawse_transport built_in(std::string_view name) {
  for (const auto& api : {plane_api(), two_lines_api(), ring_api(), futex_api(), touch_api(), unix_socket_api()})
    if (api.name == name) return api;
  throw std::runtime_error(fmt::format("no transport is named '{}'", name));
}

// Never closed: a library's threads may outlive its last call.
hawse_transport plugged_in(const Job& job) {
  void* const library = ::dlopen(job.plugin, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(fmt::format("{}: its plug-in can't be loaded: {}", job.peer, ::dlerror()));
  using Entry = const hawse_transport* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(library, "hawse_peer_api"));
  if (entry == nullptr) throw std::runtime_error(fmt::format("{}: {} isn't a plug-in", job.peer, job.plugin));
  const hawse_transport& api = *entry();
  if (api.abi != HAWSE_PEER_ABI)
    throw std::runtime_error(fmt::format("{}: its plug-in was built for another version of hawse (make peers)", job.peer));
  return api;
}

void check(const hawse_transport& api, const Job& job) {
  if ((api.waits & static_cast<std::uint32_t>(job.wait)) == 0)
    throw std::runtime_error(fmt::format("{} can't wait {}", api.name, job.wait == HAWSE_PEER_POLLING ? "polling" : job.wait == HAWSE_PEER_SLEEPING ? "sleeping" : "adaptively"));
  if (job.bytes > api.max_bytes || job.reply_bytes > api.max_bytes)
    throw std::runtime_error(fmt::format("{} carries at most {} bytes", api.name, api.max_bytes));
  if (job.readers > api.max_readers) throw std::runtime_error(fmt::format("{} has at most {} readers", api.name, api.max_readers));
}

Area& map_area() {
  struct stat status {};
  void* data = MAP_FAILED;
  if (::fstat(kAreaFd, &status) == 0)
    data = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, kAreaFd, 0);
  if (data == MAP_FAILED) throw std::runtime_error("it is started by hawse bench, with a job");
  return *static_cast<Area*>(data);
}

void run(Area& area, int end, int core) {
  const Job& job = area.job;
  const hawse_transport api = job.plugin[0] == '\0' ? built_in(job.peer) : plugged_in(job);
  check(api, job);
  if (end == 0) std::snprintf(area.version, sizeof area.version, "%s", api.version());
  char error[sizeof area.error[0]] = "it gave no reason";
  const hawse_peer_setup setup{
      kSocketFd,  end,   job.wait,    job.readers, job.depth, end == 0 ? job.bytes : job.reply_bytes, end == 0 ? job.reply_bytes : job.bytes,
      job.folder, error, sizeof error, job.spin_ns};
  run_end(api, setup, area, core);
}

int run(int argc, char** argv) {
  if (argc != 3) throw std::runtime_error("it is started by hawse bench");
  Area& area = map_area();
  const int end = std::atoi(argv[1]) == 0 ? 0 : 1;
  try {
    run(area, end, std::atoi(argv[2]));
    return 0;
  } catch (const std::exception& error) {
    std::snprintf(area.error[end], sizeof area.error[end], "%s", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace hawse::bench

int main(int argc, char** argv) {
  try {
    return hawse::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hawse-bench-end: %s\n", error.what());
    return 2;
  }
}
