// SPDX-License-Identifier: Apache-2.0
#include "bench/core/placement.hpp"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

namespace hawse::bench {
namespace {

constexpr std::uint32_t kRoundTrips = 300;  // a run: 30 to 120 µs
constexpr std::size_t kRuns = 9;

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

struct alignas(128) Line {
  std::atomic<std::uint32_t> turn{0};  // even: the caller's, odd: the other's
};

bool pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(core), &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

void answer(Line& line, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    while (line.turn.load(std::memory_order_acquire) != 2 * i + 1) {
    }
    line.turn.store(2 * i + 2, std::memory_order_release);
  }
}

double ask(Line& line, std::uint32_t from, std::uint32_t count) {
  const std::int64_t began_ns = now_ns();
  for (std::uint32_t i = from; i < from + count; ++i) {
    line.turn.store(2 * i + 1, std::memory_order_release);
    while (line.turn.load(std::memory_order_acquire) != 2 * i + 2) {
    }
  }
  return static_cast<double>(now_ns() - began_ns) / count;
}

}  // namespace

std::optional<double> line_round_trip_ns() {
  cpu_set_t before;
  if (::sched_getaffinity(0, sizeof before, &before) != 0) return std::nullopt;
  std::array<int, 2> cores{-1, -1};
  for (int core = 0, found = 0; core < CPU_SETSIZE && found < 2; ++core)
    if (CPU_ISSET(static_cast<std::size_t>(core), &before)) cores[static_cast<std::size_t>(found++)] = core;
  if (cores[1] < 0 || !pin(cores[0])) return std::nullopt;
  Line line;
  std::array<double, kRuns> runs{};
  {
    std::jthread other([&] {
      pin(cores[1]);
      answer(line, kRoundTrips * (kRuns + 1));
    });
    ask(line, 0, kRoundTrips);  // the other thread starts and both cores wake
    for (std::uint32_t run = 0; run < kRuns; ++run) runs[run] = ask(line, kRoundTrips * (run + 1), kRoundTrips);
  }
  ::sched_setaffinity(0, sizeof before, &before);
  std::nth_element(runs.begin(), runs.begin() + kRuns / 2, runs.end());
  return runs[kRuns / 2];
}

}  // namespace hawse::bench
