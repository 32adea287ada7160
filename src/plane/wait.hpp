// SPDX-License-Identifier: Apache-2.0
//
// The one way in which whatever drives a node waits: C++ nodes, Python's loop, and the models that check it.
//
// No ring is lost: the doorbell's value is taken before the last look, peers ring whoever said that it sleeps, and a ring since
// that value was taken ends the futex's wait at once.
#pragma once

#include "plane/port.hpp"

namespace hawse::plane {

// Looks for a while, where that pays, then sleeps until the bell rings, a signal comes, or the timeout has passed (< 0: none). Returns what
// there() said last.
//   there()           whether to go on: asked again and again, and once more between prepare_sleep() and the sleep
//   prepare_sleep()   of each end that can make it so; cancel_sleep() afterwards
//   asleep(begins)    around the sleep itself
template <class Waiter>
bool wait_on(Bell& bell, AdaptiveSpin& spin, std::int64_t from_ns, std::int64_t timeout_ns, Waiter&& waiter) {
  const std::uint32_t seen = bell.value();
  bool there = false;
  const auto look = [&] { return there = waiter.there(); };
  if (look_before_sleep(spin, bell, seen, from_ns, timeout_ns, monotonic_ns, look)) return there;
  waiter.prepare_sleep();
  if (!look()) {
    waiter.asleep(true);
    bell.wait(seen, timeout_ns);
    waiter.asleep(false);
  }
  waiter.cancel_sleep();
  return there;
}

}  // namespace hawse::plane
