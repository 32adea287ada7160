// SPDX-License-Identifier: Apache-2.0
//
// One side of a link is an attacker with a writable map of all that its side is given. The other side neither crashes, nor
// reads or writes outside its memory (the sanitizers watch), nor hands out a slot that is leased; and the port's other
// readers get every frame.
#include <sys/mman.h>

#include <functional>
#include <map>
#include <random>
#include <set>

#include "plane/edge_fixture.hpp"
#include "plane/internal.hpp"

namespace hawse::plane {
namespace {

// The attacker's own map of a link.
struct Attack {
  Mapping mapping;
  LinkMemory memory;
  explicit Attack(const TestFd& fd) { EXPECT_EQ(open_link(fd.get(), &mapping, &memory), Status::ok); }
  LinkHeader& header() { return *memory.header; }
};

constexpr std::uint32_t kArena = 7;  // the first identifier that TestWriter gives

struct BrokenRule {
  const char* name;
  std::function<void(LinkHeader&, LinkMemory&)> act;
};
const BrokenRule kReaderBreaks[] = {
    {"read_beyond_written", [](LinkHeader& h, LinkMemory&) { h.read.store(1000); }},
    {"read_going_back", [](LinkHeader& h, LinkMemory&) { h.read.store(0); }},
    {"a_slot_that_is_not_its_own", [](LinkHeader& h, LinkMemory&) { h.returned[0].fetch_or(1u << 15); }},
    {"every_slot", [](LinkHeader& h, LinkMemory&) { h.returned[0].store(~0ull); }},
};

TEST(HostileReader, breaks_its_own_link_and_no_other) {
  for (const BrokenRule& rule : kReaderBreaks) {
    SCOPED_TRACE(rule.name);
    TestWriter writer(64, 16);
    TestReader hostile, honest;
    const TestFd hostile_link = join(writer, hostile, 0, 2, WhenFull::block), honest_link = join(writer, honest, 1, 8, WhenFull::block);
    for (int i = 0; i < 2; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
    EXPECT_EQ(drain(*hostile.link), range(1, 2));
    for (int i = 0; i < 2; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);  // the queue is full: cursors will be looked at

    Attack attack(hostile_link);
    rule.act(attack.header(), attack.memory);
    writer.port->pump();
    for (int i = 0; i < 4; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
    EXPECT_EQ(view_of(hostile_link).writer_state(), LinkState::failed);
    EXPECT_EQ(view_of(honest_link).writer_state(), LinkState::open);
    EXPECT_EQ(drain(*honest.link), range(1, 8));
    writer.port->pump();
    EXPECT_EQ(writer.port->slots_in_use(), 0u);

    hostile.link = std::make_unique<InputLink>();  // and a better one may take its place
    const TestFd fresh = join(writer, hostile, 0, 2, WhenFull::block);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    EXPECT_EQ(drain(*hostile.link), range(9, 9));
  }
}

TEST(HostileReader, that_returns_unread_frames_of_a_dropping_link_is_failed) {
  for (const WhenFull when_full : {WhenFull::drop_oldest, WhenFull::latest}) {
    TestWriter writer(64, 8);
    TestReader hostile, honest;
    const TestFd link = join(writer, hostile, 0, 1, when_full), other = join(writer, honest, 1, 8, WhenFull::block);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    Attack attack(link);
    attack.header().returned[0].store(1);
    writer.port->pump();
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    EXPECT_EQ(view_of(link).writer_state(), LinkState::failed);
    EXPECT_EQ(drain(*honest.link), range(1, 2));
    writer.port->pump();
    EXPECT_EQ(writer.port->slots_in_use(), 0u) << "a link that was failed has a slot";
  }
}

const BrokenRule kWriterBreaks[] = {
    {"a_stamp_of_later", [](LinkHeader&, LinkMemory& m) { m.descriptors[1].stamp.store(1000); }},
    {"a_slot_beyond_the_arena", [](LinkHeader&, LinkMemory& m) { m.descriptors[1].place.store(packed({kArena, 1, 16})); }},
    {"a_number_that_no_slot_has", [](LinkHeader&, LinkMemory& m) { m.descriptors[1].place.store(packed({kArena, kMaxSlots, 1})); }},
    {"a_payload_beyond_the_slot", [](LinkHeader&, LinkMemory& m) { m.descriptors[1].header[offsetof(FrameHeader, payload_bytes) / 8].store(65); }},
    {"a_header_of_no_type", [](LinkHeader&, LinkMemory& m) { m.descriptors[1].header[0].store(0); }},
    {"a_slot_that_is_leased", [](LinkHeader&, LinkMemory& m) { m.descriptors[1].place.store(m.descriptors[0].place.load()); }},
};

TEST(HostileWriter, closes_its_link_and_the_reader_keeps_what_it_has) {
  for (const WhenFull when_full : {WhenFull::block, WhenFull::drop_oldest}) {
    for (const BrokenRule& rule : kWriterBreaks) {
      SCOPED_TRACE(rule.name);
      TestWriter writer(64, 16);
      TestReader reader;
      const TestFd link = join(writer, reader, 0, 4, when_full);
      Received first, second;
      ASSERT_EQ(send_one(*writer.port), Status::ok);
      ASSERT_EQ(reader.link->receive(&first), Status::ok);
      ASSERT_EQ(send_one(*writer.port), Status::ok);
      Attack attack(link);
      rule.act(attack.header(), attack.memory);
      EXPECT_EQ(reader.link->receive(&second), Status::corrupt);
      EXPECT_EQ(reader.link->receive(&second), Status::corrupt);
      EXPECT_EQ(view_of(link).reader_state(), LinkState::failed);
      EXPECT_EQ(view_of(link).reader().rejected.load(), 1u);
      EXPECT_TRUE(is_intact(first));
      reader.link->release(first.slot, first.epoch);

      TestWriter better(64, 4);
      const TestFd fresh = join(better, reader, 0, 4, when_full);
      ASSERT_EQ(send_one(*better.port), Status::ok);
      EXPECT_EQ(drain(*reader.link), range(1, 1));
    }
  }
}

TEST(HostileWriter, cannot_pass_off_a_link_that_is_none) {
  TestReader reader;
  TestWriter writer;
  for (const std::function<void(LinkHeader&)>& change : std::vector<std::function<void(LinkHeader&)>>{
           [](LinkHeader& h) { h.magic = 0; }, [](LinkHeader& h) { h.version = kVersion + 1; }, [](LinkHeader& h) { h.queue = 0; },
           [](LinkHeader& h) { h.queue = kMaxQueue + 1; }, [](LinkHeader& h) { h.ring_slots = 12; }, [](LinkHeader& h) { h.shared_read = 2; },
           [](LinkHeader& h) {
             h.queue = 4096;
             h.ring_slots = 8192;
           }}) {
    const TestFd fd(create_link(4, WhenFull::block));
    change(Attack(fd).header());
    EXPECT_NE(reader.link->connect(fd.get(), writer.bell_fd.get()), Status::ok);
    EXPECT_NE(writer.port->set_link(0, fd.get(), reader.bell_fd.get(), 4, WhenFull::block), Status::ok);
    LinkView view;
    EXPECT_NE(LinkView::map(fd.get(), &view), Status::ok);
  }
}

// ---- garbage without a plan ---------------------------------------------------------------------------------------

using Random = std::mt19937_64;

std::uint64_t pick(Random& random, std::uint64_t below) { return random() % below; }

// Mostly near what stands there: wild values are caught at the first look.
std::uint64_t garbage(Random& random, std::uint64_t now) {
  switch (pick(random, 6)) {
    case 0: return now + 1;
    case 1: return now - 1;
    case 2: return now + pick(random, 20);
    case 3: return pick(random, 20);
    case 4: return packed({kArena, static_cast<std::uint16_t>(pick(random, 18)), static_cast<std::uint32_t>(pick(random, 18))});
    default: return random();
  }
}

void spoil(Random& random, std::atomic<std::uint64_t>& word) { word.store(garbage(random, word.load(std::memory_order_relaxed)), std::memory_order_relaxed); }

void spoil_descriptor(Random& random, Descriptor& descriptor) {
  const std::uint64_t word = pick(random, kHeaderWords + 2);
  spoil(random, word == 0 ? descriptor.stamp : word == 1 ? descriptor.place : descriptor.header[word - 2]);
}

void spoil_link(Random& random, Attack& attack) {
  LinkHeader& header = attack.header();
  const std::uint64_t entry = pick(random, std::uint64_t{attack.memory.ring_mask} + 1);
  switch (pick(random, 9)) {
    case 0: return spoil(random, attack.memory.leases[entry].position_1);
    case 1: return spoil(random, header.read);
    case 2: return spoil(random, header.returned[pick(random, 2)]);
    case 3: return spoil(random, header.void_until);
    case 4: return spoil(random, header.flush_id);
    case 5: return spoil_descriptor(random, attack.memory.descriptors[entry]);
    case 6: return header.reader_sleeps.store(static_cast<std::uint32_t>(random()), std::memory_order_relaxed);
    case 7: return header.writer_sleeps.store(static_cast<std::uint32_t>(random()), std::memory_order_relaxed);
    default: return spoil(random, attack.memory.reader->latency.buckets[pick(random, kHistogramBuckets)]);
  }
}

constexpr WhenFull kPolicies[] = {WhenFull::block, WhenFull::drop_oldest, WhenFull::drop_newest, WhenFull::latest};

TEST(HostileReader, with_random_garbage_never_harms_the_others) {
  Random random(20240601);
  for (int round = 0; round < 400; ++round) {
    TestWriter writer(64, 8);
    TestReader hostile, honest;
    std::vector<TestFd> links;
    links.push_back(join(writer, hostile, 0, 2, kPolicies[round % 4]));
    links.push_back(join(writer, honest, 1, 4, WhenFull::block));
    auto attack = std::make_unique<Attack>(links[0]);
    std::uint64_t expected = 1, sent = 0;
    std::deque<Received> leased;
    for (int step = 0; step < 200; ++step) {
      if (pick(random, 3) == 0) spoil_link(random, *attack);
      Received frame;
      if (pick(random, 2) == 0 && hostile.link->receive(&frame) == Status::ok && pick(random, 2) == 0) hostile.link->release(frame.slot, frame.epoch);
      Building building;
      if (build(*writer.port, 64, &building) == Status::ok) {
        for (const Received& held : leased) ASSERT_FALSE(held.slot.number == building.slot.number) << "a leased slot was given out";
        if (writer.port->send(building, 0) == Status::ok) {
          ++sent;
        } else {
          writer.port->abandon(building);
        }
      }
      if (pick(random, 2) == 0 && honest.link->receive(&frame) == Status::ok) {
        ASSERT_EQ(frame.header.sequence, expected++);
        leased.push_back(frame);
      }
      for (const Received& held : leased) ASSERT_TRUE(is_intact(held));
      if (leased.size() > pick(random, 4)) {
        honest.link->release(leased.front().slot, leased.front().epoch);
        leased.pop_front();
      }
      writer.port->drained();
      if (pick(random, 40) == 0) {  // the supervisor replaces it, by another of the kind
        hostile.link = std::make_unique<InputLink>();
        links.push_back(join(writer, hostile, 0, 2, kPolicies[pick(random, 4)]));
        attack = std::make_unique<Attack>(links.back());
      }
    }
    for (const Received& held : leased) honest.link->release(held.slot, held.epoch);
    Received frame;
    while (honest.link->receive(&frame) == Status::ok) {
      ASSERT_EQ(frame.header.sequence, expected++);
      honest.link->release(frame.slot, frame.epoch);
    }
    ASSERT_EQ(expected, sent + 1);
    view_of(links[0]).end_for_reader(LinkState::failed);
  }
}

// What a node does with a frame: reads all of it.
std::uint64_t sum(const Received& frame) {
  std::uint64_t total = 0;
  for (std::uint64_t i = 0; i < frame.header.payload_bytes; ++i) total += static_cast<std::uint64_t>(frame.payload[i]);
  return total;
}

TEST(HostileWriter, with_random_garbage_never_hands_out_a_leased_slot) {
  Random random(20240602);
  std::uint64_t received = 0, total = 0;
  for (int round = 0; round < 400; ++round) {
    TestReader reader;
    for (int writers = 0; writers < 4; ++writers) {
      TestWriter writer;
      TestArena arena{TestFd(create_arena(256, 8)), kArena, 256, 8};
      ASSERT_EQ(writer.port->add_arena(arena.fd.get(), kArena, 256, 8), Status::ok);
      ASSERT_EQ(seal_arena(arena.fd.get()), 0);
      ASSERT_EQ(writer.port->enable_arena(kArena), Status::ok);
      writer.arenas.push_back(std::move(arena));
      const TestFd link = join(writer, reader, 0, 4, kPolicies[pick(random, 4)]);
      Attack attack(link);
      std::map<std::uint64_t, Received> leased;  // by place and epoch
      for (int step = 0; step < 60; ++step) {
        send_one(*writer.port);
        if (pick(random, 3) == 0) spoil_link(random, attack);
        reader.link->has_unread();
        Received frame;
        if (reader.link->receive(&frame) == Status::ok) {
          ++received;
          total += sum(frame);
          ASSERT_LE(frame.header.payload_bytes, 256u);
          ASSERT_TRUE(leased.emplace(frame.epoch << 8 | frame.slot.number, frame).second) << "leased twice";
        }
        if (!leased.empty() && pick(random, 2) == 0) {
          reader.link->release(leased.begin()->second.slot, leased.begin()->second.epoch);
          leased.erase(leased.begin());
        }
      }
      for (const auto& [key, frame] : leased) {
        total += sum(frame);
        reader.link->release(frame.slot, frame.epoch);
      }
    }
    ASSERT_EQ(reader.link->leased(), 0u);
  }
  EXPECT_GT(received, 1000u);
  EXPECT_GT(total, 0u);
}

TEST(HostilePeer, that_fills_a_histogram_with_garbage_gets_a_number) {
  const TestFd fd(create_link(1, WhenFull::block));
  Attack attack(fd);
  for (auto& bucket : attack.memory.reader->latency.buckets) bucket.store(~0ull);
  EXPECT_GT(quantile(view_of(fd).reader().latency, 0.5), 0u);
}

}  // namespace
}  // namespace hawse::plane
