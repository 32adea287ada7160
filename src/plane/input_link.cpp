// SPDX-License-Identifier: Apache-2.0
//
// The reader of one edge.
//
// An edge outlives its writers: each connect() adds a Connection, and the reader goes on to the next one once the one
// before is read to its end. A Connection owns its mappings and is destroyed when it has been left and nothing of it is
// leased.
//
// Threading. Everything belongs to the node's thread, but release(), which comes from any: what it touches of a Connection is
// atomic or guarded by `lock`, as are the list of connections and the end of one.
#include <string.h>

#include <algorithm>

#include "plane/internal.hpp"

namespace hawse::plane {
namespace {

constexpr std::uint32_t kMaxConnections = 16;
// How often a copy may turn out stale because the writer dropped the entry meanwhile. An honest writer makes a few at most.
constexpr int kMaxTries = 64;
constexpr std::uint64_t kSmallPayload = 4096;  // of a larger one the first line doesn't matter
// What we note of a leased slot: the frame's position + 1, and above it its arena's place in the table + 1.
constexpr std::uint32_t kPositionBits = 58;
constexpr std::uint64_t kPositionMask = (std::uint64_t{1} << kPositionBits) - 1;
static_assert(kMaxArenas + 1 < 1u << (64 - kPositionBits));

struct ReaderArena {
  Mapping mapping;
  std::uint64_t slot_bytes = 0;
  std::uint32_t id = 0;
  std::uint32_t slot_count = 0;  // 0: none is here
};

struct Connection {
  std::uint64_t epoch = 0;
  Mapping mapping;
  LinkMemory memory;
  Bell bell;  // the writer's
  ReaderArena arenas[kMaxArenas];
  std::uint32_t arena_count = 0;     // entries at or above have none; below they may
  std::uint32_t slot_total = 0;
  std::uint32_t newest_arena = ~0u;  // the id that came last: they count up, in 16 bits; more than those: none came yet
  std::uint64_t read = 0;            // our own cursor
  std::uint64_t flush_id = 0;        // heard of
  std::uint64_t again_next = 0, again_count = 0;
  std::uint64_t set_aside_sequence = 0;
  std::uint64_t taken = 0;           // frames leased so far
  std::uint64_t unrecorded = 0;      // frames since the last that noted when it was sent
  std::uintptr_t last_payload = 0;
  std::uintptr_t guess = 0;          // where the next payload is, if slots are given out in steps: only fetched ahead
  std::atomic<std::uint64_t> released{0};  // of them; written under the lock
  Status verdict = Status::ok;       // corrupt or ended: closed, for good
  bool left = false;                 // the reader has gone on to the next one
  bool overtaken = false;            // by a flush of a later writer: all of it is void
  bool adopted = false;              // seen once: before, nothing is taken, for the link that this one replaces may be the one to read on
  bool lacks_arena = false;          // the frame at `read` waits for add_arena()

  std::uint64_t again[kMaxRing];     // ascending positions of what a dead reader had not returned
  union {                            // not constructed: it is zero
    std::atomic<std::uint64_t> positions_1[kMaxSlots];  // by slot number: position + 1 of the frame leased there (and its arena), 0: none
  };

  Connection() noexcept {}

  ReaderArena* find(std::uint32_t id) noexcept {
    for (std::uint32_t i = 0; i < arena_count; ++i)
      if (arenas[i].id == id && arenas[i].slot_count != 0) return &arenas[i];
    return nullptr;
  }
  // It isn't here: was it, or did a later one come already? Else it is still on its way.
  bool is_retired(std::uint16_t id) const noexcept { return newest_arena <= 0xffff && static_cast<std::int16_t>(id - newest_arena) <= 0; }
  bool has_leased_in(const ReaderArena& arena) const noexcept {
    const auto entry = static_cast<std::uint64_t>(&arena - arenas) + 1;
    for (const auto& position : positions_1)
      if (position.load(std::memory_order_acquire) >> kPositionBits == entry) return true;
    return false;
  }

  // After a sequentially consistent locked operation, which is a full fence.
  void wake_writer() noexcept { wake_peer(memory.header->writer_sleeps, bell, false); }

  void close(LinkState state, Status why) noexcept {
    if (verdict != Status::ok) return;
    verdict = why;
    memory.header->reader_state.store(static_cast<std::uint32_t>(state), std::memory_order_release);  // [link.reader_state]
    full_fence();
    wake_peer(memory.header->writer_sleeps, bell, true);
  }

  std::uint64_t leased() const noexcept { return taken - released.load(std::memory_order_acquire); }
  void adopt(std::uint64_t set_aside) noexcept;
  Status look(std::uint64_t* at) noexcept;
  bool moved_on(std::uint64_t at) const noexcept;
  Place copy(std::uint64_t at, FrameHeader* header) const noexcept;
  bool take(std::uint64_t at, std::uint16_t number, const ReaderArena& arena) noexcept;
  Status receive(SpinLock&, Received*) noexcept;
  Status reject() noexcept;
  void record_latency(std::int64_t sent_ns) noexcept;
  void give_back(std::uint32_t number) noexcept;
};

// What a dead reader left: its cursor and, where nobody else can know it, what it held. It stores no more, so nothing is ordered here.
void Connection::adopt(std::uint64_t set_aside) noexcept {
  set_aside_sequence = set_aside;
  read = memory.header->read.load(std::memory_order_relaxed);  // [link.read]
  for (std::uint64_t i = 0; i < memory.ring_slots(); ++i) {
    const std::uint64_t position_1 = memory.leases[i].position_1.load(std::memory_order_relaxed);
    if (position_1 == 0 || position_1 > read || ((position_1 - 1) & memory.ring_mask) != i) continue;
    if (memory.descriptors[i].stamp.load(std::memory_order_relaxed) != position_1) continue;  // [descriptor.stamp] overwritten since
    again[again_count++] = position_1 - 1;
  }
  std::sort(again, again + again_count);
}

// Where the next frame stands, or why there is none. The stamp is looked at first: whoever sees it also sees what its writer
// stored before, a flush or a moved `read`.
Status Connection::look(std::uint64_t* at) noexcept {
  if (!adopted) {
    const bool open = memory.header->writer_state.load(std::memory_order_acquire) == static_cast<std::uint32_t>(LinkState::open);  // [link.writer_state]
    adopted = memory.header->adopted.load(std::memory_order_relaxed) != 0;                                                         // [link.adopted]
    if (!adopted) return open ? Status::empty : Status::ended;
  }
  for (int tries = 0; tries < kMaxTries; ++tries) {
    const std::uint64_t from = memory.shared_read ? memory.header->read.load(std::memory_order_relaxed) : read;  // [link.read]
    if (from < read) return Status::corrupt;
    const Descriptor& descriptor = memory.descriptors[from & memory.ring_mask];
    __builtin_prefetch(&descriptor.header[kHeaderWords - 1]);
    __builtin_prefetch(reinterpret_cast<const void*>(guess));
    const std::uint64_t stamp = descriptor.stamp.load(std::memory_order_acquire);  // [descriptor.stamp]
    if (memory.header->flush_id.load(std::memory_order_relaxed) != flush_id) return Status::flushed;  // [link.flush_id]
    if (again_next < again_count) return *at = again[again_next], Status::ok;
    if (from != read) lacks_arena = false;
    read = *at = from;
    if (stamp == from + 1) return Status::ok;
    if (stamp > from + 1) {  // an entry is overwritten only after `read` has moved over it
      if (!moved_on(from)) return Status::corrupt;
      continue;
    }
    if (memory.header->writer_state.load(std::memory_order_acquire) == static_cast<std::uint32_t>(LinkState::open)) return Status::empty;  // [link.writer_state]
    if (descriptor.stamp.load(std::memory_order_relaxed) == stamp) return Status::ended;  // [descriptor.stamp] the last frames came before the end
  }
  return Status::empty;
}

bool Connection::moved_on(std::uint64_t at) const noexcept {
  return memory.shared_read && memory.header->read.load(std::memory_order_relaxed) != at;  // [link.read]
}

Place Connection::copy(std::uint64_t at, FrameHeader* header) const noexcept {
  const Descriptor& descriptor = memory.descriptors[at & memory.ring_mask];
  const Place place = unpacked(descriptor.place.load(std::memory_order_acquire));  // [descriptor.words]
#pragma GCC unroll 12
  for (std::size_t i = 0; i < kHeaderWords; ++i) {
    const std::uint64_t word = descriptor.header[i].load(std::memory_order_acquire);  // [descriptor.words]
    ::memcpy(reinterpret_cast<std::byte*>(header) + 8 * i, &word, 8);
  }
  copied_once();
  return place;
}

// Moves `read` over the entry; false: the writer was first and has dropped it. The lease is noted first, so that no death leaves
// a frame taken and not known; but not where the writer may still win.
bool Connection::take(std::uint64_t at, std::uint16_t number, const ReaderArena& arena) noexcept {
  std::atomic<std::uint64_t>& lease = memory.leases[at & memory.ring_mask].position_1;
  if (again_next < again_count) {
    ++again_next;
  } else if (memory.shared_read) {
    std::uint64_t expected = at;
    if (!memory.header->read.compare_exchange_strong(expected, at + 1, std::memory_order_seq_cst)) return false;  // [link.read]
    lease.store(at + 1, std::memory_order_relaxed);
    read = at + 1;
  } else {
    lease.store(at + 1, std::memory_order_relaxed);
    memory.header->read.exchange(at + 1, std::memory_order_seq_cst);  // [link.read]
    read = at + 1;
  }
  positions_1[number].store(((at + 1) & kPositionMask) | (static_cast<std::uint64_t>(&arena - arenas) + 1) << kPositionBits, std::memory_order_release);
  ++taken;
  wake_writer();
  return true;
}

Status Connection::reject() noexcept {
  add(memory.reader->rejected, 1);
  close(LinkState::failed, Status::corrupt);
  return Status::corrupt;
}

Status Connection::receive(SpinLock& lock, Received* out) noexcept {
  if (verdict != Status::ok) return verdict;
  std::uint64_t voids = 0;  // no tries: a flush leaves as many as the ring has, and whoever is told `empty` sleeps
  for (int tries = 0; tries < kMaxTries; ++tries) {
    std::uint64_t at = 0;
    const Status found = look(&at);
    if (found == Status::corrupt) return reject();
    if (found == Status::flushed) out->flush_id = flush_id = memory.header->flush_id.load(std::memory_order_acquire);  // [link.flush_id]
    if (found != Status::ok) return found;
    const bool again_now = again_next < again_count;
    FrameHeader& header = out->header;
    const Place place = copy(at, &header);
    const std::uint16_t number = place.number;
    const ReaderArena* arena = find(place.arena);
    const bool impossible = number >= kMaxSlots ||
                            (arena != nullptr ? place.index >= arena->slot_count || !valid(header, arena->slot_bytes) : is_retired(place.arena));
    if (!again_now && (arena == nullptr || impossible) && moved_on(at)) continue;  // half of one entry and half of the next
    if (impossible) return reject();
    lacks_arena = arena == nullptr;
    if (lacks_arena) return Status::unknown_arena;
    if (positions_1[number].load(std::memory_order_acquire) != 0) {  // given out twice, or dropped and given anew while we looked
      if (again_now || !moved_on(at)) return reject();
      continue;
    }
    if (!take(at, number, *arena)) continue;
    const bool set_aside = again_now && header.sequence == set_aside_sequence;
    if (set_aside || overtaken || at < memory.header->void_until.load(std::memory_order_relaxed)) {
      add(set_aside ? memory.reader->set_aside : memory.reader->flushed, 1);
      const SpinGuard guard(lock);
      give_back(number);
      if (voids++ < memory.ring_slots()) --tries;
      continue;
    }
    if (again_now) header.flags |= kFlagGivenAgain;
    out->payload = arena->mapping.data() + arena->slot_bytes * place.index;
    out->slot = {number};
    out->epoch = epoch;
    add(memory.reader->frames, 1);
    add(memory.reader->bytes, header.payload_bytes);
    record_latency(header.sent_ns);
    const auto here = reinterpret_cast<std::uintptr_t>(out->payload);
    guess = header.payload_bytes <= kSmallPayload ? 2 * here - last_payload : 0;
    last_payload = here;
    return Status::ok;
  }
  return Status::empty;  // has_unread() still says so
}

// A frame whose time was noted stands for those before it, too.
void Connection::record_latency(std::int64_t sent_ns) noexcept {
  ++unrecorded;
  if (sent_ns <= 0) return;
  const std::int64_t waited_ns = monotonic_ns() - sent_ns;
  record(memory.reader->latency, waited_ns < 0 ? 0 : static_cast<std::uint64_t>(waited_ns), unrecorded);
  unrecorded = 0;
}

// Under the lock. The lease goes first: a frame whose slot the writer may have back must not look held.
void Connection::give_back(std::uint32_t number) noexcept {
  const std::uint64_t position_1 = positions_1[number].load(std::memory_order_acquire) & kPositionMask;
  std::atomic<std::uint64_t>& lease = memory.leases[(position_1 - 1) & memory.ring_mask].position_1;
  if (lease.load(std::memory_order_relaxed) == position_1) lease.store(0, std::memory_order_relaxed);
  positions_1[number].store(0, std::memory_order_release);
  released.store(released.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  memory.header->returned[number / 64].fetch_or(std::uint64_t{1} << (number % 64), std::memory_order_seq_cst);  // [link.returned]
  wake_writer();
}

}  // namespace

struct InputLink::State {
  SpinLock lock;
  Connection* connections[kMaxConnections] = {};  // in no order
  Connection* current = nullptr;
  std::uint64_t last_epoch = 0;

  ~State() {
    for (Connection* connection : connections) destroy_mapped(connection);
  }

  // Under the lock: release() may destroy any but `current` and the newest.
  Connection* with_epoch(std::uint64_t epoch) noexcept {
    for (Connection* connection : connections)
      if (connection != nullptr && connection->epoch == epoch) return connection;
    return nullptr;
  }

  // The first flush of a later writer than this one's that wasn't heard of; 0: none.
  std::uint64_t flush_after(const Connection& connection) noexcept {
    if (connection.epoch == last_epoch) return 0;
    const SpinGuard guard(lock);
    for (std::uint64_t epoch = connection.epoch + 1; epoch <= last_epoch; ++epoch) {
      const Connection* const later = with_epoch(epoch);
      const std::uint64_t id = later == nullptr ? 0 : later->memory.header->flush_id.load(std::memory_order_relaxed);  // [link.flush_id]
      if (id != 0 && id != later->flush_id) return id;
    }
    return 0;
  }

  bool insert(Connection* connection) noexcept {
    const SpinGuard guard(lock);
    for (Connection*& place : connections) {
      if (place != nullptr) continue;
      place = connection;
      connection->epoch = ++last_epoch;
      if (current == nullptr) current = connection;
      return true;
    }
    return false;
  }

  // Under the lock.
  void destroy_if_over(Connection* connection) noexcept {
    if (!connection->left || connection->leased() > 0) return;
    for (Connection*& place : connections)
      if (place == connection) place = nullptr;
    destroy_mapped(connection);
  }

  // Leaves connections that were superseded and have nothing more to give. A frame whose arena never came is lost with them:
  // arenas are announced before frames can be in them, and the one who announces is done with this connection.
  Connection* settle() noexcept {
    while (current != nullptr && current->epoch != last_epoch) {
      current->overtaken = current->overtaken || flush_after(*current) != 0;
      std::uint64_t at = 0;
      if (current->verdict == Status::ok && !current->lacks_arena) {
        const Status found = current->look(&at);
        if (found != Status::empty && found != Status::ended) break;
      }
      if (current->lacks_arena) add(current->memory.reader->rejected, 1);
      const SpinGuard guard(lock);
      Connection* const old = current;
      current = with_epoch(old->epoch + 1);
      old->left = true;
      destroy_if_over(old);
    }
    return current;
  }
};

InputLink::InputLink() noexcept : state_(make_mapped<State>()) {}
InputLink::~InputLink() { destroy_mapped(state_); }

Status InputLink::connect(int link_fd, int writer_doorbell_fd, std::uint64_t set_aside_sequence) noexcept {
  if (state_ == nullptr) return Status::system;
  Connection* connection = make_mapped<Connection>();
  if (connection == nullptr) return Status::system;
  Status status = open_link(link_fd, &connection->mapping, &connection->memory);
  if (status == Status::ok) status = Bell::map(writer_doorbell_fd, &connection->bell);
  if (status == Status::ok) connection->adopt(set_aside_sequence);
  if (status == Status::ok && !state_->insert(connection)) {
    state_->settle();  // what has nothing more to give makes way
    if (!state_->insert(connection)) status = Status::limit;
  }
  if (status != Status::ok) destroy_mapped(connection);
  return status;
}

Status InputLink::add_arena(int fd, std::uint32_t id, std::uint64_t slot_bytes, std::uint32_t slot_count) noexcept {
  if (state_ == nullptr) return Status::system;
  Connection* newest = nullptr;
  {
    const SpinGuard guard(state_->lock);
    newest = state_->with_epoch(state_->last_epoch);
  }
  if (newest == nullptr) return Status::limit;
  if (newest->verdict != Status::ok) return Status::ok;  // of a link that is closed nothing is read any more
  std::uint32_t at = 0;
  while (at < newest->arena_count && newest->arenas[at].slot_count != 0) ++at;
  if (!arena_shape_is_valid(id, slot_bytes, slot_count) || at == kMaxArenas || slot_count > kMaxSlots - newest->slot_total || newest->find(id) != nullptr)
    return Status::limit;
  Mapping mapping;
  if (const Status status = Mapping::map(fd, slot_bytes * slot_count, true, &mapping); status != Status::ok) return status;
  const SpinGuard guard(state_->lock);
  ReaderArena& arena = newest->arenas[at];
  if (at == newest->arena_count) ++newest->arena_count;
  newest->newest_arena = id;
  arena.mapping = static_cast<Mapping&&>(mapping);
  arena.slot_bytes = slot_bytes;
  arena.id = id;
  arena.slot_count = slot_count;
  newest->slot_total += slot_count;
  newest->lacks_arena = false;
  return Status::ok;
}

// Leases are taken by this thread alone, so that none can come while we look; what another thread returns meanwhile, an honest writer hasn't seen yet.
Status InputLink::drop_arena(std::uint32_t id) noexcept {
  if (state_ == nullptr) return Status::system;
  Connection* newest = nullptr;
  {
    const SpinGuard guard(state_->lock);
    newest = state_->with_epoch(state_->last_epoch);
  }
  ReaderArena* const arena = newest == nullptr ? nullptr : newest->find(id);
  const bool closed = newest != nullptr && newest->verdict != Status::ok;
  if (arena == nullptr) return closed ? Status::ok : Status::limit;
  if (newest->has_leased_in(*arena)) {
    if (!closed) newest->reject();
    return Status::ok;
  }
  ReaderArena gone;
  const SpinGuard guard(state_->lock);
  newest->slot_total -= arena->slot_count;
  gone.mapping = static_cast<Mapping&&>(arena->mapping);
  arena->slot_count = 0;
  return Status::ok;
}

Status InputLink::receive(Received* out) noexcept {
  for (std::uint32_t i = 0; state_ != nullptr && i < kMaxConnections; ++i) {
    Connection* const connection = state_->settle();
    if (connection == nullptr) break;
    const Status status = connection->receive(state_->lock, out);
    if (status != Status::empty || !connection->overtaken) return status;  // else the flush is the next one's
  }
  return Status::empty;
}

void InputLink::release(const Slot& slot, std::uint64_t epoch) noexcept {
  if (state_ == nullptr) return;
  const SpinGuard guard(state_->lock);
  Connection* const connection = state_->with_epoch(epoch);
  if (connection == nullptr) return;
  if (slot.number >= kMaxSlots || connection->positions_1[slot.number].load(std::memory_order_acquire) == 0) return;
  connection->give_back(slot.number);
  state_->destroy_if_over(connection);
}

std::uint64_t InputLink::flush_waiting() const noexcept {
  const Connection* const connection = state_ == nullptr ? nullptr : state_->current;
  if (connection == nullptr) return 0;
  const std::uint64_t id = connection->memory.header->flush_id.load(std::memory_order_relaxed);  // [link.flush_id]
  return id == connection->flush_id ? state_->flush_after(*connection) : id;
}

void InputLink::count_unmatched() noexcept {
  if (state_ != nullptr && state_->current != nullptr) add(state_->current->memory.reader->unmatched, 1);
}

bool InputLink::has_unread() noexcept {
  Connection* const connection = state_ == nullptr ? nullptr : state_->settle();
  if (connection == nullptr) return false;
  if (connection->verdict != Status::ok) return true;
  std::uint64_t at = 0;
  const Status found = connection->look(&at);
  return found != Status::empty && !(connection->lacks_arena && found == Status::ok);
}

void InputLink::close() noexcept {
  if (state_ == nullptr) return;
  const SpinGuard guard(state_->lock);
  for (Connection* connection : state_->connections)
    if (connection != nullptr && !connection->left) connection->close(LinkState::ended, Status::ended);
}

void InputLink::prepare_sleep(SleepSet& set, bool only_urgent) noexcept {
  if (Connection* const connection = state_ == nullptr ? nullptr : state_->settle(); connection != nullptr)
    set.add(connection->memory.header->reader_sleeps, only_urgent);
}

void InputLink::cancel_sleep() noexcept {
  if (state_ != nullptr && state_->current != nullptr) state_->current->memory.header->reader_sleeps.store(0, std::memory_order_relaxed);
}

std::uint64_t InputLink::leased() const noexcept {
  std::uint64_t count = 0;
  if (state_ == nullptr) return 0;
  const SpinGuard guard(state_->lock);
  for (const Connection* connection : state_->connections)
    if (connection != nullptr) count += connection->leased();
  return count;
}

}  // namespace hawse::plane
