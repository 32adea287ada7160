// SPDX-License-Identifier: Apache-2.0
#include "plane/wait.hpp"

namespace hawse::plane {
namespace {

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

  void prepare_sleep() const noexcept {
    for (std::size_t i = 0; input && i < ends.input_count; ++i) ends.inputs[i]->prepare_sleep();
    for (std::size_t i = 0; i < ends.output_count; ++i)
      if (room || ends.outputs[i]->has_ended()) ends.outputs[i]->prepare_sleep();
  }

  void cancel_sleep() const noexcept {
    for (std::size_t i = 0; input && i < ends.input_count; ++i) ends.inputs[i]->cancel_sleep();
    for (std::size_t i = 0; i < ends.output_count; ++i) ends.outputs[i]->cancel_sleep();
  }

  void asleep(bool) const noexcept {}
};

}  // namespace

void wait(Bell& bell, const Ends& ends, bool wait_for_input, bool wait_for_room, AdaptiveSpin* spin, std::int64_t timeout_ns) noexcept {
  AdaptiveSpin never;
  const std::int64_t start_ns = spin != nullptr ? monotonic_ns() : 0;
  wait_on(bell, spin != nullptr ? *spin : never, start_ns, timeout_ns, EndsWaiter{ends, wait_for_input, wait_for_room});
  if (spin != nullptr) spin->came(monotonic_ns() - start_ns);
}

}  // namespace hawse::plane
