// SPDX-License-Identifier: Apache-2.0
//
// How long a node looks for what it waits for before it sleeps: a wake from sleep costs 5 to 50 us, a look a fraction of one.
//
// It learns. Looking pays only where what is waited for mostly comes within the limit, so a node whose frames come seldom
// doesn't look at all, and an idle one costs nothing. Where two looks lie far apart, somebody else ran on this core in
// between. Where that takes more than a small part of the time, looking only keeps others from working, so it is left out for a while,
// longer each time, and less long again once it has gone well. (An interruption now and then is the machine's own, and no reason.)
//
// Belongs to one thread. Freestanding. Times come from the caller, so that tests need no clock.
#pragma once

#include <cstdint>

namespace hawse::plane {

inline void pause_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

class AdaptiveSpin {
 public:
  // 0: never look.
  void set_limit(std::int64_t limit_ns) noexcept {
    limit_ns_ = limit_ns;
    expected_ns_ = 2 * limit_ns;  // nothing is known: sleep first
  }

  std::int64_t budget_ns() noexcept {
    if (limit_ns_ <= 0 || expected_ns_ > limit_ns_) return 0;
    if (skip_ == 0) return limit_ns_;
    --skip_;
    return 0;
  }

  // What was waited for came after so long, asleep or not. Long waits count as not much more than too long, so that one
  // pause in a fast stream is soon forgotten.
  void came(std::int64_t waited_ns) noexcept {
    if (limit_ns_ <= 0) return;
    const std::int64_t at_most_ns = 4 * limit_ns_;
    expected_ns_ += ((waited_ns < at_most_ns ? waited_ns : at_most_ns) - expected_ns_) / 4;
  }

  // Two looks lay so far apart. False: others need the core, sleep.
  bool looked_again_after(std::int64_t gap_ns) noexcept {
    const bool taken_away = gap_ns >= kTakenAway_ns;
    looked_ns_ += gap_ns;
    if (taken_away) taken_ns_ += gap_ns;
    const bool too_often = taken_away && taken_ns_ * kLeastShare > looked_ns_ + limit_ns_;
    if (too_often) {
      skip_ = penalty_;
      if (penalty_ < kMostSkipped) penalty_ *= 2;
    }
    if (looked_ns_ >= kForgotten_ns) {
      looked_ns_ /= 2;
      taken_ns_ /= 2;
      if (penalty_ > kLeastSkipped) penalty_ /= 2;
    }
    return !too_often;
  }

 private:
  static constexpr std::int64_t kTakenAway_ns = 50'000;       // far more than an interrupt takes
  static constexpr std::int64_t kLeastShare = 8;              // an eighth of the time
  static constexpr std::int64_t kForgotten_ns = 100'000'000;  // of looking
  static constexpr std::uint32_t kLeastSkipped = 16, kMostSkipped = 8192;  // waits

  std::int64_t limit_ns_ = 0;
  std::int64_t expected_ns_ = 0;
  std::int64_t looked_ns_ = 0, taken_ns_ = 0;
  std::uint32_t skip_ = 0, penalty_ = kLeastSkipped;
};

// Calls there() until it says true, or the spin's budget is spent or given up; false: sleep now.
template <class There, class Clock>
bool look_before_sleep(AdaptiveSpin& spin, std::int64_t from_ns, std::int64_t most_ns, Clock&& clock_ns, There&& there) noexcept {
  constexpr int kLooksPerClock = 16;  // reading the clock costs as much as some looks
  std::int64_t budget_ns = spin.budget_ns();
  if (most_ns >= 0 && most_ns < budget_ns) budget_ns = most_ns;
  for (std::int64_t last_ns = from_ns; last_ns - from_ns < budget_ns;) {
    for (int i = 0; i < kLooksPerClock; ++i) {
      if (there()) return true;
      pause_cpu();
    }
    const std::int64_t now_ns = clock_ns();
    if (!spin.looked_again_after(now_ns - last_ns)) return false;
    last_ns = now_ns;
  }
  return false;
}

}  // namespace hawse::plane
