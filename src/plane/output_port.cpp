// SPDX-License-Identifier: Apache-2.0
//
// The writer of one output port: arenas and slots, and the calls that span all links. What happens on one link is in
// output_links.cpp.
#include <sys/mman.h>

#include "plane/output_state.hpp"

namespace hawse::plane {
namespace {

// Of a large payload the hottest slot saves more than the look at the links' cursors costs; a small one is hot anyway.
constexpr std::uint64_t kWorthCollectingFor = 4096;

// Reading the clock costs a tenth of a fast frame's whole way, on both sides.
constexpr std::int64_t kFastGap_ns = 1000;
constexpr std::uint32_t kFastClockEvery = 32;

constexpr std::int64_t kLongestPatience_ns = 64'000'000'000;

// What a system call for all pages of a new slot saves: a fault for each of them as it is written (1 MiB: 200 instead of 400 us).
constexpr std::uint64_t kWorthMapping = 65536, kPageBytes = 4096;
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, from Linux 5.14 on; else the faults are taken

constexpr std::int64_t min_of(std::int64_t a, std::int64_t b) noexcept { return a < b ? a : b; }

}  // namespace

OutputPort::State::~State() {
  for (std::uint32_t i = 0; i < link_limit; ++i) destroy_mapped(links[i]);
}

WriterSlot* OutputPort::State::building_at(Slot slot) noexcept {
  return slot.number < slot_total && slots[slot.number].state == SlotState::building ? &slots[slot.number] : nullptr;
}

Place OutputPort::State::place(std::uint32_t number) const noexcept {
  const WriterArena& arena = arenas[slots[number].arena];
  return {static_cast<std::uint16_t>(arena.id), static_cast<std::uint16_t>(number), number - arena.first};
}

// The smallest that fits; then larger ones, but no more than four times as large: a small frame must not starve the large.
WriterArena* OutputPort::State::arena_with_room(std::uint64_t payload_bytes, bool* fits_somewhere) noexcept {
  std::uint64_t limit = 0;
  for (std::uint32_t i = 0; i < enabled_count; ++i) {
    WriterArena& arena = arenas[by_size[i]];
    if (arena.slot_bytes < payload_bytes) continue;
    *fits_somewhere = true;
    if (limit == 0) limit = 4 * arena.slot_bytes;
    if (arena.slot_bytes > limit) break;
    if (arena.free_count > 0) return &arena;
  }
  return nullptr;
}

void OutputPort::State::put_free(std::uint32_t number) noexcept {
  WriterArena& arena = arenas[slots[number].arena];
  slots[number].state = SlotState::free;
  slots[number].next_free = arena.free_head;
  arena.free_head = static_cast<std::uint16_t>(number);
  ++arena.free_count;
}

void OutputPort::State::drop_reference(std::uint32_t number) noexcept {
  if (--slots[number].references == 0) put_free(number);
}

std::int64_t OutputPort::State::sent_ns() noexcept {
  if (++since_clock < clock_every) return 0;
  const std::int64_t now_ns = monotonic_ns();
  clock_every = now_ns - clock_ns < kFastGap_ns * since_clock ? kFastClockEvery : 1;
  clock_ns = now_ns;
  since_clock = 0;
  return now_ns;
}

void OutputPort::State::map_pages(WriterSlot& slot, std::byte* payload, std::uint64_t bytes) noexcept {
  const auto pages = static_cast<std::uint32_t>((bytes + kPageBytes - 1) / kPageBytes);
  if (pages <= slot.pages) return;
  const std::uintptr_t before = reinterpret_cast<std::uintptr_t>(payload) % kPageBytes;
  ::madvise(payload - before, before + bytes, kPopulateWrite);
  slot.pages = pages;
}

WriterArena* OutputPort::State::find(std::uint32_t id) noexcept {
  for (std::uint32_t i = 0; i < arena_count; ++i)
    if (arenas[i].there() && arenas[i].id == id) return &arenas[i];
  return nullptr;
}

bool OutputPort::State::range_for(std::uint32_t slot_count, std::uint32_t* first) const noexcept {
  const auto is_free = [&](std::uint32_t from) {
    if (slot_count > kMaxSlots - from) return false;
    for (std::uint32_t i = 0; i < arena_count; ++i)
      if (arenas[i].there() && arenas[i].first < from + slot_count && from < arenas[i].first + arenas[i].slot_count) return false;
    return true;
  };
  std::uint32_t best = is_free(0) ? 0 : kMaxSlots;
  for (std::uint32_t i = 0; i < arena_count; ++i)
    if (const std::uint32_t end = arenas[i].first + arenas[i].slot_count; arenas[i].there() && end < best && is_free(end)) best = end;
  *first = best;
  return best != kMaxSlots;
}

OutputPort::OutputPort() noexcept : state_(make_mapped<State>()) {}
OutputPort::~OutputPort() { destroy_mapped(state_); }

void OutputPort::set_next_sequence(std::uint64_t sequence) noexcept {
  if (state_ != nullptr && sequence > 0) state_->next_sequence = sequence;
}

Status OutputPort::add_arena(int fd, std::uint32_t id, std::uint64_t slot_bytes, std::uint32_t slot_count) noexcept {
  if (state_ == nullptr) return Status::system;
  std::uint32_t at = 0, first = 0;
  while (at < kMaxArenas && state_->arenas[at].there()) ++at;
  if (!arena_shape_is_valid(id, slot_bytes, slot_count) || at == kMaxArenas || state_->find(id) != nullptr || !state_->range_for(slot_count, &first))
    return Status::limit;
  WriterArena& arena = state_->arenas[at];
  if (const Status status = Mapping::map(fd, slot_bytes * slot_count, false, &arena.mapping); status != Status::ok) return status;
  arena.id = id;
  arena.slot_bytes = slot_bytes;
  arena.slot_count = slot_count;
  arena.first = first;
  for (std::uint32_t number = arena.first + slot_count; number-- > arena.first;) {  // slot 0 is the first to be given out
    state_->slots[number].arena = static_cast<std::uint8_t>(at);
    state_->slots[number].pages = 0;
    state_->put_free(number);
  }
  if (first + slot_count > state_->slot_total) state_->slot_total = first + slot_count;
  if (at == state_->arena_count) ++state_->arena_count;
  return Status::ok;
}

Status OutputPort::enable_arena(std::uint32_t id) noexcept {
  if (state_ == nullptr) return Status::system;
  WriterArena* const arena = state_->find(id);
  if (arena == nullptr || arena->enabled) return Status::limit;
  arena->enabled = true;
  arena->frames_seen = ~std::uint64_t{0};  // it has just been asked for: not idle at the first look
  std::uint32_t at = state_->enabled_count++;
  for (; at > 0 && state_->arenas[state_->by_size[at - 1]].slot_bytes > arena->slot_bytes; --at) state_->by_size[at] = state_->by_size[at - 1];
  state_->by_size[at] = static_cast<std::uint8_t>(arena - state_->arenas);
  look_again();
  return Status::ok;
}

Status OutputPort::retire_arena(std::uint32_t id) noexcept {
  if (state_ == nullptr) return Status::system;
  State& state = *state_;
  WriterArena* const arena = state.find(id);
  if (arena == nullptr || !arena->enabled) return Status::limit;
  if (arena->free_count != arena->slot_count) pump();
  if (arena->free_count != arena->slot_count || arena->pins != 0) return Status::invalid;
  std::uint32_t at = 0;
  while (&state.arenas[state.by_size[at]] != arena) ++at;
  for (--state.enabled_count; at < state.enabled_count; ++at) state.by_size[at] = state.by_size[at + 1];
  arena->~WriterArena();
  new (arena) WriterArena;
  while (state.arena_count > 0 && !state.arenas[state.arena_count - 1].there()) --state.arena_count;
  state.slot_total = 0;
  for (std::uint32_t i = 0; i < state.arena_count; ++i)
    if (const std::uint32_t end = state.arenas[i].first + state.arenas[i].slot_count; end > state.slot_total) state.slot_total = end;
  state.leaving = true;
  state.look_ns = kNever;
  return Status::ok;
}

void OutputPort::arena_gone() noexcept {
  if (state_ == nullptr) return;
  state_->leaving = false;
  look_again();
}

void OutputPort::look_again() noexcept {
  if (state_->enabled_count > 1 && !state_->leaving) state_->look_ns = 0;
}

std::int64_t OutputPort::look_ns() const noexcept { return state_ == nullptr ? kNever : state_->look_ns; }
bool OutputPort::look_is_due() const noexcept { return state_ != nullptr && state_->clock_ns >= state_->look_ns; }

// Of those that are idle the one with the fewest frames goes first. The one with the most of all stays, unless the stream has gone on to another. One
// whose slots are held is looked at again and again, but ever less often.
bool OutputPort::idle_arena(std::int64_t now_ns, std::uint32_t* id) noexcept {
  if (state_ == nullptr || now_ns < state_->look_ns) return false;
  State& state = *state_;
  state.look_ns = kNever;
  if (state.enabled_count < 2) return false;
  pump();
  const WriterArena *found = nullptr, *most = nullptr;
  bool any_in_use = false;
  for (std::uint32_t i = 0; i < state.enabled_count; ++i) {
    WriterArena& arena = state.arenas[state.by_size[i]];
    if (arena.frames_seen == ~std::uint64_t{0} && state.retired_ns != 0) {  // it came after another went: too soon?
      state.patience_ns = now_ns - state.retired_ns < 4 * state.patience_ns ? min_of(2 * state.patience_ns, kLongestPatience_ns) : kIdle_ns;
      state.retired_ns = 0;
    }
    if (arena.frames != arena.frames_seen) arena.idle_from_ns = now_ns;
    arena.frames_seen = arena.frames;
    if (most == nullptr || arena.frames > most->frames) most = &arena;
    const std::int64_t idle_ns = now_ns - arena.idle_from_ns;
    if (idle_ns < state.patience_ns) {
      any_in_use = true;
      state.look_ns = min_of(state.look_ns, now_ns + state.patience_ns - idle_ns);
    } else if (arena.free_count != arena.slot_count || arena.pins != 0) {
      state.look_ns = min_of(state.look_ns, now_ns + min_of(idle_ns, kLongestPatience_ns));
    } else if (found == nullptr || arena.frames < found->frames) {
      found = &arena;
    }
  }
  if (found == nullptr || (found == most && !any_in_use)) return false;
  state.retired_ns = now_ns;
  *id = found->id;
  return true;
}

void OutputPort::pin(Slot slot) noexcept { ++state_->arenas[state_->slots[slot.number].arena].pins; }
void OutputPort::unpin(Slot slot) noexcept { --state_->arenas[state_->slots[slot.number].arena].pins; }

Status OutputPort::allocate(std::uint64_t payload_bytes, Building* out) noexcept {
  if (state_ == nullptr) return Status::system;
  bool fits = false;
  if (payload_bytes >= kWorthCollectingFor) state_->each_open([this](WriterLink& link) { state_->collect(link); });
  WriterArena* arena = state_->arena_with_room(payload_bytes, &fits);
  if (arena == nullptr && fits) {
    pump();
    arena = state_->arena_with_room(payload_bytes, &fits);
  }
  state_->wants_slot = arena == nullptr && fits;
  state_->wanted_bytes = payload_bytes;
  if (arena == nullptr) return fits ? Status::no_slot : Status::too_large;

  const std::uint32_t number = arena->free_head;
  WriterSlot& slot = state_->slots[number];
  arena->free_head = slot.next_free;
  --arena->free_count;
  ++arena->frames;
  slot.state = SlotState::building;
  slot.header = {};  // nothing of the slot's last frame
  *out = {&slot.header, arena->mapping.data() + arena->slot_bytes * (number - arena->first), arena->slot_bytes, {number}};
  if (payload_bytes >= kWorthMapping) state_->map_pages(slot, out->payload, payload_bytes);
  return Status::ok;
}

void OutputPort::abandon(const Building& building) noexcept {
  if (state_ != nullptr && state_->building_at(building.slot) != nullptr) state_->put_free(building.slot.number);
}

bool OutputPort::can_send() noexcept {
  if (state_ == nullptr) return false;
  pump();
  bool can = true;
  state_->each_open([&](WriterLink& link) { can = !state_->must_wait(link) && can; });
  bool fits = false;
  return can && (!state_->wants_slot || state_->arena_with_room(state_->wanted_bytes, &fits) != nullptr);
}

Status OutputPort::send(const Building& building, std::uint32_t copies) noexcept {
  if (state_ == nullptr) return Status::system;
  State& state = *state_;
  if (state.ended) return Status::ended;
  const std::uint32_t number = building.slot.number;
  WriterSlot* slot = state.building_at(building.slot);
  if (slot == nullptr) return Status::invalid;
  FrameHeader& header = slot->header;
  header.flags = static_cast<std::uint16_t>(header.flags & ~kFlagGivenAgain);
  header.sequence = state.next_sequence;
  if (!valid(header, state.arenas[slot->arena].slot_bytes)) return Status::invalid;

  bool full = false;
  state.each_open([&](WriterLink& link) {
    state.attend(link);
    if (link.open && state.must_wait(link)) full = true;
  });
  if (full) return Status::full;

  header.sent_ns = state.sent_ns();
  ++state.next_sequence;
  slot->state = SlotState::sent;
  slot->references = 1;  // our own, until every link has been asked
  for (std::uint32_t i = 0; i < state.link_limit; ++i) {
    WriterLink* const link = state.links[i];
    if (link == nullptr) continue;
    if (link->open && state.make_room(*link)) {
      set_bit(link->held, number);
      ++slot->references;
      state.push(*link, number, 0);
      add(link->memory.writer->copies, copies);
    } else if (link->lost) {
      add(link->memory.writer->dropped, 1);
    }
  }
  full_fence();
  state.each_open([](WriterLink& link) { State::wake_reader(link, false); });
  state.drop_reference(number);
  return Status::ok;
}

void OutputPort::flush(std::uint64_t id) noexcept {
  if (state_ == nullptr) return;
  state_->each_open([id](WriterLink& link) {
    LinkHeader& header = *link.memory.header;
    link.void_until = link.written;
    header.void_until.store(link.void_until, std::memory_order_relaxed);
    header.flush_id.store(id, std::memory_order_release);  // [link.flush_id]
    full_fence();
    State::wake_reader(link, true);  // it may wait for something else than frames
  });
}

void OutputPort::count_flushed() noexcept {
  if (state_ != nullptr) state_->each_open([](WriterLink& link) { add(link.memory.writer->flushed, 1); });
}

void OutputPort::pump() noexcept {
  if (state_ == nullptr) return;
  state_->each_open([this](WriterLink& link) {
    state_->collect(link);
    if (link.open) state_->attend(link);
  });
}

void OutputPort::end(LinkState how) noexcept {
  if (state_ == nullptr || state_->ended || how == LinkState::open) return;
  state_->ended = true;
  state_->end_state = how;
  pump();
}

bool OutputPort::has_ended() const noexcept { return state_ != nullptr && state_->ended; }

bool OutputPort::drained() noexcept {
  if (state_ == nullptr) return true;
  pump();
  bool all = true;
  state_->each_open([&](WriterLink& link) {
    if (state_->load_read(link) && link.read != link.written) all = false;
  });
  return all;
}

void OutputPort::prepare_sleep(SleepSet& set) noexcept {
  if (state_ == nullptr) return;
  state_->each_open([&set](WriterLink& link) { set.add(link.memory.header->writer_sleeps, false); });
}

void OutputPort::cancel_sleep() noexcept {
  if (state_ == nullptr) return;
  state_->each_open([](WriterLink& link) { link.memory.header->writer_sleeps.store(0, std::memory_order_relaxed); });
}

std::uint64_t OutputPort::slot_count() const noexcept {
  std::uint64_t count = 0;
  for (std::uint32_t i = 0; state_ != nullptr && i < state_->enabled_count; ++i) count += state_->arenas[state_->by_size[i]].slot_count;
  return count;
}

std::uint64_t OutputPort::largest_slot_bytes() const noexcept {
  return state_ == nullptr || state_->enabled_count == 0 ? 0 : state_->arenas[state_->by_size[state_->enabled_count - 1]].slot_bytes;
}

std::uint64_t OutputPort::slots_in_use() const noexcept {
  std::uint64_t count = 0;
  for (std::uint32_t i = 0; state_ != nullptr && i < state_->arena_count; ++i) count += state_->arenas[i].slot_count - state_->arenas[i].free_count;
  return count;
}

std::uint64_t OutputPort::next_sequence() const noexcept { return state_ == nullptr ? 0 : state_->next_sequence; }

}  // namespace hawse::plane
