// SPDX-License-Identifier: Apache-2.0
//
// Floor: a bare ring in shared memory, one writer and one reader, payloads of one cache line inline. No arena, no header, nothing checked, nothing returned.
// Each side keeps its own cursor and a copy of the other's, which it looks up only where the copy says full or empty.
#include <atomic>
#include <bit>

#include "bench/peers/adapter.hpp"
#include "bench/peers/registry.hpp"
#include "bench/peers/shared.hpp"

namespace hawse::bench {
namespace {

struct alignas(64) Entry {
  std::byte payload[64];
};

struct Ring {
  alignas(128) std::atomic<std::uint64_t> written;
  alignas(128) std::atomic<std::uint64_t> read;
  alignas(128) Entry first;  // and the others behind it
  Entry& at(std::uint64_t number, std::uint64_t slots) noexcept { return (&first)[number & (slots - 1)]; }
};

struct Side {
  Ring* ring = nullptr;
  std::uint64_t own = 0, other = 0;
};

class RingEnd {
 public:
  explicit RingEnd(const hawse_peer_setup& setup)
      : slots_(std::bit_ceil(std::uint64_t{setup.depth})), ring_bytes_(sizeof(Ring) + slots_ * sizeof(Entry)), memory_(setup, 2 * ring_bytes_) {
    out_.ring = memory_.as<Ring>(setup.end == 0 ? 0 : ring_bytes_);
    in_.ring = memory_.as<Ring>(setup.end == 0 ? ring_bytes_ : 0);
  }

  void* loan(std::uint64_t) noexcept {
    while (out_.own - out_.other == slots_) out_.other = out_.ring->read.load(std::memory_order_acquire);
    return out_.ring->at(out_.own, slots_).payload;
  }
  void send(std::uint64_t) noexcept { out_.ring->written.store(++out_.own, std::memory_order_release); }
  Payload receive() noexcept {
    while (in_.own == in_.other) in_.other = in_.ring->written.load(std::memory_order_acquire);
    return {in_.ring->at(in_.own, slots_).payload, 64};
  }
  void release() noexcept { in_.ring->read.store(++in_.own, std::memory_order_release); }

 private:
  std::uint64_t slots_, ring_bytes_;
  SharedMemory memory_;
  Side out_, in_;
};

}  // namespace

hawse_transport ring_api() {
  return api_of<RingEnd>({.name = "ring", .waits = HAWSE_PEER_POLLING, .max_bytes = 64}, [] { return ""; });
}

}  // namespace hawse::bench
