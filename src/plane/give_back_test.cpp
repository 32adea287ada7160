// SPDX-License-Identifier: Apache-2.0
//
// Arenas are given back: which and when, what their places become, and what a reader does whose writer gives back what is still held.
#include "plane/edge_fixture.hpp"
#include "plane/internal.hpp"

namespace hawse::plane {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kLarge = 1000;

// A stream of small frames in which one large one came: arenas 7 and 8.
struct Stream {
  TestWriter writer{64, 8};
  TestReader reader;
  TestFd link = join(writer, reader, 0, 4, WhenFull::block);
  std::int64_t now_ns = 1'000 * kSecond;

  Stream() {
    small();
    grow(2);
    large();
    small();
  }
  void grow(std::uint32_t slots) {
    const TestArena& arena = writer.grow(kLarge, slots);
    EXPECT_EQ(reader.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count), Status::ok);
  }
  void large() { pass(kLarge); }
  void small() { pass(64); }
  void pass(std::uint64_t bytes) {
    ASSERT_EQ(send_one(*writer.port, bytes), Status::ok);
    ASSERT_EQ(drain(*reader.link).size(), 1u);
  }
  std::uint32_t idle_after(std::int64_t seconds) {  // 0: none is
    std::uint32_t id = 0;
    now_ns += seconds * kSecond;
    return writer.port->idle_arena(now_ns, &id) ? id : 0;
  }
  // To the end of a give-back, as the supervisor sees it.
  std::uint32_t give_back() {
    idle_after(0);
    const std::uint32_t id = idle_after(64);
    EXPECT_NE(id, 0u);
    EXPECT_EQ(writer.port->retire_arena(id), Status::ok);
    EXPECT_EQ(reader.link->drop_arena(id), Status::ok);
    writer.port->arena_gone();
    return id;
  }
};

TEST(GiveBack, takes_what_was_made_for_one_large_frame) {
  Stream stream;
  EXPECT_EQ(stream.idle_after(0), 0u);
  EXPECT_EQ(stream.writer.port->look_ns(), stream.now_ns + kIdle_ns);
  stream.small();
  EXPECT_EQ(stream.idle_after(1), 0u);
  EXPECT_EQ(stream.idle_after(1), 8u);
  EXPECT_EQ(stream.writer.port->retire_arena(8), Status::ok);
  EXPECT_EQ(stream.reader.link->drop_arena(8), Status::ok);
  EXPECT_EQ(stream.writer.port->look_ns(), kNever) << "nothing is looked at while somebody still has it";
  stream.writer.port->arena_gone();
  EXPECT_EQ(stream.idle_after(1000), 0u) << "the only one stays";
  EXPECT_EQ(stream.writer.port->look_ns(), kNever);
  EXPECT_EQ(send_one(*stream.writer.port, kLarge), Status::too_large);
  stream.small();
}

TEST(GiveBack, leaves_a_silent_port_the_arena_that_it_used_most) {
  Stream stream;
  for (int i = 0; i < 9; ++i) stream.large();
  EXPECT_EQ(stream.give_back(), 7u);
  stream.small();
  stream.large();
}

TEST(GiveBack, takes_the_arena_that_it_used_most_when_the_stream_has_gone_on) {
  Stream stream;
  for (int i = 0; i < 9; ++i) stream.small();
  EXPECT_EQ(stream.idle_after(0), 0u);
  stream.large();
  EXPECT_EQ(stream.idle_after(2), 7u);
}

TEST(GiveBack, leaves_alone_what_is_used_now_and_then) {
  Stream stream;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(stream.idle_after(1), 0u);
    stream.small();
    if (i % 2 == 0) stream.large();
  }
}

TEST(GiveBack, waits_longer_where_the_port_grew_again_soon) {
  Stream stream;
  const auto patience = [&] {
    stream.idle_after(0);
    return stream.writer.port->look_ns() - stream.now_ns;
  };
  for (const std::int64_t expected : {2, 4, 8, 16, 32, 64, 64}) {
    EXPECT_EQ(patience(), expected * kSecond);
    EXPECT_NE(stream.idle_after(expected), 0u);
    EXPECT_EQ(stream.writer.port->retire_arena(stream.writer.next_id - 1), Status::ok);
    stream.writer.port->arena_gone();
    stream.grow(2);
  }
  stream.give_back();
  stream.now_ns += 1000 * kSecond;
  stream.grow(2);
  EXPECT_EQ(patience(), kIdle_ns);
}

TEST(GiveBack, is_refused_while_a_slot_is_built_unread_leased_or_looked_at) {
  Stream stream;
  OutputPort& port = *stream.writer.port;
  Building building;
  ASSERT_EQ(build(port, kLarge, &building), Status::ok);
  EXPECT_EQ(port.retire_arena(8), Status::invalid);
  ASSERT_EQ(port.send(building, 0), Status::ok);
  EXPECT_EQ(port.retire_arena(8), Status::invalid);
  Received frame;
  ASSERT_EQ(stream.reader.link->receive(&frame), Status::ok);
  EXPECT_EQ(port.retire_arena(8), Status::invalid);
  EXPECT_EQ(stream.idle_after(0), 0u);
  EXPECT_EQ(stream.idle_after(100), 0u) << "the usual one stays for what comes next";
  EXPECT_EQ(port.look_ns() - stream.now_ns, 64 * kSecond) << "what is held is looked at less and less often";
  port.pin(building.slot);
  stream.reader.link->release(frame.slot, frame.epoch);
  EXPECT_EQ(port.retire_arena(8), Status::invalid);
  port.unpin(building.slot);
  EXPECT_EQ(port.retire_arena(8), Status::ok);
  EXPECT_EQ(port.retire_arena(8), Status::limit);
  EXPECT_EQ(port.retire_arena(99), Status::limit);
}

TEST(GiveBack, goes_on_for_ever_without_running_out_of_arenas_or_slots) {
  Stream stream;
  for (std::uint32_t round = 0; round < 10 * kMaxArenas; ++round) {
    stream.give_back();
    stream.grow(kMaxSlots / 4 >> round % 4);
    stream.large();
    stream.small();
    ASSERT_LE(stream.writer.port->slot_count(), 8u + kMaxSlots / 4);
    stream.writer.arenas.erase(stream.writer.arenas.begin() + 1);
  }
  Building building;
  ASSERT_EQ(build(*stream.writer.port, kLarge, &building), Status::ok);
  EXPECT_LE(building.slot.number, 8u + kMaxSlots / 4) << "numbers were not used again";
}

TEST(GiveBack, puts_a_new_arena_between_two_that_stay) {
  TestWriter writer(64, 4);
  TestReader reader;
  writer.grow(128, 4);
  writer.grow(192, 4);
  ASSERT_EQ(writer.port->retire_arena(8), Status::ok);
  writer.grow(256, 5);  // doesn't fit there
  writer.grow(320, 3);  // does
  Building building;
  ASSERT_EQ(build(*writer.port, 256, &building), Status::ok);
  EXPECT_EQ(building.slot.number, 12u);
  ASSERT_EQ(build(*writer.port, 320, &building), Status::ok);
  EXPECT_EQ(building.slot.number, 4u);
  EXPECT_EQ(writer.port->slots_in_use(), 2u);
}

// A hostile writer: the supervisor believed it.
TEST(GiveBack, of_what_is_leased_closes_the_link_and_the_view_stays) {
  Stream stream;
  ASSERT_EQ(send_one(*stream.writer.port, kLarge), Status::ok);
  Received frame, next;
  ASSERT_EQ(stream.reader.link->receive(&frame), Status::ok);
  EXPECT_EQ(stream.reader.link->drop_arena(8), Status::ok);
  EXPECT_TRUE(is_intact(frame));
  EXPECT_EQ(stream.reader.link->receive(&next), Status::corrupt);
  EXPECT_EQ(view_of(stream.link).reader_state(), LinkState::failed);
  EXPECT_EQ(view_of(stream.link).reader().rejected.load(), 1u);
  stream.grow(2);  // and what comes later for a closed link is no error
  EXPECT_EQ(stream.reader.link->drop_arena(9), Status::ok);
  EXPECT_TRUE(is_intact(frame));
  stream.reader.link->release(frame.slot, frame.epoch);
  EXPECT_EQ(stream.reader.link->drop_arena(8), Status::ok);

  TestWriter better(64, 4);
  const TestFd fresh = join(better, stream.reader, 0, 4, WhenFull::block);
  ASSERT_EQ(send_one(*better.port), Status::ok);
  EXPECT_EQ(drain(*stream.reader.link), range(1, 1));
}

TEST(GiveBack, of_what_is_leased_at_a_position_beyond_all_numbers_keeps_the_view) {
  TestWriter writer(64, 8);
  TestReader reader;
  const TestFd link(create_link(4, WhenFull::drop_oldest));
  LinkMemory memory;
  Mapping mapping;
  ASSERT_EQ(open_link(link.get(), &mapping, &memory), Status::ok);
  const std::uint64_t position = (std::uint64_t{7} << 58) - 8;  // its high bits would name another arena
  memory.header->read.store(position);
  memory.header->adopted.store(1);
  ASSERT_EQ(reader.link->connect(link.get(), writer.bell_fd.get()), Status::ok);
  ASSERT_EQ(reader.link->add_arena(writer.arenas[0].fd.get(), 7, 64, 8), Status::ok);
  Descriptor& descriptor = memory.descriptors[position & memory.ring_mask];
  descriptor.header[0].store(static_cast<std::uint64_t>(FrameType::bytes));
  descriptor.header[1].store(1);
  descriptor.header[2].store(64);
  descriptor.place.store(packed({7, 0, 0}));
  descriptor.stamp.store(position + 1);
  Received frame;
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  EXPECT_EQ(reader.link->drop_arena(7), Status::ok);
  EXPECT_EQ(static_cast<int>(frame.payload[63]), 0);  // a fault, were it unmapped
  reader.link->release(frame.slot, frame.epoch);
  EXPECT_EQ(reader.link->leased(), 0u);
}

TEST(GiveBack, of_what_is_unread_closes_the_link) {
  Stream stream;
  ASSERT_EQ(send_one(*stream.writer.port, kLarge), Status::ok);
  EXPECT_EQ(stream.reader.link->drop_arena(8), Status::ok);
  Received frame;
  EXPECT_EQ(stream.reader.link->receive(&frame), Status::corrupt);
}

TEST(GiveBack, and_what_is_still_on_its_way_are_told_apart_when_ids_begin_anew) {
  TestWriter writer;
  TestReader reader;
  std::deque<TestArena> arenas;
  const TestFd link = join(writer, reader, 0, 4, WhenFull::block);
  const auto come = [&](std::uint32_t id) {
    arenas.push_back({TestFd(create_arena(64, 2)), id, 64, 2});
    EXPECT_EQ(writer.port->add_arena(arenas.back().fd.get(), id, 64, 2), Status::ok);
    EXPECT_EQ(seal_arena(arenas.back().fd.get()), 0);
    EXPECT_EQ(writer.port->enable_arena(id), Status::ok);
    return arenas.back().fd.get();
  };
  const auto leave = [&](std::uint32_t id) {
    EXPECT_EQ(writer.port->retire_arena(id), Status::ok);
    EXPECT_EQ(reader.link->drop_arena(id), Status::ok);
  };
  for (const std::uint32_t id : {0xfffeu, 0xffffu, 0u, 1u}) {
    const int fd = come(id);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    Received frame;
    EXPECT_EQ(reader.link->receive(&frame), Status::unknown_arena) << id;
    ASSERT_EQ(reader.link->add_arena(fd, id, 64, 2), Status::ok);
    EXPECT_EQ(drain(*reader.link).size(), 1u);
    leave(id);
  }
  EXPECT_EQ(reader.link->drop_arena(1), Status::limit);
  come(0xffff);
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  Received frame;
  EXPECT_EQ(reader.link->receive(&frame), Status::corrupt);
}

TEST(GiveBack, doesnt_touch_what_a_reader_has_of_the_writer_before) {
  Stream stream;
  ASSERT_EQ(send_one(*stream.writer.port, kLarge), Status::ok);
  Received old;
  ASSERT_EQ(stream.reader.link->receive(&old), Status::ok);
  TestWriter next(64, 4);
  next.grow(kLarge, 2);  // the same ids
  const TestFd link = join(next, stream.reader, 0, 4, WhenFull::block);
  ASSERT_EQ(next.port->retire_arena(8), Status::ok);
  EXPECT_EQ(stream.reader.link->drop_arena(8), Status::ok);
  EXPECT_TRUE(is_intact(old));
  ASSERT_EQ(send_one(*next.port), Status::ok);
  stream.reader.link->release(old.slot, old.epoch);
  EXPECT_EQ(drain(*stream.reader.link), range(1, 1));
}

}  // namespace
}  // namespace hawse::plane
