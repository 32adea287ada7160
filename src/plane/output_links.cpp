// SPDX-License-Identifier: Apache-2.0
//
// The writer's side of its links: giving a frame, making room by policy, taking slots back, giving again what a dead
// reader held. Every value that comes out of a link is checked against the port's own tables before it is believed; a
// link with an impossible value is failed, its slots are taken back, and the other links don't notice.
#include <algorithm>

#include "plane/output_state.hpp"

namespace hawse::plane {

// The entry's words are released one by one and acquired by the reader: on a dropping link it may be copying the entry
// that stood here, and if it has seen a word of ours, it must also see `read` moved.
void OutputPort::State::push(WriterLink& link, std::uint32_t number, std::uint32_t extra_flags) noexcept {
  const WriterSlot& slot = slots[number];
  const std::uint64_t at = link.written & link.memory.ring_mask;
  Descriptor& descriptor = link.memory.descriptors[at];
  descriptor.place.store(place(number), std::memory_order_release);  // [descriptor.words], and the four below
  descriptor.sequence.store(slot.sequence, std::memory_order_release);
  descriptor.payload_bytes.store(slot.payload_bytes, std::memory_order_release);
  descriptor.sent_ns.store(static_cast<std::uint64_t>(slot.sent_ns), std::memory_order_release);
  descriptor.flags.store(slot.flags | extra_flags, std::memory_order_release);
  link.tables->ring[at] = {slot.sequence, static_cast<std::uint16_t>(number)};
  ++link.written;
  link.memory.header->written.store(link.written, std::memory_order_release);  // [link.written]
  WriterStats& stats = *link.memory.writer;
  add(stats.frames, 1);
  add(stats.bytes, slot.payload_bytes);
  stats.last_sequence.store(slot.sequence, std::memory_order_relaxed);
}

bool OutputPort::State::load_read(WriterLink& link) noexcept {
  const std::uint64_t read = link.memory.header->read.load(std::memory_order_acquire);  // [link.read]
  if (read < link.read || read > link.written) {
    fail(link);
    return false;
  }
  link.read = read;
  return true;
}

// The shared cursor is looked at only where our copy of it says that the ring is full.
bool OutputPort::State::has_room(WriterLink& link) noexcept {
  if (link.written - link.read < link.memory.queue) return true;
  return load_read(link) && link.written - link.read < link.memory.queue;
}

bool OutputPort::State::must_wait(WriterLink& link) noexcept {
  if (link.when_full != WhenFull::block) return false;
  const bool full = link.pending_count() > 0 || !has_room(link);
  if (!link.open) return false;  // it was failed just now
  if (full && link.blocked_since_ns == 0) link.blocked_since_ns = monotonic_ns();
  if (!full && link.blocked_since_ns != 0) {
    add(link.memory.writer->blocked_ns, static_cast<std::uint64_t>(monotonic_ns() - link.blocked_since_ns));
    link.blocked_since_ns = 0;
  }
  return full;
}

// Entries from link.read to up_to are ours again: the writer moved `read` over them.
void OutputPort::State::drop_entries(WriterLink& link, std::uint64_t up_to) noexcept {
  for (std::uint64_t at = link.read; at != up_to; ++at) {
    const RingEntry& entry = link.tables->ring[at & link.memory.ring_mask];
    if (!has_bit(link.tables->held, entry.slot) || slots[entry.slot].sequence != entry.sequence) return fail(link);  // returned unread
    clear_bit(link.tables->held, entry.slot);
    drop_reference(entry.slot);
    add(link.memory.writer->dropped, 1);
  }
  link.read = up_to;
}

void OutputPort::State::drop_pending(WriterLink& link) noexcept {
  for (; link.pending_next != link.pending_end; ++link.pending_next) {
    const std::uint32_t number = link.tables->pending[link.pending_next];
    clear_bit(link.tables->held, number);
    drop_reference(number);
    add(link.memory.writer->dropped, 1);
  }
}

bool OutputPort::State::make_room(WriterLink& link) noexcept {
  if (link.when_full == WhenFull::block) return true;  // must_wait() saw to it
  if (link.when_full == WhenFull::drop_newest) {
    if (link.pending_count() == 0 && has_room(link)) return true;
    if (link.open) add(link.memory.writer->dropped, 1);
    return false;
  }
  if (link.when_full == WhenFull::latest) drop_pending(link);
  while (link.open) {
    give_pending(link);
    const std::uint64_t unread_allowed = link.when_full == WhenFull::latest ? 0 : link.memory.queue - 1;
    if (!load_read(link)) return false;
    if (link.pending_count() == 0 && link.written - link.read <= unread_allowed) return true;
    if (link.written == link.read) continue;
    std::uint64_t seen = link.read;
    const std::uint64_t moved = link.when_full == WhenFull::latest ? link.written : seen + 1;
    // [link.read] Whoever wins, reader or writer, owns what `read` passed over.
    if (link.memory.header->read.compare_exchange_strong(seen, moved, std::memory_order_acq_rel, std::memory_order_acquire)) drop_entries(link, moved);
  }
  return false;
}

void OutputPort::State::give_pending(WriterLink& link) noexcept {
  bool given = false;
  while (link.pending_count() > 0 && has_room(link)) {
    push(link, link.tables->pending[link.pending_next++], kFlagGivenAgain);
    add(link.memory.writer->given_again, 1);
    given = true;
  }
  if (!given) return;
  full_fence();
  ring_if_asleep(link);
}

void OutputPort::State::collect(WriterLink& link) noexcept {
  const std::uint64_t returned = link.memory.header->returned.load(std::memory_order_acquire);  // [link.returned]
  if (returned == link.reclaimed) return;
  if (returned - link.reclaimed > kMaxSlots) return fail(link);
  for (; link.reclaimed != returned; ++link.reclaimed) {
    const std::uint64_t place = link.memory.returned[link.reclaimed % kMaxSlots].place.load(std::memory_order_relaxed);
    std::uint32_t number = 0;
    if (slot_at(static_cast<std::uint32_t>(place >> 32), static_cast<std::uint32_t>(place), &number) == nullptr || !has_bit(link.tables->held, number))
      return fail(link);
    clear_bit(link.tables->held, number);
    drop_reference(number);
  }
  link.memory.header->reclaimed.store(link.reclaimed, std::memory_order_release);  // [link.reclaimed]
}

void OutputPort::State::attend(WriterLink& link) noexcept {
  const std::uint32_t state = link.memory.header->reader_state.load(std::memory_order_acquire);  // [link.reader_state]
  if (state != static_cast<std::uint32_t>(LinkState::open)) return forget(link);
  if (link.pending_count() > 0) give_pending(link);
  if (link.open && ended && link.pending_count() == 0) tell_end(link);
}

// The frames' order is their sequence; a link holds a slot for one frame at a time.
void OutputPort::State::hold_all_again(WriterLink& link) noexcept {
  std::uint32_t count = 0;
  for (std::uint32_t word = 0; word < kMaxSlots / 64; ++word)
    for (std::uint64_t bits = link.tables->held[word]; bits != 0; bits &= bits - 1)
      link.tables->pending[count++] = static_cast<std::uint16_t>(word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
  std::sort(link.tables->pending, link.tables->pending + count,
            [this](std::uint16_t a, std::uint16_t b) { return slots[a].sequence < slots[b].sequence; });
  link.pending_next = 0;
  link.pending_end = count;
}

void OutputPort::State::forget(WriterLink& link) noexcept {
  link.open = false;
  link.pending_next = link.pending_end = 0;
  for (std::uint32_t word = 0; word < kMaxSlots / 64; ++word) {
    std::uint64_t bits = link.tables->held[word];
    link.tables->held[word] = 0;
    for (; bits != 0; bits &= bits - 1) drop_reference(word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
  }
}

void OutputPort::State::fail(WriterLink& link) noexcept {
  link.memory.header->writer_state.store(static_cast<std::uint32_t>(LinkState::failed), std::memory_order_release);  // [link.writer_state]
  link.bell.ring();
  forget(link);
}

void OutputPort::State::tell_end(WriterLink& link) noexcept {
  if (link.end_is_told) return;
  link.end_is_told = true;
  link.memory.header->writer_state.store(static_cast<std::uint32_t>(end_state), std::memory_order_release);  // [link.writer_state]
  link.bell.ring();
}

void OutputPort::State::ring_if_asleep(WriterLink& link) noexcept {
  if (link.memory.header->reader_sleeps.load(std::memory_order_relaxed) != 0) link.bell.ring();
}

Status OutputPort::set_link(std::uint32_t index, int link_fd, int reader_doorbell_fd, std::uint32_t queue, WhenFull when_full) noexcept {
  if (state_ == nullptr) return Status::system;
  if (index >= kMaxLinks) return Status::limit;
  Mapping mapping;
  LinkMemory memory;
  Bell bell;
  if (const Status status = open_link(link_fd, &mapping, &memory); status != Status::ok) return status;
  if (const Status status = Bell::map(reader_doorbell_fd, &bell); status != Status::ok) return status;
  const bool shared = when_full == WhenFull::drop_oldest || when_full == WhenFull::latest;
  if (memory.queue != queue || memory.shared_read != shared) return Status::corrupt;

  WriterLink*& place = state_->links[index];
  if (place == nullptr) {
    WriterLink* link = make_mapped<WriterLink>();
    if (link == nullptr) return Status::system;
    link->tables = static_cast<LinkTables*>(map_zeroed(sizeof(LinkTables)));
    if (link->tables == nullptr) {
      destroy_mapped(link);
      return Status::system;
    }
    place = link;
    if (index >= state_->link_limit) state_->link_limit = index + 1;
  }
  WriterLink& link = *place;
  if (link.open) state_->collect(link);  // what the dead reader still returned is not given again
  if (link.open && link.memory.header->reader_state.load(std::memory_order_acquire) != 0) state_->forget(link);  // [link.reader_state]
  state_->hold_all_again(link);
  link.mapping = static_cast<Mapping&&>(mapping);
  link.bell = static_cast<Bell&&>(bell);
  link.memory = memory;
  link.when_full = when_full;
  link.open = true;
  link.end_is_told = false;
  link.written = link.read = link.reclaimed = 0;
  link.blocked_since_ns = 0;
  state_->attend(link);
  return Status::ok;
}

}  // namespace hawse::plane
