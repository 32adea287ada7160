// SPDX-License-Identifier: Apache-2.0
//
// Floor: sleeping and being woken. A word each way, changed and woken by one end with one futex call, slept on by the other. No payload.
#include <linux/futex.h>
#include <sys/syscall.h>

#include <atomic>
#include <limits>

#include "bench/peers/adapter.hpp"
#include "bench/peers/registry.hpp"
#include "bench/peers/shared.hpp"

namespace hawse::bench {
namespace {

struct alignas(128) Word {
  std::atomic<std::uint32_t> turn;
};

class FutexEnd {
 public:
  explicit FutexEnd(const hawse_peer_setup& setup)
      : memory_(setup, 2 * sizeof(Word)),
        out_(memory_.as<Word>(setup.end == 0 ? 0 : sizeof(Word))),
        in_(memory_.as<Word>(setup.end == 0 ? sizeof(Word) : 0)) {}

  void* loan(std::uint64_t) noexcept { return this; }  // of no bytes
  void send(std::uint64_t) noexcept {
    out_->turn.store(++sent_, std::memory_order_release);
    ::syscall(SYS_futex, &out_->turn, FUTEX_WAKE, std::numeric_limits<int>::max(), nullptr, nullptr, 0);
  }
  Payload receive() noexcept {
    while (in_->turn.load(std::memory_order_acquire) == received_) ::syscall(SYS_futex, &in_->turn, FUTEX_WAIT, received_, nullptr, nullptr, 0);
    ++received_;
    return {};
  }
  void release() noexcept {}

 private:
  SharedMemory memory_;
  Word* out_;
  Word* in_;
  std::uint32_t sent_ = 0, received_ = 0;
};

}  // namespace

hawse_transport futex_api() {
  return api_of<FutexEnd>({.name = "futex", .waits = HAWSE_PEER_SLEEPING, .max_bytes = 0}, [] { return ""; });
}

}  // namespace hawse::bench
