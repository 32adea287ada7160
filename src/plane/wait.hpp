// SPDX-License-Identifier: Apache-2.0
//
// The one way in which whatever drives a node waits: C++ nodes, Python's loop, and the models that check it.
//
// No wake is lost: a node says that it sleeps before its last look, peers wake whoever says so, and a word that was written since
// ends the futex's wait at once.
#pragma once

#include "plane/port.hpp"

namespace hawse::plane {

// Looks for a while, where that pays, then sleeps until it is woken, a signal comes, or the timeout has passed (< 0: none). Returns what
// there() said last.
//   there()             whether to go on: asked again and again, and once more before the sleep
//   prepare_sleep(set)  of each end that can make it so; cancel_sleep() afterwards
//   sleeps_on(word)     before the last look: for the node's Waker, where it has one
//   asleep(begins)      around the sleep itself
template <class Waiter>
bool wait_on(const Bell& bell, AdaptiveSpin& spin, std::int64_t from_ns, std::int64_t timeout_ns, Waiter&& waiter) {
  SleepSet set(bell);
  bool there = false;
  const auto look = [&] { return there = waiter.there(); };
  if (look_before_sleep(spin, from_ns, timeout_ns, monotonic_ns, look)) return there;
  waiter.prepare_sleep(set);
  set.announce();
  waiter.sleeps_on(set.word());
  if (!look()) {
    waiter.asleep(true);
    set.sleep(timeout_ns);
    waiter.asleep(false);
  }
  waiter.cancel_sleep();
  return there;
}

}  // namespace hawse::plane
