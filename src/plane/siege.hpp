// SPDX-License-Identifier: Apache-2.0
//
// For tests: a side of a link that writes anything into what it is given, at any time, and an honest side that has to live with it. Driven by a
// random generator (siege_test.cpp, there also with the attacker in a thread of its own) or by a fuzzer's bytes (siege_fuzz.cpp).
//
// What must hold: no access outside the memory (guarded_mapping.cpp, the sanitizers), no call that doesn't return, a leased slot is never handed out
// again, and who shares nothing with the attacker notices nothing.
//
// The attacker knows the layout by its regions only, not by its fields, so that it needs no change when those move.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>
#include <span>

#include "plane/edge_fixture.hpp"
#include "plane/guarded_mapping.hpp"

namespace hawse::plane {

// Where decisions come from.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : random_(seed) {}
  explicit Choices(std::span<const std::uint8_t> program) : program_(program), is_program_(true) {}

  bool left() const { return !is_program_ || at_ < program_.size(); }
  std::uint64_t below(std::uint64_t limit) { return word(limit <= 256 ? 1 : limit <= 65536 ? 2 : 8) % limit; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::uint64_t word(int bytes = 8) {
    if (!is_program_) return random_();
    std::uint64_t value = 0;
    for (int i = 0; i < bytes && at_ < program_.size(); ++i) value = value << 8 | program_[at_++];
    return value;
  }

 private:
  std::mt19937_64 random_;
  std::span<const std::uint8_t> program_;
  std::size_t at_ = 0;
  bool is_program_ = false;
};

// One mutation at a time of a piece of shared memory. It stores whole words, or halves of them (a torn write), atomically: what else the victim may
// see of a plain store is seen by the victim on real machines, too, word by word.
class Attacker {
 public:
  Attacker(int fd, std::size_t bytes, int victims_doorbell_fd) {
    EXPECT_EQ(Mapping::map(fd, bytes, false, &mapping_), Status::ok);
    EXPECT_EQ(Bell::map(victims_doorbell_fd, &bell_), Status::ok);
    keep();
  }

  void act(Choices& choices) {
    switch (choices.below(16)) {
      case 0: return keep();
      case 1: return replay(choices);
      case 2: return scramble(choices);
      case 3: return copy(choices);
      case 4: return flip(choices);
      case 5: return tear(choices);
      case 6:
        for (std::uint64_t i = choices.below(8); i > 0; --i) bell_.ring();
        return;
      default: return store(choices);
    }
  }

 private:
  std::size_t words() const { return mapping_.size() / 8; }
  std::atomic_ref<std::uint64_t> at(std::size_t index) const { return std::atomic_ref(reinterpret_cast<std::uint64_t*>(mapping_.data())[index]); }
  std::uint64_t load(std::size_t index) const { return at(index).load(std::memory_order_relaxed); }
  void put(std::size_t index, std::uint64_t value) const { at(index).store(value, std::memory_order_release); }

  // Mostly where it hurts: cursors and flags, then the first entries of the rings.
  std::size_t pick(Choices& choices) const {
    const std::size_t descriptors = std::min(kDescriptorOffset / 8, words());
    switch (choices.below(4)) {
      case 0: return choices.below(std::min<std::size_t>(96, words()));
      case 1: return choices.below(descriptors);
      case 2: return (descriptors + choices.below(256)) % words();
      default: return choices.below(words());
    }
  }
  // Near what stands there: wild values are caught at the first look.
  void store(Choices& choices) const {
    const std::size_t index = pick(choices);
    const std::uint64_t now = load(index);
    switch (choices.below(9)) {
      case 0: return put(index, now + 1);
      case 1: return put(index, now - 1);
      case 2: return put(index, now + choices.below(64));
      case 3: return put(index, choices.below(64));
      case 4: return put(index, ~choices.below(64));
      case 5: return put(index, now ^ std::uint64_t{1} << choices.below(64));
      case 6: return put(index, now + (choices.below(64) << (16 * choices.below(4))));
      case 7: return put(index, 0x8000000000000000u >> choices.below(64));
      default: return put(index, choices.word());
    }
  }
  void copy(Choices& choices) const {
    const std::size_t from = pick(choices), to = pick(choices), count = 1 + choices.below(16);
    for (std::size_t i = 0; i < count && std::max(from, to) + i < words(); ++i) put(to + i, load(from + i));
  }
  void flip(Choices& choices) const {
    const std::size_t index = pick(choices);
    auto* const bytes = reinterpret_cast<std::uint8_t*>(mapping_.data()) + index * 8 + choices.below(8);
    std::atomic_ref(*bytes).store(static_cast<std::uint8_t>(choices.word(1)), std::memory_order_release);
  }
  void tear(Choices& choices) const {
    const std::size_t half = pick(choices) * 2 + choices.below(2);
    std::atomic_ref(reinterpret_cast<std::uint32_t*>(mapping_.data())[half]).store(static_cast<std::uint32_t>(choices.word(4)), std::memory_order_release);
  }
  // The whole link, or a stretch of it, becomes garbage.
  void scramble(Choices& choices) const {
    const bool all = choices.one_in(4);
    std::mt19937_64 random(choices.word(2));
    const std::size_t first = all ? 0 : pick(choices), count = all ? words() : 1 + choices.below(64);
    for (std::size_t i = first; i < std::min(words(), first + count); ++i) put(i, random() >> random() % 64);
  }
  void keep() {
    kept_.resize(words());
    for (std::size_t i = 0; i < words(); ++i) kept_[i] = load(i);
  }
  // What once was right.
  void replay(Choices& choices) const {
    const std::size_t first = choices.one_in(2) ? 0 : pick(choices), count = choices.one_in(2) ? words() : 1 + choices.below(64);
    for (std::size_t i = first; i < std::min(words(), first + count); ++i) put(i, kept_[i]);
  }

  Mapping mapping_;
  Bell bell_;
  std::vector<std::uint64_t> kept_;
};

// With the looks that a wait has; asleep for no longer than a system call takes.
template <class End, class Look>
void sleep_an_instant(End& end, const Bell& bell, Look&& look) {
  SleepSet set(bell);
  end.prepare_sleep(set);
  set.announce();
  look();
  set.sleep(0);
  end.cancel_sleep();
}

// What the runtime reads of a link while it is besieged: counts that may be wrong, and no more of them than the link has places.
inline void look_as_runtime(const LinkView& view, std::uint32_t ring_slots) {
  view.unread();
  view.adopted();
  quantile(view.reader().latency, 0.99);
  ASSERT_LE(view.leased(), ring_slots);
  ASSERT_TRUE(view.writer_state() <= LinkState::failed && view.reader_state() <= LinkState::failed);
}

inline std::size_t size_of(const TestFd& fd) { return static_cast<std::size_t>(::lseek(fd.get(), 0, SEEK_END)); }

// An honest writer with a hostile reader, and with two honest ones: a `block` edge that misses nothing, and one that drops.
class BesiegedWriter {
 public:
  BesiegedWriter() {
    writer_.grow(64, 12);
    writer_.grow(1000, 5);
    links_.push_back(join(writer_, honest_[0], 1, 4, WhenFull::block));
    links_.push_back(join(writer_, honest_[1], 2, 2, WhenFull::drop_oldest));
    replace_hostile(WhenFull::block);
  }

  Attacker& attacker() { return *attacker_; }
  // Whoever attacks from another thread keeps its hands off while the attacker changes.
  template <class Lock>
  void step(Choices& choices, Lock& lock) {
    switch (choices.below(21)) {
      case 0: case 1: case 2: case 3: case 4: case 5: return send(choices.below(3) == 0 ? choices.below(1000) : choices.below(64));
      case 6: case 7: case 8: case 9: return receive(0);
      case 10: return receive(1);
      case 11: case 12: case 13: return release(choices);
      case 14: case 15: return live_as_hostile(choices);
      case 16: writer_.port->pump(); break;
      case 17: writer_.port->can_send(); break;
      case 20: return look_as_runtime(view_, 32);  // places of its ring: twice a queue of 3, and 17 slots
      case 18:
        sleep_an_instant(*writer_.port, writer_.bell, [&] { writer_.port->drained(); });
        break;
      default: {
        if (!choices.one_in(4)) break;
        const std::lock_guard guard(lock);
        replace_hostile(static_cast<WhenFull>(choices.below(4)));
      }
    }
  }

  // The supervisor gives the attacker up: everything flows out and comes back.
  void finish() {
    view_.end_for_reader(LinkState::failed);
    for (int i = 0; i < 64; ++i) {
      writer_.port->pump();
      for (int which = 0; which < 2; ++which) receive(which);
    }
    for (auto& leased : leased_)
      while (!leased.empty()) give_back(leased);
    writer_.port->pump();
    ASSERT_EQ(last_[0], sent_) << "the honest reader missed the end";
    ASSERT_EQ(last_[1], sent_);
    ASSERT_EQ(writer_.port->slots_in_use(), 0u);
  }

  std::uint64_t sent() const { return sent_; }

 private:
  void send(std::uint64_t bytes) {
    Building building;
    if (build(*writer_.port, bytes, &building) != Status::ok) return;
    const Status status = writer_.port->send(building, 0);
    if (status == Status::ok) {
      ++sent_;
      return;
    }
    writer_.port->abandon(building);
    ASSERT_EQ(status, Status::full);
  }
  void receive(int which) {
    Received frame;
    const Status status = honest_[which].link->receive(&frame);
    if (status == Status::empty) return;
    ASSERT_EQ(status, Status::ok);
    if (which == 0) {
      ASSERT_EQ(frame.header.sequence, last_[0] + 1);
    } else {
      ASSERT_GT(frame.header.sequence, last_[1]);
    }
    last_[which] = frame.header.sequence;
    ASSERT_TRUE(is_intact(frame));
    leased_[which].push_back(frame);
    if (leased_[which].size() > 3) give_back(leased_[which]);
  }
  void give_back(std::deque<Received>& leased) {
    ASSERT_TRUE(is_intact(leased.front())) << "a leased slot was handed out again";
    const int which = &leased == &leased_[0] ? 0 : 1;
    honest_[which].link->release(leased.front().slot, leased.front().epoch);
    leased.pop_front();
  }
  void release(Choices& choices) {
    auto& leased = leased_[choices.below(2)];
    if (!leased.empty()) give_back(leased);
  }
  // Between the blows it takes and returns frames like any other: else it would soon be closed for good.
  void live_as_hostile(Choices& choices) {
    Received frame;
    if (hostile_->link->receive(&frame) == Status::ok) taken_.push_back(frame);
    if (taken_.empty() || choices.one_in(2)) return;
    hostile_->link->release(taken_.front().slot, taken_.front().epoch);
    taken_.pop_front();
  }
  void replace_hostile(WhenFull when_full) {
    taken_.clear();
    hostile_ = std::make_unique<TestReader>();
    links_.push_back(join(writer_, *hostile_, 0, 3, when_full));
    if (links_.size() > 3) links_.erase(links_.begin() + 2);
    view_ = view_of(links_.back());
    attacker_ = std::make_unique<Attacker>(links_.back().get(), size_of(links_.back()), writer_.bell_fd.get());
  }

  TestWriter writer_;
  TestReader honest_[2];
  std::unique_ptr<TestReader> hostile_;
  std::vector<TestFd> links_;  // the honest ones, then the hostile one
  LinkView view_;              // the supervisor's of the hostile one, mapped before the attacker had it
  std::unique_ptr<Attacker> attacker_;
  std::deque<Received> leased_[2], taken_;
  std::uint64_t sent_ = 0, last_[2] = {0, 0};
};

// An honest reader whose writer is hostile: it writes into the link, and into its arenas long after they were sent.
class BesiegedReader {
 public:
  BesiegedReader() { replace_hostile(WhenFull::block); }

  Attacker& attacker() { return *attackers_[0]; }
  Attacker& arena_attacker() { return *attackers_[1]; }
  template <class Lock>
  void step(Choices& choices, Lock& lock) {
    switch (choices.below(17)) {
      case 0: case 1: case 2: case 3: case 4: send_one(*writer_->port, choices.below(3) == 0 ? choices.below(640) : choices.below(64)); break;
      case 5: case 6: case 7: case 8: return receive();
      case 9: case 10: case 11: return release(choices);
      case 12: reader_.link->has_unread(); break;
      case 13:
        sleep_an_instant(*reader_.link, reader_.bell, [&] { reader_.link->has_unread(); });
        break;
      case 14:
        if (choices.one_in(8)) return give_back_arena(choices.below(2));
        writer_->port->pump();
        break;
      case 16: return look_as_runtime(view_, 8);
      default: {
        if (!choices.one_in(4)) break;
        const std::lock_guard guard(lock);
        replace_hostile(static_cast<WhenFull>(choices.below(4)));
      }
    }
  }

  // An honest writer takes the attacker's place: the reader must still be able to work.
  void finish() {
    for (; !leased_.empty(); leased_.pop_front()) reader_.link->release(leased_.front().slot, leased_.front().epoch);
    ASSERT_EQ(reader_.link->leased(), 0u);
    view_.end_for_writer(LinkState::failed);
    TestWriter better(kHonestBytes, 8);
    TestFd link(create_link(4, WhenFull::block));
    if (connect(better, link, WhenFull::block) != Status::ok) return;  // the earlier connections still hold what came too late
    ASSERT_EQ(send_one(*better.port, kHonestBytes), Status::ok);
    for (int i = 0; i < 4096; ++i) {  // what the attackers left first
      Received frame;
      if (reader_.link->receive(&frame) != Status::ok) continue;
      const bool arrived = frame.header.payload_bytes == kHonestBytes && frame.header.sequence == 1 && is_intact(frame);
      reader_.link->release(frame.slot, frame.epoch);
      if (arrived) return;
    }
    FAIL() << "the honest writer's frame never came";
  }

  std::uint64_t received() const { return received_; }

 private:
  struct Arena {
    std::uint32_t id;
    std::uint64_t slot_bytes;
    std::uint32_t slot_count;
  };
  static constexpr std::uint64_t kHonestBytes = 2000;  // more than any slot of the attacker's has
  static constexpr std::uint32_t kSlots = 64;  // whole pages, so that the guard stands right behind

  void receive() {
    Received frame;
    if (reader_.link->receive(&frame) != Status::ok) return;
    ++received_;
    const auto map = guarded_around(frame.payload);
    const auto arena = std::ranges::find_if(arenas_, [&](const Arena& a) { return a.slot_bytes * a.slot_count == map.size(); });
    ASSERT_NE(arena, std::end(arenas_)) << "the payload lies in no arena";
    ASSERT_LE(static_cast<std::uint64_t>(frame.payload - map.data()) % arena->slot_bytes + frame.header.payload_bytes, arena->slot_bytes)
        << "the payload reaches beyond its slot";
    touch(frame);
    leased_.push_back(frame);
    if (leased_.size() > 6) give_back();
    ASSERT_EQ(reader_.link->leased(), leased_.size()) << "a slot was leased twice";
  }
  // What a node does: reads all of it.
  void touch(const Received& frame) {
    for (std::uint64_t i = 0; i < frame.header.payload_bytes; ++i) sum_ += static_cast<std::uint64_t>(frame.payload[i]);
  }
  void give_back() {
    touch(leased_.front());
    reader_.link->release(leased_.front().slot, leased_.front().epoch);
    leased_.pop_front();
  }
  void release(Choices& choices) {
    if (choices.one_in(16)) {  // of nonsense nothing must come
      Slot slot;
      std::memset(static_cast<void*>(&slot), static_cast<int>(1 + choices.below(255)), sizeof slot);
      reader_.link->release(slot, choices.below(64));
    }
    if (!leased_.empty()) give_back();
  }
  // Whether or not anything of it is unread or leased: the supervisor believes the writer. Later it comes again, by another id.
  void give_back_arena(std::uint64_t which) {
    std::uint32_t& id = ids_[which];
    reader_.link->drop_arena(id);
    if (writer_->port->retire_arena(id) != Status::ok) return;
    id = next_id_++;
    TestArena& arena = writer_->arenas[which];
    arena = {TestFd(create_arena(arena.slot_bytes, arena.slot_count)), id, arena.slot_bytes, arena.slot_count};
    EXPECT_EQ(writer_->port->add_arena(arena.fd.get(), id, arena.slot_bytes, arena.slot_count), Status::ok);
    EXPECT_EQ(seal_arena(arena.fd.get()), 0);
    EXPECT_EQ(reader_.link->add_arena(arena.fd.get(), id, arena.slot_bytes, arena.slot_count), Status::ok);
    EXPECT_EQ(writer_->port->enable_arena(id), Status::ok);
  }
  Status connect(TestWriter& writer, TestFd& link, WhenFull when_full) {
    const Status status = reader_.link->connect(link.get(), writer.bell_fd.get());
    if (status != Status::ok) return status;
    for (const TestArena& arena : writer.arenas) EXPECT_EQ(reader_.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count), Status::ok);
    EXPECT_EQ(writer.port->set_link(0, link.get(), reader_.bell_fd.get(), 4, when_full), Status::ok);
    return status;
  }
  void replace_hostile(WhenFull when_full) {
    auto writer = std::make_unique<TestWriter>();
    std::unique_ptr<Attacker> on_arena;
    for (const Arena& a : arenas_) {
      writer->arenas.push_back({TestFd(create_arena(a.slot_bytes, a.slot_count)), a.id, a.slot_bytes, a.slot_count});
      const TestFd& fd = writer->arenas.back().fd;
      EXPECT_EQ(writer->port->add_arena(fd.get(), a.id, a.slot_bytes, a.slot_count), Status::ok);
      on_arena = std::make_unique<Attacker>(fd.get(), a.slot_bytes * a.slot_count, reader_.bell_fd.get());  // mapped before the seal
      EXPECT_EQ(seal_arena(fd.get()), 0);
      EXPECT_EQ(writer->port->enable_arena(a.id), Status::ok);
    }
    TestFd link(create_link(4, when_full));
    if (connect(*writer, link, when_full) != Status::ok) return;  // too many at once; it goes on with the one before
    if (writer_) view_.end_for_writer(LinkState::failed);
    for (const std::uint32_t i : {0, 1}) ids_[i] = arenas_[i].id;
    next_id_ = 9;
    writer_ = std::move(writer);
    view_ = view_of(link);
    attackers_[0] = std::make_unique<Attacker>(link.get(), size_of(link), reader_.bell_fd.get());
    attackers_[1] = std::move(on_arena);
  }

  std::uint32_t ids_[2] = {}, next_id_ = 0;  // of this writer's
  const Arena arenas_[2] = {{7, slot_bytes_for(64), kSlots}, {8, slot_bytes_for(640), kSlots}};
  TestReader reader_;
  std::unique_ptr<TestWriter> writer_;
  LinkView view_;
  std::unique_ptr<Attacker> attackers_[2];
  std::deque<Received> leased_;
  std::uint64_t received_ = 0, sum_ = 0;
};

struct NoLock {
  void lock() {}
  void unlock() {}
};

// One thread, a blow or a step at a time, until the choices are used up or `steps` are done.
template <class Besieged>
void besiege(Besieged& besieged, Choices& choices, std::uint64_t steps) {
  NoLock none;
  for (std::uint64_t i = 0; i < steps && choices.left() && !testing::Test::HasFatalFailure(); ++i) {
    if (choices.one_in(3)) besieged.attacker().act(choices);
    else besieged.step(choices, none);
    if constexpr (requires { besieged.arena_attacker(); })
      if (choices.one_in(8)) besieged.arena_attacker().act(choices);
  }
  if (!testing::Test::HasFatalFailure()) besieged.finish();
}

}  // namespace hawse::plane
