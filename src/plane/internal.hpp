// SPDX-License-Identifier: Apache-2.0
//
// What the plane's sources share among themselves: checked access to a link's memory, the full fence of the sleeping
// protocol, memory without an allocator. Freestanding, like everything here.
#pragma once

#include <sched.h>
#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "plane/port.hpp"

namespace hawse::plane {

// The fence between "publish, then look whether the peer sleeps" and "say that I sleep, then look once more": of the two
// sides at least one sees the other's store. ThreadSanitizer does not know fences; a locked exchange is one on x86-64.
inline void full_fence() noexcept {
#if defined(__SANITIZE_THREAD__)
#define HAWSE_PLANE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAWSE_PLANE_TSAN 1
#endif
#endif
#ifdef HAWSE_PLANE_TSAN
  std::atomic<std::uint32_t> word{0};
  word.exchange(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// Keeps the compiler from reading again what was copied out of shared memory: the copy is checked, so the copy is used.
inline void copied_once() noexcept { asm volatile("" ::: "memory"); }

// Held for a few dozen instructions at most, so it spins; it yields in case the holder was preempted.
class SpinLock {
 public:
  void lock() noexcept {
    for (unsigned tries = 1; taken_.exchange(1, std::memory_order_acquire) != 0; ++tries)  // [spin.taken]
      if (tries % 64 == 0) ::sched_yield(); else pause_cpu();
  }
  void unlock() noexcept { taken_.store(0, std::memory_order_release); }  // [spin.taken]

 private:
  std::atomic<std::uint32_t> taken_{0};
};

class SpinGuard {
 public:
  explicit SpinGuard(SpinLock& lock) noexcept : lock_(lock) { lock_.lock(); }
  ~SpinGuard() { lock_.unlock(); }
  SpinGuard(const SpinGuard&) = delete;

 private:
  SpinLock& lock_;
};

// A member without an initializer is zero, and its pages are touched only where used. Null where the system refuses.
template <class T>
T* make_mapped() noexcept {
  void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  T* object = new (memory) T;
  asm volatile("" : : "r"(object) : "memory");  // the compiler takes a member that no constructor sets for undefined; ours are what the system gave
  return object;
}

template <class T>
void destroy_mapped(T* object) noexcept {
  if (object == nullptr) return;
  object->~T();
  ::munmap(object, sizeof(T));
}

// Where a frame's payload is: a slot of an arena; `number` is the port's own number of that slot.
struct Place {
  std::uint16_t arena;
  std::uint16_t number;
  std::uint32_t index;
};
constexpr std::uint64_t packed(Place place) noexcept { return std::uint64_t{place.arena} << 48 | std::uint64_t{place.number} << 32 | place.index; }
constexpr Place unpacked(std::uint64_t word) noexcept {
  return {static_cast<std::uint16_t>(word >> 48), static_cast<std::uint16_t>(word >> 32), static_cast<std::uint32_t>(word)};
}

constexpr bool arena_shape_is_valid(std::uint32_t id, std::uint64_t slot_bytes, std::uint32_t slot_count) noexcept {
  return id <= 0xffff && slot_bytes >= kCacheLine && slot_bytes % kCacheLine == 0 && slot_bytes <= kMaxFrameBytes && slot_count >= 1 &&
         slot_count <= kMaxSlots;
}

// Places for a queue, for as much that was flushed, and for what a dead reader held.
constexpr std::uint32_t ring_slots_for(std::uint32_t queue, std::uint32_t backlog) noexcept {
  std::uint32_t slots = 1;
  while (slots < 2 * queue + backlog) slots *= 2;
  return slots;
}
constexpr bool ring_is_valid(std::uint32_t queue, std::uint32_t ring_slots) noexcept {
  return queue >= 1 && queue <= kMaxQueue && ring_slots <= kMaxRing && (ring_slots & (ring_slots - 1)) == 0 && ring_slots >= 2 * queue;
}

constexpr bool has_bit(const std::uint64_t* words, std::uint32_t index) noexcept { return (words[index / 64] >> (index % 64) & 1) != 0; }
constexpr void set_bit(std::uint64_t* words, std::uint32_t index) noexcept { words[index / 64] |= std::uint64_t{1} << (index % 64); }
constexpr void clear_bit(std::uint64_t* words, std::uint32_t index) noexcept { words[index / 64] &= ~(std::uint64_t{1} << (index % 64)); }

// Counters of which this process is the only writer: no locked instruction needed.
inline void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

Status open_link(int fd, Mapping* mapping, LinkMemory* out) noexcept;

void wake(const std::atomic<std::uint32_t>& word) noexcept;  // whoever sleeps on it, in any process

// Wakes the other end, if it sleeps. After a full fence, or a sequentially consistent locked operation, since what it is to see was stored.
inline void wake_peer(std::atomic<std::uint32_t>& sleeps, Bell& bell, bool urgent) noexcept {
  const auto how = static_cast<Sleeps>(sleeps.load(std::memory_order_seq_cst));
  if (how == Sleeps::awake) return;
  if (!urgent && (how == Sleeps::on_word_for_urgent || how == Sleeps::on_doorbell_for_urgent)) return;
  if (how == Sleeps::on_doorbell || how == Sleeps::on_doorbell_for_urgent) return bell.ring();
  sleeps.store(static_cast<std::uint32_t>(Sleeps::awake), std::memory_order_relaxed);
  wake(sleeps);
}

// Whoever was to do it may have died just before.
inline void wake_for_certain(std::atomic<std::uint32_t>& sleeps) noexcept {
  full_fence();
  sleeps.store(static_cast<std::uint32_t>(Sleeps::awake), std::memory_order_relaxed);
  wake(sleeps);
}

}  // namespace hawse::plane
