// SPDX-License-Identifier: Apache-2.0
//
// What an output port knows in its own memory. No reader can write here, so what a reader may return, and who still holds
// what, is decided by this and by nothing in a link.
//
// Invariants. A slot's `references` is the number of links whose `held` bit for it is set. A free slot is in its arena's free
// list, has no reference and no bit. A slot is numbered through all arenas of its port.
#pragma once

#include "plane/internal.hpp"

namespace hawse::plane {

inline constexpr std::uint16_t kNoSlot = 0xffff;
static_assert(kMaxSlots < kNoSlot);

enum class SlotState : std::uint8_t { free = 0, building = 1, sent = 2 };

// Zero is a valid beginning: the table is mapped, never constructed. Indexed by the port's own number of a slot.
struct WriterSlot {
  FrameHeader header;
  std::uint16_t references;
  std::uint16_t next_free;
  SlotState state;
  std::uint8_t arena;
  std::uint32_t pages;  // of it that were mapped ahead
};

struct WriterArena {
  Mapping mapping;
  std::uint64_t slot_bytes = 0;
  std::uint32_t id = 0;
  std::uint32_t slot_count = 0;
  std::uint32_t first = 0;  // the port's number of its slot 0
  std::uint32_t free_count = 0;
  std::uint16_t free_head = kNoSlot;  // last in, first out: the slot that is most likely still in a cache
  bool enabled = false;
  std::uint32_t pins = 0;             // whoever looks at slots of it that were sent
  std::uint64_t frames = 0;           // built in it so far
  std::uint64_t frames_seen = 0;      // of them when idle_arena() looked last
  std::int64_t idle_from_ns = 0;      // the look that was the first to find no more of them

  bool there() const noexcept { return slot_count != 0; }
};

// Our copy of a ring entry: the one in the link belongs to whoever wrote there last.
struct RingEntry {
  std::uint64_t sequence;
  std::uint16_t slot;
};

struct WriterLink {
  Mapping mapping;
  LinkMemory memory;
  Bell bell;  // the reader's
  WhenFull when_full = WhenFull::block;
  bool open = false;           // false: closed by its reader, or broken; it holds nothing
  bool lost = false;           // closed, as its reader failed: what is sent counts as dropped
  bool end_is_told = false;
  std::uint64_t written = 0;   // our own cursors: the shared ones are only published to, or checked against these
  std::uint64_t read = 0;
  std::uint64_t void_until = 0;
  std::int64_t blocked_since_ns = 0;
  std::uint64_t held[kMaxSlots / 64];  // slots of which this link has a reference
  RingEntry ring[kMaxRing];

  // What was flushed doesn't hold up what comes after it, as long as the ring has places.
  bool is_full() const noexcept {
    return written - (read > void_until ? read : void_until) >= memory.queue || written - read >= memory.ring_slots();
  }
};

struct OutputPort::State {
  WriterArena arenas[kMaxArenas];
  std::uint32_t arena_count = 0;  // entries at or above have none; below they may
  std::uint8_t by_size[kMaxArenas] = {};  // the enabled ones, smallest slots first
  std::uint32_t enabled_count = 0;
  std::uint32_t slot_total = 0;  // numbers at or above belong to no arena
  WriterLink* links[kMaxLinks] = {};
  std::uint32_t link_limit = 0;  // links at or above are null
  std::uint64_t next_sequence = 1;
  std::uint64_t wanted_bytes = 0;  // of the allocate() that found no slot
  std::int64_t clock_ns = 0;  // when it was read last
  std::uint32_t since_clock = 0, clock_every = 1;  // frames
  std::int64_t look_ns = kNever;     // when idle_arena() has something to look at
  std::int64_t patience_ns = kIdle_ns;
  std::int64_t retired_ns = 0;       // the last time; 0: never, or an arena that came since was counted
  bool leaving = false;              // an arena was retired, and somebody still has it
  bool wants_slot = false;
  bool ended = false;
  LinkState end_state = LinkState::open;
  WriterSlot slots[kMaxSlots];
  std::uint16_t order[kMaxSlots];  // of what a link gives again

  ~State();

  // Slots.
  WriterSlot* building_at(Slot) noexcept;  // null: not one that is being built
  Place place(std::uint32_t number) const noexcept;
  WriterArena* find(std::uint32_t id) noexcept;
  bool range_for(std::uint32_t slot_count, std::uint32_t* first) const noexcept;  // the lowest numbers that nobody has
  WriterArena* arena_with_room(std::uint64_t payload_bytes, bool* fits_somewhere) noexcept;
  void put_free(std::uint32_t number) noexcept;
  static void map_pages(WriterSlot&, std::byte* payload, std::uint64_t bytes) noexcept;  // once
  void drop_reference(std::uint32_t number) noexcept;
  std::int64_t sent_ns() noexcept;

  // One link.
  void push(WriterLink&, std::uint32_t number, std::uint16_t extra_flags) noexcept;
  bool has_room(WriterLink&) noexcept;
  bool must_wait(WriterLink&) noexcept;  // a blocking link without room: send() says full
  bool load_read(WriterLink&) noexcept;             // false: what stands there is impossible; the link is failed
  void drop_entries(WriterLink&, std::uint64_t up_to) noexcept;
  bool make_room(WriterLink&) noexcept;  // by the link's policy; false: this frame is dropped, or the link is gone
  void collect(WriterLink&) noexcept;               // returned slots
  void take_back(WriterLink&, std::uint32_t word, std::uint64_t bits) noexcept;
  void attend(WriterLink&) noexcept;                // has the reader closed? is the end to be told?
  Status give_again(WriterLink&, std::uint64_t set_aside_sequence) noexcept;  // everything held, in order
  void forget(WriterLink&) noexcept;
  void fail(WriterLink&) noexcept;
  void tell_end(WriterLink&) noexcept;
  static LinkState reader_state(const WriterLink&) noexcept;
  static void wake_reader(WriterLink&, bool urgent) noexcept;  // after full_fence()

  template <class F>
  void each_open(F&& f) noexcept {
    for (std::uint32_t i = 0; i < link_limit; ++i)
      if (links[i] != nullptr && links[i]->open) f(*links[i]);
  }
};

}  // namespace hawse::plane
