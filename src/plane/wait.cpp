// SPDX-License-Identifier: Apache-2.0
#include "plane/wait.hpp"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plane/internal.hpp"

namespace hawse::plane {
namespace {

// Linux 5.16 has it; older headers don't.
constexpr long kFutexWaitv = 449;
constexpr std::uint32_t kFutexOf32Bits = 2;

constexpr std::uint32_t kDoorbellInstead = static_cast<std::uint32_t>(Sleeps::on_doorbell) - static_cast<std::uint32_t>(Sleeps::on_word);
static_assert(static_cast<std::uint32_t>(Sleeps::on_word_for_urgent) + kDoorbellInstead == static_cast<std::uint32_t>(Sleeps::on_doorbell_for_urgent));

std::atomic<int> many_words{0};  // can be slept on: 1; can't: -1; nobody asked: 0

timespec timespec_of(std::int64_t ns) noexcept {
  timespec time{};
  time.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
  time.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  return time;
}

// A machine that has no core for a node for a tenth of a second shall not look like a hostile neighbour.
constexpr std::int64_t kLongestPause_ns = 80'000'000;

// Of a signal that nobody asked for, and that does nothing unless somebody has. The handler is ours only where it wasn't anybody's.
void interrupt(pthread_t thread) noexcept {
  struct sigaction now{};
  ::sigaction(SIGURG, nullptr, &now);
  if ((now.sa_flags & SA_SIGINFO) == 0 && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN)) {
    now = {};
    now.sa_handler = [](int) {};
    now.sa_flags = SA_RESTART;
    ::sigaction(SIGURG, &now, nullptr);
  }
  ::pthread_kill(thread, SIGURG);
}

struct EndsWaiter {
  const Ends& ends;
  const bool input, room;

  bool there() const noexcept {
    for (std::size_t i = 0; input && i < ends.input_count; ++i)
      if (ends.inputs[i]->has_unread()) return true;
    bool can_send = ends.output_count > 0, any_ended = false, drained = true;
    for (std::size_t i = 0; i < ends.output_count; ++i) {
      OutputPort& output = *ends.outputs[i];
      if (room) {
        can_send = output.can_send() && can_send;
      } else if (output.has_ended()) {
        any_ended = true;
        drained = output.drained() && drained;
      }
    }
    return room ? can_send : !input && any_ended && drained;
  }

  void prepare_sleep(SleepSet& set) const noexcept {
    for (std::size_t i = 0; input && i < ends.input_count; ++i) ends.inputs[i]->prepare_sleep(set);
    for (std::size_t i = 0; i < ends.output_count; ++i)
      if (room || ends.outputs[i]->has_ended()) ends.outputs[i]->prepare_sleep(set);
  }

  void sleeps_on(const std::atomic<std::uint32_t>*) const noexcept {}

  void cancel_sleep() const noexcept {
    for (std::size_t i = 0; input && i < ends.input_count; ++i) ends.inputs[i]->cancel_sleep();
    for (std::size_t i = 0; i < ends.output_count; ++i) ends.outputs[i]->cancel_sleep();
  }

  void asleep(bool) const noexcept {}
};

}  // namespace

// Of no words, it refuses the call where it knows it.
bool can_sleep_on_many_words() noexcept {
  int known = many_words.load(std::memory_order_relaxed);
  if (known == 0) {
    ::syscall(kFutexWaitv, nullptr, 0, 0, nullptr, CLOCK_MONOTONIC);
    known = errno == EINVAL ? 1 : -1;
    many_words.store(known, std::memory_order_relaxed);
  }
  return known == 1;
}

void sleep_on_many_words(bool can) noexcept { many_words.store(can ? 0 : -1, std::memory_order_relaxed); }

void SleepSet::add(std::atomic<std::uint32_t>& word, bool only_urgent) noexcept {
  const auto value = static_cast<std::uint32_t>(only_urgent ? Sleeps::on_word_for_urgent : Sleeps::on_word);
  if (count_ < kMostWords)
    words_[count_] = {value, reinterpret_cast<std::uintptr_t>(&word), kFutexOf32Bits, 0};
  else
    word.store(value + kDoorbellInstead, std::memory_order_relaxed);
  ++count_;
}

void SleepSet::announce() noexcept {
  many_ = count_ > 1 && count_ <= kMostWords && can_sleep_on_many_words();
  for (std::uint32_t i = 0; i < count_ && i < kMostWords; ++i) {
    const auto value = static_cast<std::uint32_t>(words_[i].value);
    reinterpret_cast<std::atomic<std::uint32_t>*>(words_[i].address)->store(on_doorbell() ? value + kDoorbellInstead : value, std::memory_order_relaxed);
  }
  full_fence();
}

const std::atomic<std::uint32_t>* SleepSet::word() const noexcept {
  return on_doorbell() ? &bell_.word() : reinterpret_cast<const std::atomic<std::uint32_t>*>(words_[0].address);
}

void SleepSet::sleep(std::int64_t timeout_ns) noexcept {
  const bool many = !on_doorbell() && count_ > 1;
  const timespec until = timespec_of(timeout_ns < 0 ? 0 : many ? monotonic_ns() + timeout_ns : timeout_ns);
  const timespec* const timeout = timeout_ns < 0 ? nullptr : &until;
  if (many)
    ::syscall(kFutexWaitv, words_, count_, 0, timeout, CLOCK_MONOTONIC);
  else
    ::syscall(SYS_futex, word(), FUTEX_WAIT, on_doorbell() ? rings_ : static_cast<std::uint32_t>(words_[0].value), timeout, nullptr, 0);
}

void Waker::sleeps_on(const std::atomic<std::uint32_t>* word) noexcept {
  word_.store(word, std::memory_order_relaxed);
  thread_.store(::pthread_self(), std::memory_order_relaxed);
  sleeps_.fetch_add(1, std::memory_order_acq_rel);
}

void Waker::awake() noexcept { sleeps_.store(sleeps_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

void Waker::wake() noexcept {
  const std::uint32_t sleep = sleeps_.fetch_add(0, std::memory_order_acq_rel);
  for (std::int64_t pause_ns = 10'000; sleep % 2 == 1 && sleeps_.load(std::memory_order_relaxed) == sleep;) {
    plane::wake(*word_.load(std::memory_order_relaxed));
    const timespec pause = timespec_of(pause_ns);
    ::nanosleep(&pause, nullptr);
    if (pause_ns < kLongestPause_ns) pause_ns *= 2;
    else if (sleeps_.load(std::memory_order_relaxed) == sleep) interrupt(thread_.load(std::memory_order_relaxed));
  }
}

void wait(Bell& bell, const Ends& ends, bool wait_for_input, bool wait_for_room, AdaptiveSpin* spin, std::int64_t timeout_ns) noexcept {
  AdaptiveSpin never;
  const std::int64_t start_ns = spin != nullptr ? monotonic_ns() : 0;
  wait_on(bell, spin != nullptr ? *spin : never, start_ns, timeout_ns, EndsWaiter{ends, wait_for_input, wait_for_room});
  if (spin != nullptr) spin->came(monotonic_ns() - start_ns);
}

}  // namespace hawse::plane
