// SPDX-License-Identifier: Apache-2.0
//
// Floor: memory that is written at one end and read at the other, and nothing else. One buffer each way, both ends map both; a cache line each way says whose turn
// it is. The loops time only the writing and the reading (Job::touch_only), so that the turn's own cost isn't in the figure.
#include <atomic>

#include "bench/peers/adapter.hpp"
#include "bench/peers/registry.hpp"
#include "bench/peers/shared.hpp"

namespace hawse::bench {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t to_pages(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

struct alignas(kPage) Turn {
  std::atomic<std::uint64_t> count;
};

struct Way {
  Turn* turn;
  std::byte* payload;
  std::uint64_t bytes;
  std::uint64_t count = 0;
};

class TouchEnd {
 public:
  explicit TouchEnd(const hawse_peer_setup& setup)
      : of_end_0_(setup.end == 0 ? setup.bytes_out : setup.bytes_in),
        of_end_1_(setup.end == 0 ? setup.bytes_in : setup.bytes_out),
        memory_(setup, 2 * sizeof(Turn) + to_pages(of_end_0_) + to_pages(of_end_1_)) {
    const Way from_0{memory_.as<Turn>(), memory_.as<std::byte>(2 * sizeof(Turn)), of_end_0_};
    const Way from_1{memory_.as<Turn>(sizeof(Turn)), memory_.as<std::byte>(2 * sizeof(Turn) + to_pages(of_end_0_)), of_end_1_};
    out_ = setup.end == 0 ? from_0 : from_1;
    in_ = setup.end == 0 ? from_1 : from_0;
  }

  void* loan(std::uint64_t) noexcept { return out_.payload; }
  void send(std::uint64_t) noexcept { out_.turn->count.store(++out_.count, std::memory_order_release); }
  Payload receive() noexcept {
    for (++in_.count; in_.turn->count.load(std::memory_order_acquire) != in_.count;) {
    }
    return {in_.payload, in_.bytes};
  }
  void release() noexcept {}

 private:
  std::uint64_t of_end_0_, of_end_1_;
  SharedMemory memory_;
  Way out_{}, in_{};
};

}  // namespace

hawse_transport touch_api() {
  return api_of<TouchEnd>({.name = "touch", .waits = HAWSE_PEER_POLLING}, [] { return ""; });
}

}  // namespace hawse::bench
