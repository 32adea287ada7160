// SPDX-License-Identifier: Apache-2.0
//
// How large a port's slots are made. Small ones lie close together: a page for each would cost both sides a place in the address
// translation's cache a frame, and all first lines would share a few places of the data caches. Two sizes only, because each is a growth step
// to a stream whose frames become larger, and the least is a pair of lines, because processors fetch lines in pairs.
#pragma once

#include <cstdint>

namespace hawse::plane {

constexpr std::uint64_t slot_bytes_for(std::uint64_t payload_bytes) noexcept {
  constexpr std::uint64_t kPage = 4096;
  if (payload_bytes <= 128) return 128;
  if (payload_bytes <= 1024) return 1024;
  return (payload_bytes + kPage - 1) / kPage * kPage;
}

}  // namespace hawse::plane
