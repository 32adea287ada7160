// SPDX-License-Identifier: Apache-2.0
//
// The writer's side of its links: giving a frame, making room by policy, taking slots back, giving again what a dead
// reader held. Every value that comes out of a link is checked against the port's own tables before it is believed; a
// link with an impossible value is failed, its slots are taken back, and the other links don't notice.
#include <algorithm>

#include "plane/output_state.hpp"

namespace hawse::plane {

namespace {

std::uint64_t header_word(const FrameHeader& header, std::size_t i) noexcept {
  std::uint64_t word;
  __builtin_memcpy(&word, reinterpret_cast<const std::byte*>(&header) + 8 * i, 8);
  return word;
}

// The small fields one by one: they were stored one by one a moment ago, and a wider load would wait for all of them to reach
// the cache.
std::uint64_t first_word(const FrameHeader& header, std::uint16_t extra_flags) noexcept {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && offsetof(FrameHeader, format) == 4 && offsetof(FrameHeader, flags) == 6);
  return std::uint64_t{static_cast<std::uint8_t>(header.type)} | std::uint64_t{static_cast<std::uint8_t>(header.dtype)} << 8 |
         std::uint64_t{header.rank} << 16 | std::uint64_t{static_cast<std::uint16_t>(header.format)} << 32 |
         std::uint64_t{static_cast<std::uint16_t>(header.flags | extra_flags)} << 48;
}

}  // namespace

// The words are released one by one and acquired by the reader: on a dropping link it may be copying the entry that stood
// here, and if it has seen a word of ours, it must also see `read` moved.
void OutputPort::State::push(WriterLink& link, std::uint32_t number, std::uint16_t extra_flags) noexcept {
  const FrameHeader& header = slots[number].header;
  const std::uint64_t at = link.written & link.memory.ring_mask;
  Descriptor& descriptor = link.memory.descriptors[at];
#pragma GCC unroll 12
  for (std::size_t i = kHeaderWords; i-- > 1;) descriptor.header[i].store(header_word(header, i), std::memory_order_release);  // [descriptor.words]
  descriptor.header[0].store(first_word(header, extra_flags), std::memory_order_release);  // [descriptor.words]
  descriptor.place.store(packed(place(number)), std::memory_order_release);                 // [descriptor.words]
  link.ring[at] = {header.sequence, static_cast<std::uint16_t>(number)};
  WriterStats& stats = *link.memory.writer;
  stats.last_sequence.store(header.sequence, std::memory_order_relaxed);  // before anybody can see it: a replacement must not use the number again
  descriptor.stamp.store(++link.written, std::memory_order_release);      // [descriptor.stamp]
  stats.written.store(link.written, std::memory_order_relaxed);
  add(stats.frames, 1);
  add(stats.bytes, header.payload_bytes);
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
bool OutputPort::State::has_room(WriterLink& link) noexcept { return !link.is_full() || (load_read(link) && !link.is_full()); }

bool OutputPort::State::must_wait(WriterLink& link) noexcept {
  if (link.when_full != WhenFull::block) return false;
  const bool full = !has_room(link);
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
    const RingEntry& entry = link.ring[at & link.memory.ring_mask];
    if (!has_bit(link.held, entry.slot) || slots[entry.slot].header.sequence != entry.sequence) return fail(link);  // returned unread
    clear_bit(link.held, entry.slot);
    drop_reference(entry.slot);
    add(at < link.void_until ? link.memory.writer->flushed : link.memory.writer->dropped, 1);
  }
  link.read = up_to;
}

bool OutputPort::State::make_room(WriterLink& link) noexcept {
  if (link.when_full == WhenFull::block) return true;  // must_wait() saw to it
  if (link.when_full == WhenFull::drop_newest) {
    if (has_room(link)) return true;
    if (link.open) add(link.memory.writer->dropped, 1);
    return false;
  }
  const std::uint64_t unread_allowed = link.when_full == WhenFull::latest ? 0 : link.memory.queue - 1;
  while (link.open && load_read(link)) {
    if (link.written - link.read <= unread_allowed) return true;
    std::uint64_t seen = link.read;
    const std::uint64_t moved = link.written - unread_allowed;
    // [link.read] Whoever wins, reader or writer, owns what `read` passed over.
    if (link.memory.header->read.compare_exchange_strong(seen, moved, std::memory_order_acquire)) drop_entries(link, moved);
  }
  return false;
}

void OutputPort::State::take_back(WriterLink& link, std::uint32_t word, std::uint64_t bits) noexcept {
  link.held[word] &= ~bits;
  for (; bits != 0; bits &= bits - 1) drop_reference(word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
}

// Only words of slots that this link holds are looked at: others have no bit that we would believe.
void OutputPort::State::collect(WriterLink& link) noexcept {
  for (std::uint32_t word = 0; word * 64 < slot_total; ++word) {
    std::atomic<std::uint64_t>& returned = link.memory.header->returned[word];
    if (link.held[word] == 0 || returned.load(std::memory_order_relaxed) == 0) continue;  // [link.returned]
    const std::uint64_t bits = returned.exchange(0, std::memory_order_acquire);                         // [link.returned]
    if ((bits & ~link.held[word]) != 0) return fail(link);
    take_back(link, word, bits);
  }
}

LinkState OutputPort::State::reader_state(const WriterLink& link) noexcept {
  return static_cast<LinkState>(link.memory.header->reader_state.load(std::memory_order_acquire));  // [link.reader_state]
}

void OutputPort::State::attend(WriterLink& link) noexcept {
  const LinkState state = reader_state(link);
  if (state == LinkState::open) {
    if (ended) tell_end(link);
    return;
  }
  if (state == LinkState::failed && load_read(link)) {
    link.lost = true;
    add(link.memory.writer->dropped, link.written - link.read);
  }
  forget(link);
}

// The frames' order is their sequence; a link holds a slot for one frame at a time.
Status OutputPort::State::give_again(WriterLink& link, std::uint64_t set_aside_sequence) noexcept {
  std::uint32_t count = 0;
  for (std::uint32_t word = 0; word < kMaxSlots / 64; ++word)
    for (std::uint64_t bits = link.held[word]; bits != 0; bits &= bits - 1)
      order[count++] = static_cast<std::uint16_t>(word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
  if (count > link.memory.ring_slots()) return Status::limit;
  std::sort(order, order + count, [this](std::uint16_t a, std::uint16_t b) { return slots[a].header.sequence < slots[b].header.sequence; });
  for (std::uint32_t i = 0; i < count; ++i) {
    if (slots[order[i]].header.sequence == set_aside_sequence) {
      clear_bit(link.held, order[i]);
      drop_reference(order[i]);
      add(link.memory.writer->set_aside, 1);
      continue;
    }
    push(link, order[i], kFlagGivenAgain);
    add(link.memory.writer->given_again, 1);
  }
  link.memory.header->adopted.store(1, std::memory_order_release);  // [link.adopted]
  full_fence();
  wake_reader(link, false);
  return Status::ok;
}

void OutputPort::State::forget(WriterLink& link) noexcept {
  link.open = false;
  for (std::uint32_t word = 0; word < kMaxSlots / 64; ++word) take_back(link, word, link.held[word]);
}

void OutputPort::State::fail(WriterLink& link) noexcept {
  link.memory.header->writer_state.store(static_cast<std::uint32_t>(LinkState::failed), std::memory_order_release);  // [link.writer_state]
  full_fence();
  wake_reader(link, true);
  forget(link);
  link.lost = true;
}

void OutputPort::State::tell_end(WriterLink& link) noexcept {
  if (link.end_is_told) return;
  link.end_is_told = true;
  link.memory.header->writer_state.store(static_cast<std::uint32_t>(end_state), std::memory_order_release);  // [link.writer_state]
  full_fence();
  wake_reader(link, true);
}

void OutputPort::State::wake_reader(WriterLink& link, bool urgent) noexcept { wake_peer(link.memory.header->reader_sleeps, link.bell, urgent); }

Status OutputPort::set_link(std::uint32_t index, int link_fd, int reader_doorbell_fd, std::uint32_t queue, WhenFull when_full,
                            std::uint64_t set_aside_sequence) noexcept {
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
    place = make_mapped<WriterLink>();
    if (place == nullptr) return Status::system;
    if (index >= state_->link_limit) state_->link_limit = index + 1;
  }
  WriterLink& link = *place;
  if (link.open) state_->collect(link);  // what the dead reader still returned is not given again
  if (link.open && state_->load_read(link) && link.read < link.void_until) state_->drop_entries(link, link.void_until);
  if (link.open && State::reader_state(link) != LinkState::open) state_->forget(link);
  link.mapping = static_cast<Mapping&&>(mapping);
  link.bell = static_cast<Bell&&>(bell);
  link.memory = memory;
  link.when_full = when_full;
  link.open = true;
  link.lost = link.end_is_told = false;
  link.written = link.read = link.void_until = 0;
  link.blocked_since_ns = 0;
  const Status given = state_->give_again(link, set_aside_sequence);
  state_->attend(link);
  return given;
}

}  // namespace hawse::plane
