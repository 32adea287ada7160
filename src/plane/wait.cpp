// SPDX-License-Identifier: Apache-2.0
//
// One sleep for everything a node has. No ring is lost: the doorbell's value is taken before the last look, peers ring
// whoever said that it sleeps, and a ring since the wait before ends this one at once.
#include "plane/internal.hpp"

namespace hawse::plane {
namespace {

struct Wanted {
  bool input, room;
};

bool is_ready(const Ends& ends, const Wanted& wanted) noexcept {
  for (std::size_t i = 0; wanted.input && i < ends.input_count; ++i)
    if (ends.inputs[i]->has_unread()) return true;
  bool can_send = ends.output_count > 0, any_ended = false, drained = true;
  for (std::size_t i = 0; i < ends.output_count; ++i) {
    OutputPort& output = *ends.outputs[i];
    if (wanted.room) {
      can_send = output.can_send() && can_send;
    } else if (output.has_ended()) {
      any_ended = true;
      drained = output.drained() && drained;
    }
  }
  return wanted.room ? can_send : !wanted.input && any_ended && drained;
}

bool wants_rings(const OutputPort& output, const Wanted& wanted) noexcept { return wanted.room || output.has_ended(); }

void sleep(Bell& bell, const Ends& ends, const Wanted& wanted, std::int64_t start_ns, std::int64_t timeout_ns) noexcept {
  for (std::size_t i = 0; wanted.input && i < ends.input_count; ++i) ends.inputs[i]->prepare_sleep();
  for (std::size_t i = 0; i < ends.output_count; ++i)
    if (wants_rings(*ends.outputs[i], wanted)) ends.outputs[i]->prepare_sleep();
  if (!is_ready(ends, wanted)) {
    const std::int64_t left_ns = timeout_ns < 0 ? -1 : timeout_ns - (monotonic_ns() - start_ns);
    if (timeout_ns < 0 || left_ns > 0) bell.wait(bell.heard(), left_ns);
  }
  for (std::size_t i = 0; wanted.input && i < ends.input_count; ++i) ends.inputs[i]->cancel_sleep();
  for (std::size_t i = 0; i < ends.output_count; ++i) ends.outputs[i]->cancel_sleep();
}

}  // namespace

void wait(Bell& bell, const Ends& ends, bool wait_for_input, bool wait_for_room, AdaptiveSpin* spin, std::int64_t timeout_ns) noexcept {
  const Wanted wanted{wait_for_input, wait_for_room};
  if (bell.rang()) return;
  const std::int64_t start_ns = spin != nullptr || timeout_ns > 0 ? monotonic_ns() : 0;
  const bool came = spin != nullptr && look_before_sleep(*spin, bell, bell.heard(), start_ns, timeout_ns, monotonic_ns, [&] { return is_ready(ends, wanted); });
  if (!came) sleep(bell, ends, wanted, start_ns, timeout_ns);
  bell.rang();
  if (spin != nullptr) spin->came(monotonic_ns() - start_ns);
}

}  // namespace hawse::plane
