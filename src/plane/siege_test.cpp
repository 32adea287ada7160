// SPDX-License-Identifier: Apache-2.0
//
// Hostile peers without a plan (siege.hpp): many short histories in one thread, and long ones with the attacker in a thread of its own, so that it
// strikes in the middle of any operation. HAWSE_SIEGE_SECONDS lengthens each test (default 2).
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "plane/siege.hpp"

namespace hawse::plane {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point end_of_test() {
  const char* seconds = std::getenv("HAWSE_SIEGE_SECONDS");
  return Clock::now() + std::chrono::seconds(seconds == nullptr ? 2 : std::atoi(seconds));
}

template <class Besieged>
void in_one_thread() {
  const auto end = end_of_test();
  for (std::uint64_t seed = 1; Clock::now() < end && !testing::Test::HasFatalFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Choices choices(seed);
    Besieged besieged;
    besiege(besieged, choices, 300);
  }
}

template <class Besieged>
void in_two_threads(std::uint64_t* work) {
  const auto end = end_of_test();
  for (std::uint64_t seed = 1; Clock::now() < end && !testing::Test::HasFatalFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Besieged besieged;
    std::mutex lock;
    std::atomic<bool> over{false};
    std::thread attack([&] {
      Choices choices(seed);
      while (!over.load(std::memory_order_relaxed)) {
        {
          const std::lock_guard guard(lock);
          for (std::uint64_t blows = choices.below(8); blows > 0; --blows) besieged.attacker().act(choices);
          if constexpr (requires { besieged.arena_attacker(); }) besieged.arena_attacker().act(choices);
        }
        for (std::uint64_t rest = choices.below(2000); rest > 0; --rest) std::atomic_signal_fence(std::memory_order_seq_cst);
        std::this_thread::yield();  // the lock is the victim's, too
      }
    });
    Choices choices(~seed);
    for (int i = 0; i < 3000 && Clock::now() < end && !testing::Test::HasFatalFailure(); ++i) besieged.step(choices, lock);
    over = true;
    attack.join();
    if (!testing::Test::HasFatalFailure()) besieged.finish();
    if constexpr (requires { besieged.sent(); }) *work += besieged.sent();
    else *work += besieged.received();
  }
}

TEST(Siege, of_a_writer_by_a_reader_that_writes_anything_leaves_the_other_readers_alone) { in_one_thread<BesiegedWriter>(); }

TEST(Siege, of_a_reader_by_a_writer_that_writes_anything_stays_outside_its_memory) { in_one_thread<BesiegedReader>(); }

TEST(Siege, of_a_writer_goes_on_while_it_works) {
  std::uint64_t sent = 0;
  in_two_threads<BesiegedWriter>(&sent);
  EXPECT_GT(sent, 100u);
}

TEST(Siege, of_a_reader_goes_on_while_it_works) {
  std::uint64_t received = 0;
  in_two_threads<BesiegedReader>(&received);
  EXPECT_GT(received, 100u);
}

}  // namespace
}  // namespace hawse::plane
