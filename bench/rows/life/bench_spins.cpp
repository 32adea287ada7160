// SPDX-License-Identifier: Apache-2.0
//
// Uses a core for 1.5 s and prints when it was first held back, and its share of that core. A program: a start that takes next to nothing isn't held back itself.
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <hawse/node.hpp>

namespace {

std::int64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

class Spins : public hawse::Node {
  void process(const hawse::Input&) override {
    constexpr std::int64_t kSpinsNs = 1'500'000'000, kHeldNs = 20'000'000;  // so long a gap is its limit's doing
    const std::int64_t begun_ns = clock_ns(CLOCK_MONOTONIC), used_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    std::int64_t now_ns = begun_ns, met_ns = 0;
    while (now_ns - begun_ns < kSpinsNs) {
      const std::int64_t last_ns = now_ns;
      now_ns = clock_ns(CLOCK_MONOTONIC);
      if (met_ns == 0 && now_ns - last_ns > kHeldNs) met_ns = last_ns;
    }
    if (met_ns != 0) std::printf("at %lld\n", static_cast<long long>(met_ns));
    std::printf("share %f\n", static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - used_ns) / static_cast<double>(now_ns - begun_ns));
    std::fflush(stdout);
  }
};

HAWSE_PROGRAM(Spins, R"({"doc": "Uses a core.", "inputs": {"in": "any"}})")
