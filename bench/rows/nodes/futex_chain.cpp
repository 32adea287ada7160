// SPDX-License-Identifier: Apache-2.0
//
// The processes are forks that do nothing but system calls: this process may have threads.
#include "bench/rows/nodes/futex_chain.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "bench/core/row.hpp"
#include "plane/port.hpp"

namespace hawse::bench {
namespace {

constexpr std::size_t kWarmUp = 20;

struct alignas(128) Word {
  std::atomic<std::uint32_t> turn;
};

struct Shared {
  std::size_t bytes;
  Word* words;       // of the head, then of each process in its order
  std::int64_t* at;  // of the last one's run
  float* samples;
};

Shared map_shared(unsigned length, std::size_t count) {
  const std::size_t bytes = (length + 2) * sizeof(Word) + count * sizeof(float);
  void* const data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (data == MAP_FAILED) throw Unavailable("no memory for a chain of futexes");
  auto* const words = static_cast<Word*>(data);
  return {bytes, words, reinterpret_cast<std::int64_t*>(words + length + 1), reinterpret_cast<float*>(words + length + 2)};
}

void wake(Word& word) noexcept {
  word.turn.fetch_add(1, std::memory_order_release);
  ::syscall(SYS_futex, &word.turn, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void wait(Word& word, std::uint32_t seen) noexcept {
  while (word.turn.load(std::memory_order_acquire) == seen) ::syscall(SYS_futex, &word.turn, FUTEX_WAIT, seen, nullptr, nullptr, 0);
}

// 0: the head, which ends when it has its samples. The others go on until they are killed.
[[noreturn]] void be(unsigned number, unsigned length, std::size_t count, const Shared& shared) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  if (::sched_setaffinity(0, sizeof first, &first) != 0) ::_exit(1);
  Word& mine = shared.words[number];
  Word& next = shared.words[number == length ? 0 : number + 1];
  for (std::uint32_t turn = 0; number > 0; ++turn) {
    wait(mine, turn);
    if (number == length) *shared.at = plane::monotonic_ns();
    wake(next);
  }
  for (std::uint32_t turn = 0; turn < kWarmUp + count; ++turn) {
    const std::int64_t began_ns = plane::monotonic_ns();
    wake(next);
    wait(mine, turn);
    if (turn >= kWarmUp) shared.samples[turn - kWarmUp] = static_cast<float>(*shared.at - began_ns);
  }
  ::_exit(0);
}

}  // namespace

std::vector<float> futex_chain(unsigned length, std::size_t count) {
  const Shared shared = map_shared(length, count);
  std::vector<pid_t> processes;
  for (unsigned number = length + 1; number-- > 0;) {  // the head last
    const pid_t pid = ::fork();
    if (pid == 0) be(number, length, count, shared);
    if (pid > 0) processes.push_back(pid);
  }
  const bool complete = processes.size() == length + 1;
  int status = 1;
  if (complete) {
    ::waitpid(processes.back(), &status, 0);
    processes.pop_back();
  }
  for (const pid_t pid : processes) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  const std::vector<float> samples(shared.samples, shared.samples + count);
  ::munmap(shared.words, shared.bytes);
  if (!complete || status != 0) throw Unavailable("a chain of futexes needs " + std::to_string(length + 1) + " processes on core 0");
  return samples;
}

}  // namespace hawse::bench
