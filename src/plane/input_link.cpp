// SPDX-License-Identifier: Apache-2.0
//
// The reader of one edge.
//
// An edge outlives its writers: each connect() adds a Connection, and the reader goes on to the next one once the one
// before is read to its end. A Connection owns its mappings and is destroyed when it has been left and nothing of it is
// leased.
//
// Threading. The cursors, receive and connect belong to the node's thread; release() comes from any. What both touch
// (the lease bits, the return ring, the list of connections, a connection's arenas) is guarded by `lock`.
#include <string.h>

#include "plane/internal.hpp"

namespace hawse::plane {
namespace {

constexpr std::uint32_t kMaxConnections = 16;
// How often a copy may turn out stale because the writer dropped the entry meanwhile. An honest writer makes a few at most.
constexpr int kMaxTries = 64;

struct ReaderArena {
  Mapping mapping;
  std::uint64_t slot_bytes = 0;
  std::uint32_t id = 0;
  std::uint32_t slot_count = 0;
  std::uint32_t first = 0;  // number of its slot 0 in `leased_bits`
};

struct Entry {  // the copy of a Descriptor
  std::uint32_t arena_id = 0;
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t sent_ns = 0;
  std::uint64_t flags = 0;
};

struct Connection {
  std::uint64_t epoch = 0;
  Mapping mapping;
  LinkMemory memory;
  Bell bell;  // the writer's
  ReaderArena arenas[kMaxArenas];
  std::uint32_t arena_count = 0;
  std::uint32_t slot_total = 0;
  std::uint64_t read = 0;  // our own cursors
  std::uint64_t returned = 0;
  std::uint64_t reclaimed = 0;
  std::uint64_t leased_bits[kMaxSlots / 64] = {};
  std::uint64_t leased = 0;
  Status verdict = Status::ok;  // corrupt or ended: closed, for good
  bool left = false;            // the reader has gone on to the next one
  bool lacks_arena = false;     // the frame at `read` waits for add_arena()

  const ReaderArena* find(std::uint32_t id) const noexcept {
    for (std::uint32_t i = 0; i < arena_count; ++i)
      if (arenas[i].id == id) return &arenas[i];
    return nullptr;
  }

  void ring_if_asleep() noexcept {
    full_fence();
    if (memory.header->writer_sleeps.load(std::memory_order_relaxed) != 0) bell.ring();
  }

  void close(LinkState state, Status why) noexcept {
    if (verdict != Status::ok) return;
    verdict = why;
    memory.header->reader_state.store(static_cast<std::uint32_t>(state), std::memory_order_release);  // [link.reader_state]
    bell.ring();
  }

  Status look(std::uint64_t* at, bool* stale) noexcept;
  bool moved_on(std::uint64_t at) const noexcept;
  Entry copy(std::uint64_t at) const noexcept;
  bool take(std::uint64_t at) noexcept;
  Status receive(SpinLock&, Received*) noexcept;
  Status hand_out(SpinLock&, const ReaderArena&, const Entry&, Received*) noexcept;
  Status reject() noexcept;
  void give_back(const ReaderArena&, std::uint32_t slot) noexcept;
};

// Where the next frame stands; empty, ended or corrupt where there is none. *stale: the writer was dropping meanwhile, look again.
Status Connection::look(std::uint64_t* at, bool* stale) noexcept {
  *stale = false;
  const std::uint64_t from = memory.shared_read ? memory.header->read.load(std::memory_order_acquire) : read;  // [link.read]
  const std::uint64_t written = memory.header->written.load(std::memory_order_acquire);                        // [link.written]
  if (from < read || written - from > memory.queue) {
    *stale = moved_on(from);
    return Status::corrupt;
  }
  if (from != read) lacks_arena = false;
  read = *at = from;
  if (written != from) return Status::ok;
  if (memory.header->writer_state.load(std::memory_order_acquire) == static_cast<std::uint32_t>(LinkState::open)) return Status::empty;  // [link.writer_state]
  *stale = memory.header->written.load(std::memory_order_acquire) != from;  // [link.written] the last frames came before the end
  return Status::ended;
}

bool Connection::moved_on(std::uint64_t at) const noexcept {
  return memory.shared_read && memory.header->read.load(std::memory_order_acquire) != at;  // [link.read]
}

Entry Connection::copy(std::uint64_t at) const noexcept {
  const Descriptor& descriptor = memory.descriptors[at & memory.ring_mask];
  const std::uint64_t place = descriptor.place.load(std::memory_order_acquire);  // [descriptor.words], and the four below
  return {.arena_id = static_cast<std::uint32_t>(place >> 32),
          .slot = static_cast<std::uint32_t>(place),
          .sequence = descriptor.sequence.load(std::memory_order_acquire),
          .payload_bytes = descriptor.payload_bytes.load(std::memory_order_acquire),
          .sent_ns = descriptor.sent_ns.load(std::memory_order_acquire),
          .flags = descriptor.flags.load(std::memory_order_acquire)};
}

// Moves `read` over the entry; false: the writer was first and has dropped it.
bool Connection::take(std::uint64_t at) noexcept {
  if (!memory.shared_read) {
    memory.header->read.store(at + 1, std::memory_order_release);  // [link.read]
  } else {
    std::uint64_t expected = at;
    if (!memory.header->read.compare_exchange_strong(expected, at + 1, std::memory_order_acq_rel, std::memory_order_acquire)) return false;  // [link.read]
  }
  read = at + 1;
  return true;
}

Status Connection::reject() noexcept {
  add(memory.reader->rejected, 1);
  close(LinkState::failed, Status::corrupt);
  return Status::corrupt;
}

Status Connection::receive(SpinLock& lock, Received* out) noexcept {
  if (verdict != Status::ok) return verdict;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    std::uint64_t at = 0;
    bool stale = false;
    const Status found = look(&at, &stale);
    if (stale) continue;
    if (found == Status::corrupt) return reject();
    if (found != Status::ok) return found;
    const Entry entry = copy(at);
    const ReaderArena* arena = find(entry.arena_id);
    const bool impossible = arena != nullptr && (entry.slot >= arena->slot_count || entry.payload_bytes > arena->slot_bytes - kHeaderBytes);
    if ((arena == nullptr || impossible) && moved_on(at)) continue;  // half of one entry and half of the next
    if (impossible) return reject();
    lacks_arena = arena == nullptr;
    if (lacks_arena) return Status::unknown_arena;
    if (!take(at)) continue;
    ring_if_asleep();
    return hand_out(lock, *arena, entry, out);
  }
  return Status::empty;  // has_unread() still says so
}

// The entry is ours now. The header is copied once; nobody but the writer can change it, and what it changes later goes unseen.
Status Connection::hand_out(SpinLock& lock, const ReaderArena& arena, const Entry& entry, Received* out) noexcept {
  const std::byte* const start = arena.mapping.data() + arena.slot_bytes * entry.slot;
  ::memcpy(&out->header, start, kHeaderBytes);
  copied_once();
  if (!valid(out->header, arena.slot_bytes - kHeaderBytes) || out->header.sequence != entry.sequence || out->header.payload_bytes != entry.payload_bytes)
    return reject();
  if ((entry.flags & kFlagGivenAgain) != 0) out->header.flags |= kFlagGivenAgain;
  out->payload = start + kHeaderBytes;
  out->slot = {entry.arena_id, entry.slot};
  out->epoch = epoch;
  {
    const SpinGuard guard(lock);
    if (has_bit(leased_bits, arena.first + entry.slot)) return reject();  // given out twice
    set_bit(leased_bits, arena.first + entry.slot);
    memory.reader->leased.store(++leased, std::memory_order_relaxed);
  }
  add(memory.reader->frames, 1);
  add(memory.reader->bytes, entry.payload_bytes);
  const std::int64_t waited = monotonic_ns() - static_cast<std::int64_t>(entry.sent_ns & ~(std::uint64_t{1} << 63));
  record(memory.reader->latency, waited < 0 ? 0 : static_cast<std::uint64_t>(waited));
  return Status::ok;
}

// Under the lock. An honest writer never lets the ring fill: a slot is in it at most once, and there are kMaxSlots of them.
void Connection::give_back(const ReaderArena& arena, std::uint32_t slot) noexcept {
  clear_bit(leased_bits, arena.first + slot);
  memory.reader->leased.store(--leased, std::memory_order_relaxed);
  if (left) return;  // its writer is gone
  if (returned - reclaimed >= kMaxSlots) {
    reclaimed = memory.header->reclaimed.load(std::memory_order_acquire);  // [link.reclaimed]
    if (returned - reclaimed >= kMaxSlots) return;
  }
  memory.returned[returned % kMaxSlots].place.store(place_of(arena.id, slot), std::memory_order_relaxed);
  memory.header->returned.store(++returned, std::memory_order_release);  // [link.returned]
  ring_if_asleep();
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
    if (!connection->left || connection->leased > 0) return;
    for (Connection*& place : connections)
      if (place == connection) place = nullptr;
    destroy_mapped(connection);
  }

  // Leaves connections that were superseded and have nothing more to give. A frame whose arena never came is lost with them:
  // arenas are announced before frames can be in them, and the one who announces is done with this connection.
  Connection* settle() noexcept {
    while (current != nullptr && current->epoch != last_epoch) {
      std::uint64_t at = 0;
      bool stale = false;
      if (current->verdict == Status::ok && !current->lacks_arena) {
        const Status found = current->look(&at, &stale);
        if (stale || (found != Status::empty && found != Status::ended)) break;
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

Status InputLink::connect(int link_fd, int writer_doorbell_fd) noexcept {
  if (state_ == nullptr) return Status::system;
  Connection* connection = make_mapped<Connection>();
  if (connection == nullptr) return Status::system;
  Status status = open_link(link_fd, &connection->mapping, &connection->memory);
  if (status == Status::ok) status = Bell::map(writer_doorbell_fd, &connection->bell);
  if (status != Status::ok) {
    destroy_mapped(connection);
    return status;
  }
  // Mostly 0 both; more where the reader before died and its writer is gone too, so that nobody can give anything again.
  connection->read = connection->memory.header->read.load(std::memory_order_acquire);          // [link.read]
  connection->returned = connection->memory.header->returned.load(std::memory_order_acquire);  // [link.returned]
  connection->reclaimed = connection->memory.header->reclaimed.load(std::memory_order_acquire);  // [link.reclaimed]
  if (state_->insert(connection)) return Status::ok;
  destroy_mapped(connection);
  return Status::limit;
}

Status InputLink::add_arena(int fd, std::uint32_t id, std::uint64_t slot_bytes, std::uint32_t slot_count) noexcept {
  if (state_ == nullptr) return Status::system;
  Connection* newest = nullptr;
  {
    const SpinGuard guard(state_->lock);
    newest = state_->with_epoch(state_->last_epoch);
  }
  if (newest == nullptr || !arena_shape_is_valid(slot_bytes, slot_count) || newest->arena_count == kMaxArenas ||
      slot_count > kMaxSlots - newest->slot_total || newest->find(id) != nullptr)
    return Status::limit;
  Mapping mapping;
  if (const Status status = Mapping::map(fd, slot_bytes * slot_count, true, &mapping); status != Status::ok) return status;
  const SpinGuard guard(state_->lock);
  ReaderArena& arena = newest->arenas[newest->arena_count++];
  arena.mapping = static_cast<Mapping&&>(mapping);
  arena.slot_bytes = slot_bytes;
  arena.id = id;
  arena.slot_count = slot_count;
  arena.first = newest->slot_total;
  newest->slot_total += slot_count;
  newest->lacks_arena = false;
  return Status::ok;
}

Status InputLink::receive(Received* out) noexcept {
  Connection* const connection = state_ == nullptr ? nullptr : state_->settle();
  return connection == nullptr ? Status::empty : connection->receive(state_->lock, out);
}

void InputLink::release(const Slot& slot, std::uint64_t epoch) noexcept {
  if (state_ == nullptr) return;
  const SpinGuard guard(state_->lock);
  Connection* const connection = state_->with_epoch(epoch);
  if (connection == nullptr) return;
  const ReaderArena* arena = connection->find(slot.arena);
  if (arena == nullptr || slot.index >= arena->slot_count || !has_bit(connection->leased_bits, arena->first + slot.index)) return;
  connection->give_back(*arena, slot.index);
  state_->destroy_if_over(connection);
}

bool InputLink::has_unread() noexcept {
  Connection* const connection = state_ == nullptr ? nullptr : state_->settle();
  if (connection == nullptr) return false;
  if (connection->verdict != Status::ok) return true;
  std::uint64_t at = 0;
  bool stale = false;
  const Status found = connection->look(&at, &stale);
  return stale || (found != Status::empty && !connection->lacks_arena);
}

void InputLink::close() noexcept {
  if (state_ == nullptr) return;
  const SpinGuard guard(state_->lock);
  for (Connection* connection : state_->connections)
    if (connection != nullptr && !connection->left) connection->close(LinkState::ended, Status::ended);
}

void InputLink::prepare_sleep() noexcept {
  if (Connection* const connection = state_ == nullptr ? nullptr : state_->settle(); connection != nullptr)
    connection->memory.header->reader_sleeps.store(1, std::memory_order_relaxed);
  full_fence();
}

void InputLink::cancel_sleep() noexcept {
  if (state_ != nullptr && state_->current != nullptr) state_->current->memory.header->reader_sleeps.store(0, std::memory_order_relaxed);
}

std::uint64_t InputLink::unread() const noexcept {
  std::uint64_t count = 0;
  if (state_ == nullptr) return 0;
  const SpinGuard guard(state_->lock);
  for (const Connection* connection : state_->connections) {
    if (connection == nullptr || connection->left || connection->verdict != Status::ok) continue;
    const std::uint64_t from = connection->memory.shared_read ? connection->memory.header->read.load(std::memory_order_relaxed) : connection->read;
    const std::uint64_t here = connection->memory.header->written.load(std::memory_order_relaxed) - from;
    count += here > connection->memory.queue ? 0 : here;
  }
  return count;
}

std::uint64_t InputLink::leased() const noexcept {
  std::uint64_t count = 0;
  if (state_ == nullptr) return 0;
  const SpinGuard guard(state_->lock);
  for (const Connection* connection : state_->connections)
    if (connection != nullptr) count += connection->leased;
  return count;
}

}  // namespace hawse::plane
