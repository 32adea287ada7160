// SPDX-License-Identifier: Apache-2.0
//
// Floor: what the machine itself needs. One cache line each way with a counter, written by one core and polled by the other. No payload.
#include <atomic>

#include "bench/peers/adapter.hpp"
#include "bench/peers/registry.hpp"
#include "bench/peers/shared.hpp"

namespace hawse::bench {
namespace {

struct alignas(128) Line {  // 128: the neighbour line, too, stays away from the other's
  std::atomic<std::uint64_t> turn;
};

class TwoLinesEnd {
 public:
  explicit TwoLinesEnd(const hawse_peer_setup& setup)
      : memory_(setup, 2 * sizeof(Line)),
        out_(memory_.as<Line>(setup.end == 0 ? 0 : sizeof(Line))),
        in_(memory_.as<Line>(setup.end == 0 ? sizeof(Line) : 0)) {}

  void* loan(std::uint64_t) noexcept { return this; }  // of no bytes
  void send(std::uint64_t) noexcept { out_->turn.store(++sent_, std::memory_order_release); }
  Payload receive() noexcept {
    for (++received_; in_->turn.load(std::memory_order_acquire) != received_;) {
    }
    return {};
  }
  void release() noexcept {}

 private:
  SharedMemory memory_;
  Line* out_;
  Line* in_;
  std::uint64_t sent_ = 0, received_ = 0;
};

}  // namespace

hawse_transport two_lines_api() {
  return api_of<TwoLinesEnd>({.name = "two_lines", .waits = HAWSE_PEER_POLLING, .max_bytes = 0}, [] { return ""; });
}

}  // namespace hawse::bench
