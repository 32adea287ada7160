// SPDX-License-Identifier: Apache-2.0
//
// What holds on every link, whatever its policy, and what each policy promises.
#include "plane/edge_fixture.hpp"

namespace hawse::plane {
namespace {

class EveryPolicy : public testing::TestWithParam<WhenFull> {};
INSTANTIATE_TEST_SUITE_P(Link, EveryPolicy, testing::Values(WhenFull::block, WhenFull::drop_oldest, WhenFull::drop_newest, WhenFull::latest),
                         testing::PrintToStringParamName());

TEST_P(EveryPolicy, hands_a_frame_over_without_a_copy) {
  TestWriter writer(1000, 4);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 4, GetParam());
  Building building;
  ASSERT_EQ(writer.port->allocate(1000, &building), Status::ok);
  building.header->type = FrameType::tensor;
  building.header->dtype = Dtype::int16;
  building.header->rank = 2;
  building.header->shape[0] = 100;
  building.header->shape[1] = 5;
  building.header->payload_bytes = 1000;
  building.header->trace_id = 42;
  ASSERT_EQ(writer.port->send(building, 0), Status::ok);
  building.payload[999] = std::byte{7};  // after the send, and the reader sees it: it is the same memory

  Received frame;
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  EXPECT_EQ(frame.payload[999], std::byte{7});
  EXPECT_EQ(frame.header.sequence, 1u);
  EXPECT_EQ(frame.header.trace_id, 42u);
  EXPECT_EQ(frame.header.shape[0], 100u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frame.payload) % kCacheLine, 0u);
  EXPECT_EQ(reader.link->leased(), 1u);
  EXPECT_EQ(writer.port->slots_in_use(), 1u);
  reader.link->release(frame.slot, frame.epoch);
  writer.port->pump();
  EXPECT_EQ(reader.link->leased(), 0u);
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
  const LinkView view = view_of(link);
  EXPECT_EQ(view.writer().frames.load(), 1u);
  EXPECT_EQ(view.writer().bytes.load(), 1000u);
  EXPECT_EQ(view.writer().copies.load(), 0u);
  EXPECT_EQ(view.reader().latency.count.load(), 1u);
}

TEST_P(EveryPolicy, keeps_order_and_content_when_the_reader_keeps_up) {
  TestWriter writer(256, 3);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 2, GetParam());
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    ASSERT_EQ(send_one(*writer.port, i % 257), Status::ok);
    ASSERT_EQ(drain(*reader.link), range(i, i));
  }
  EXPECT_EQ(view_of(link).writer().dropped.load(), 0u);
}

TEST_P(EveryPolicy, never_reuses_a_slot_that_is_leased) {
  TestWriter writer(64, 4);  // one leased, two unread, one being built
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 2, GetParam());
  Received kept;
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  ASSERT_EQ(reader.link->receive(&kept), Status::ok);
  for (int i = 0; i < 100; ++i) {
    if (GetParam() == WhenFull::block) drain(*reader.link);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    ASSERT_TRUE(is_intact(kept));
  }
  EXPECT_EQ(kept.header.sequence, 1u);
}

TEST_P(EveryPolicy, ends_after_the_last_frame) {
  TestWriter writer(64, 4);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 4, GetParam());
  Received frame;
  EXPECT_EQ(reader.link->receive(&frame), Status::empty);
  EXPECT_FALSE(reader.link->has_unread());
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  writer.port->end(LinkState::ended);
  EXPECT_EQ(send_one(*writer.port), Status::ended);
  EXPECT_FALSE(writer.port->drained());
  EXPECT_EQ(drain(*reader.link), range(1, 1));
  EXPECT_TRUE(reader.link->has_unread());
  EXPECT_EQ(reader.link->receive(&frame), Status::ended);
  EXPECT_TRUE(writer.port->drained());
}

TEST_P(EveryPolicy, forgets_a_reader_that_closed) {
  TestWriter writer(64, 2);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 2, GetParam());
  Received frame;
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  reader.link->close();
  EXPECT_EQ(reader.link->receive(&frame), Status::ended);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
  EXPECT_TRUE(writer.port->drained());
}

TEST_P(EveryPolicy, what_a_failed_reader_never_had_counts_as_dropped) {
  TestWriter writer(64, 2);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 2, GetParam());
  Received frame;
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  view_of(link).end_for_reader(LinkState::failed);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(view_of(link).writer().dropped.load(), 11u);
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
}

TEST_P(EveryPolicy, carries_nothing_and_a_quarter_of_a_gigabyte) {
  TestWriter writer(0, 2);
  writer.grow(256ull << 20, 1);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 2, GetParam());
  Received frame;
  ASSERT_EQ(send_one(*writer.port, 0), Status::ok);
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  EXPECT_EQ(frame.header.payload_bytes, 0u);
  reader.link->release(frame.slot, frame.epoch);

  Building building;
  ASSERT_EQ(writer.port->allocate(256ull << 20, &building), Status::ok);
  building.header->type = FrameType::bytes;
  building.header->payload_bytes = 256ull << 20;
  building.payload[(256ull << 20) - 1] = std::byte{9};
  ASSERT_EQ(writer.port->send(building, 0), Status::ok);
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  EXPECT_EQ(frame.payload[(256ull << 20) - 1], std::byte{9});
  EXPECT_EQ(writer.port->allocate((256ull << 20) + 64, &building), Status::too_large);
}

TEST(Link, block_says_full_and_nothing_happened) {
  TestWriter writer(64, 8);
  TestReader slow, fast;
  const TestFd slow_link = join(writer, slow, 0, 2, WhenFull::block), fast_link = join(writer, fast, 1, 8, WhenFull::block);
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_FALSE(writer.port->can_send());
  Building building;
  ASSERT_EQ(build(*writer.port, 64, &building), Status::ok);
  EXPECT_EQ(writer.port->send(building, 1), Status::full);
  EXPECT_EQ(drain(*fast.link), range(1, 2));
  Received frame;
  ASSERT_EQ(slow.link->receive(&frame), Status::ok);  // a place in the queue is enough: the slot need not be back
  EXPECT_TRUE(writer.port->can_send());
  EXPECT_EQ(writer.port->send(building, 1), Status::ok);
  EXPECT_EQ(drain(*fast.link), range(3, 3));
  EXPECT_EQ(drain(*slow.link), range(2, 3));
  EXPECT_GT(view_of(slow_link).writer().blocked_ns.load(), 0u);
  EXPECT_EQ(view_of(fast_link).writer().blocked_ns.load(), 0u);
  EXPECT_EQ(view_of(fast_link).writer().copies.load(), 1u);
}

TEST(Link, drop_oldest_keeps_the_newest_of_the_queue) {
  TestWriter writer(64, 8);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 3, WhenFull::drop_oldest);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(writer.port->slots_in_use(), 3u);
  EXPECT_EQ(drain(*reader.link), range(8, 10));
  EXPECT_EQ(view_of(link).writer().dropped.load(), 7u);
}

TEST(Link, drop_newest_keeps_the_oldest_of_the_queue) {
  TestWriter writer(64, 8);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 3, WhenFull::drop_newest);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(writer.port->slots_in_use(), 3u);
  EXPECT_EQ(drain(*reader.link), range(1, 3));
  EXPECT_EQ(view_of(link).writer().dropped.load(), 7u);
}

TEST(Link, latest_keeps_one) {
  TestWriter writer(64, 8);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 4, WhenFull::latest);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(drain(*reader.link), range(10, 10));
  EXPECT_EQ(view_of(link).writer().dropped.load(), 9u);
}

TEST(Link, each_link_of_a_port_follows_its_own_policy) {
  TestWriter writer(64, 16);
  TestReader readers[3];
  const TestFd links[3] = {join(writer, readers[0], 0, 8, WhenFull::block), join(writer, readers[1], 1, 2, WhenFull::drop_oldest),
                           join(writer, readers[2], 2, 2, WhenFull::drop_newest)};
  for (int i = 0; i < 8; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(send_one(*writer.port), Status::full);
  EXPECT_EQ(drain(*readers[0].link), range(1, 8));
  EXPECT_EQ(drain(*readers[1].link), range(7, 8));
  EXPECT_EQ(drain(*readers[2].link), range(1, 2));
  writer.port->pump();
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
}

TEST(Port, without_links_takes_every_frame_and_keeps_none) {
  TestWriter writer(64, 1);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
  EXPECT_EQ(writer.port->next_sequence(), 6u);
}

TEST(Port, gives_out_the_hottest_slot_of_the_smallest_size_that_fits) {
  TestWriter writer(2048, 2);
  writer.grow(100, 2);
  Building small[3], large, again;
  ASSERT_EQ(writer.port->allocate(100, &small[0]), Status::ok);
  ASSERT_EQ(writer.port->allocate(10, &small[1]), Status::ok);
  EXPECT_EQ(small[0].capacity, writer.arenas[1].slot_bytes);
  ASSERT_EQ(writer.port->allocate(200, &large), Status::ok);
  EXPECT_EQ(large.capacity, writer.arenas[0].slot_bytes);
  EXPECT_EQ(writer.port->allocate(10, &small[2]), Status::no_slot);  // the free one is more than four times as large
  EXPECT_FALSE(writer.port->can_send());
  writer.port->abandon(small[1]);
  writer.port->abandon(small[0]);
  EXPECT_TRUE(writer.port->can_send());
  ASSERT_EQ(writer.port->allocate(100, &again), Status::ok);
  EXPECT_EQ(again.slot.number, small[0].slot.number);
  EXPECT_EQ(writer.port->allocate(4000, &again), Status::too_large);
}

TEST(Port, borrows_a_slot_up_to_four_times_as_large) {
  TestWriter writer(1024, 1);
  writer.grow(3000, 1);
  Building first, second;
  ASSERT_EQ(writer.port->allocate(1000, &first), Status::ok);
  ASSERT_EQ(writer.port->allocate(1000, &second), Status::ok);
  EXPECT_EQ(second.capacity, writer.arenas[1].slot_bytes);
}

TEST(Port, refuses_what_is_not_a_frame_being_built) {
  TestWriter writer(64, 2);
  Building building;
  ASSERT_EQ(writer.port->allocate(64, &building), Status::ok);
  EXPECT_EQ(writer.port->send(building, 0), Status::invalid);  // no type
  building.header->type = FrameType::bytes;
  building.header->payload_bytes = 4096;
  EXPECT_EQ(writer.port->send(building, 0), Status::invalid);
  building.header->payload_bytes = 64;
  EXPECT_EQ(writer.port->send(building, 0), Status::ok);
  EXPECT_EQ(writer.port->send(building, 0), Status::invalid);  // twice
  building.slot = {99};
  EXPECT_EQ(writer.port->send(building, 0), Status::invalid);
  writer.port->abandon(building);
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
}

TEST(Port, refuses_more_arenas_links_and_slots_than_the_layout_has) {
  TestWriter writer;
  const TestFd arena(create_arena(256, kMaxSlots));
  EXPECT_EQ(writer.port->add_arena(arena.get(), 1, 256, kMaxSlots), Status::ok);
  EXPECT_EQ(writer.port->add_arena(arena.get(), 2, 256, 1), Status::limit);
  EXPECT_EQ(writer.port->add_arena(arena.get(), 1, 256, kMaxSlots), Status::limit);
  EXPECT_EQ(writer.port->enable_arena(5), Status::limit);
  const TestFd link(create_link(2, WhenFull::block));
  EXPECT_EQ(writer.port->set_link(kMaxLinks, link.get(), writer.bell_fd.get(), 2, WhenFull::block), Status::limit);
  EXPECT_EQ(writer.port->set_link(0, link.get(), writer.bell_fd.get(), 3, WhenFull::block), Status::corrupt);
  EXPECT_EQ(writer.port->set_link(0, link.get(), writer.bell_fd.get(), 2, WhenFull::latest), Status::corrupt);
}

TEST(Link, a_frame_of_an_arena_that_has_not_arrived_stays_unread) {
  TestWriter writer(64, 4);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 4, WhenFull::block);
  const TestArena& late = writer.grow(4000, 2);
  ASSERT_EQ(send_one(*writer.port, 2000), Status::ok);
  EXPECT_TRUE(reader.link->has_unread());
  Received frame;
  EXPECT_EQ(reader.link->receive(&frame), Status::unknown_arena);
  EXPECT_FALSE(reader.link->has_unread());
  ASSERT_EQ(reader.link->add_arena(late.fd.get(), late.id, late.slot_bytes, late.slot_count), Status::ok);
  EXPECT_TRUE(reader.link->has_unread());
  EXPECT_EQ(drain(*reader.link), range(1, 1));
}

TEST_P(EveryPolicy, a_flush_overtakes_what_is_unread_makes_room_at_once_and_leaves_what_is_held_as_it_was) {
  const bool keeps_one = GetParam() == WhenFull::latest;
  TestWriter writer(64, 16);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 4, GetParam());
  Received held[2], frame;
  for (Received& one : held) {
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    ASSERT_EQ(reader.link->receive(&one), Status::ok);
  }
  for (int i = 0; i < 4; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  writer.port->flush(77);
  EXPECT_TRUE(writer.port->can_send());
  for (int i = 0; i < 2; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_TRUE(reader.link->has_unread());
  ASSERT_EQ(reader.link->receive(&frame), Status::flushed);
  EXPECT_EQ(frame.flush_id, 77u);
  EXPECT_EQ(drain(*reader.link), range(keeps_one ? 8 : 7, 8));
  EXPECT_EQ(reader.link->receive(&frame), Status::empty);
  const LinkView view = view_of(link);
  EXPECT_EQ(view.reader().flushed.load() + view.writer().flushed.load(), keeps_one ? 1u : 4u);
  EXPECT_EQ(view.writer().dropped.load(), keeps_one ? 4u : 0u);
  EXPECT_EQ(view.leased(), 2u);
  for (std::uint64_t i = 9; i < 100; ++i) {  // every other slot is used again and again
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    if (i % 4 == 0) writer.port->flush(i);
    while (reader.link->receive(&frame) == Status::flushed) {}
    if (i % 4 != 0) reader.link->release(frame.slot, frame.epoch);
    for (std::uint64_t n = 0; n < 2; ++n) ASSERT_TRUE(is_intact(held[n]) && held[n].header.sequence == n + 1) << "after frame " << i;
  }
  for (const Received& one : held) reader.link->release(one.slot, one.epoch);
  writer.port->pump();
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
}

TEST(Link, ignores_a_release_of_what_is_not_leased) {
  TestWriter writer(64, 4);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 4, WhenFull::block);
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  Received frame;
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  for (int i = 0; i < 3; ++i) reader.link->release(frame.slot, frame.epoch);
  reader.link->release({99}, frame.epoch);
  reader.link->release({kMaxSlots}, frame.epoch);
  reader.link->release(frame.slot, 99);
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(drain(*reader.link), range(2, 2));
  EXPECT_EQ(view_of(link).writer_state(), LinkState::open);
}

TEST(Stats, a_histogram_knows_a_quantile_within_a_bucket) {
  const TestFd fd(create_node_page());
  Mapping mapping;
  ASSERT_EQ(Mapping::map(fd.get(), kNodePageBytes, false, &mapping), Status::ok);
  auto& page = *reinterpret_cast<NodePage*>(mapping.data());
  EXPECT_EQ(page.magic, kPageMagic);
  Histogram& histogram = page.processing;
  EXPECT_EQ(quantile(histogram, 0.5), 0u);
  for (std::uint64_t ns = 1; ns <= 100000; ++ns) record(histogram, ns);
  for (const double q : {0.01, 0.5, 0.9, 0.99, 1.0}) EXPECT_NEAR(static_cast<double>(quantile(histogram, q)), q * 100000, q * 100000 * 0.0625) << q;
  EXPECT_EQ(histogram.max_ns.load(), 100000u);
  EXPECT_EQ(histogram.count.load(), 100000u);
  record(histogram, ~0ull);
  EXPECT_GT(quantile(histogram, 1.0), ~0ull / 16 * 15);
  for (std::uint64_t ns = 0; ns < 16; ++ns) {
    const TestFd other(create_node_page());
    Mapping exact;
    ASSERT_EQ(Mapping::map(other.get(), kNodePageBytes, false, &exact), Status::ok);
    record(reinterpret_cast<NodePage*>(exact.data())->processing, ns);
    EXPECT_EQ(quantile(reinterpret_cast<NodePage*>(exact.data())->processing, 0.5), ns);
  }
}

TEST(Header, is_refused_with_any_field_out_of_range) {
  FrameHeader good{};
  good.type = FrameType::tensor;
  good.dtype = Dtype::float32;
  good.rank = 2;
  good.shape[0] = 4;
  good.shape[1] = 4;
  good.sequence = 1;
  good.payload_bytes = 64;
  EXPECT_TRUE(valid(good, 64));
  EXPECT_FALSE(valid(good, 63));
  const auto refused = [&](auto change) {
    FrameHeader bad = good;
    change(bad);
    return !valid(bad, 64);
  };
  EXPECT_TRUE(refused([](FrameHeader& h) { h.type = FrameType::none; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.type = static_cast<FrameType>(9); }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.dtype = static_cast<Dtype>(16); }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.format = static_cast<PixelFormat>(7); }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.rank = 9; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.flags = 4; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.sequence = 0; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.rate_numerator = 25; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.shape[1] = 5; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.shape[0] = h.shape[1] = 1u << 31; }));
  EXPECT_TRUE(refused([](FrameHeader& h) {
    h.rank = 3;
    h.shape[0] = 0;
    h.shape[1] = h.shape[2] = 1u << 31;
  }));
  EXPECT_FALSE(refused([](FrameHeader& h) { h.shape[0] = 0; }));
}

}  // namespace
}  // namespace hawse::plane
