// SPDX-License-Identifier: Apache-2.0
//
// A tap: one link more from a running output port, whose reader is a command (`hawse tap`). To that command the session speaks the nodes' own protocol, so
// what reads a tap is the library that reads every edge; nothing that the command says is looked at.
//
// Invariants. A tap's link drops and never blocks. It is taken away when its command goes, when its writer is replaced, and when it stands still for
//             kStandsStillNs: then the writer has every slot back.
// Ownership.  The session owns it; its client belongs to Control.
#pragma once

#include <cstdint>

#include "base/fd.hpp"
#include "plane/port.hpp"
#include "runtime/control.hpp"

namespace hawse::runtime {

struct Tap {
  Control::Client* client = nullptr;
  std::size_t writer = 0;  // node
  std::uint32_t output = 0, index = 0, queue = 0;
  plane::WhenFull when_full = plane::WhenFull::latest;
  UniqueFd link, doorbell, page;
  plane::LinkView view;
  std::uint64_t received = 0;  // when it was last looked at
  std::int64_t moved_ns = 0;   // when it last had nothing to do, or had done something
  Loop::Handle watch;
};

}  // namespace hawse::runtime
