// SPDX-License-Identifier: Apache-2.0
//
// A node dies and another takes its place. An end that is destroyed without close() or end() leaves the link exactly as a
// killed process does; the last test kills real ones.
#include <signal.h>
#include <sys/wait.h>

#include <set>

#include "plane/edge_fixture.hpp"
#include "plane/internal.hpp"

namespace hawse::plane {
namespace {

TestFd replace_reader(TestWriter& writer, TestReader& reader, std::uint32_t queue, WhenFull when_full) {
  reader.link = std::make_unique<InputLink>();
  return join(writer, reader, 0, queue, when_full);
}

TEST(Replace, a_new_reader_is_given_every_unreturned_frame_in_order) {
  TestWriter writer(64, 16);
  TestReader reader;
  const TestFd first = join(writer, reader, 0, 8, WhenFull::block);
  for (int i = 0; i < 8; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  Received frames[5];
  for (Received& frame : frames) ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  reader.link->release(frames[3].slot, frames[3].epoch);
  reader.link->release(frames[0].slot, frames[0].epoch);
  ASSERT_EQ(send_one(*writer.port), Status::ok);

  const TestFd second = replace_reader(writer, reader, 8, WhenFull::block);
  ASSERT_EQ(send_one(*writer.port), Status::ok);  // 2 3 5 6 7 8 9, and 10 new
  EXPECT_EQ(send_one(*writer.port), Status::full);
  for (const std::uint64_t expected : {2u, 3u, 5u, 6u, 7u, 8u, 9u, 10u}) {
    Received frame;
    ASSERT_EQ(reader.link->receive(&frame), Status::ok);
    EXPECT_EQ(frame.header.sequence, expected);
    EXPECT_TRUE(is_intact(frame));
    EXPECT_EQ((frame.header.flags & kFlagGivenAgain) != 0, expected < 10);
    reader.link->release(frame.slot, frame.epoch);
  }
  writer.port->pump();
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
  EXPECT_EQ(view_of(second).writer().given_again.load(), 7u);
}

TEST(Replace, what_a_dead_reader_held_may_be_more_than_its_queue) {
  TestWriter writer(64, 16);
  TestReader reader;
  const TestFd first = join(writer, reader, 0, 2, WhenFull::block);
  Received frame;
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  }
  const TestFd second = replace_reader(writer, reader, 2, WhenFull::block);
  EXPECT_FALSE(writer.port->can_send());
  writer.port->end(LinkState::ended);  // the end comes after what waits
  EXPECT_EQ(drain(*reader.link), range(1, 10));
  EXPECT_EQ(reader.link->receive(&frame), Status::ended);
  EXPECT_TRUE(writer.port->drained());
}

TEST(Replace, a_dropping_link_treats_what_is_given_again_as_unread) {
  struct Case {
    WhenFull when_full;
    std::uint64_t first, last, dropped;  // what comes of 1 to 6, given again, and the new 7
  };
  for (const Case& one : {Case{WhenFull::drop_oldest, 6, 7, 5}, Case{WhenFull::drop_newest, 1, 6, 1}, Case{WhenFull::latest, 7, 7, 6}}) {
    SCOPED_TRACE(testing::PrintToString(one.when_full));
    TestWriter writer(64, 16);
    TestReader reader;
    Received frame;
    TestFd link = join(writer, reader, 0, 2, one.when_full);
    for (int i = 0; i < 6; ++i) {
      ASSERT_EQ(send_one(*writer.port), Status::ok);
      ASSERT_EQ(reader.link->receive(&frame), Status::ok);
    }
    link = replace_reader(writer, reader, 2, one.when_full);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    EXPECT_EQ(writer.port->slots_in_use(), 7 - one.dropped);
    EXPECT_EQ(drain(*reader.link), range(one.first, one.last));
    EXPECT_EQ(view_of(link).writer().given_again.load(), 6u);
    EXPECT_EQ(view_of(link).writer().dropped.load(), one.dropped);
    writer.port->pump();
    EXPECT_EQ(writer.port->slots_in_use(), 0u);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    EXPECT_EQ(drain(*reader.link), range(8, 8));
  }
}

TEST(Replace, the_other_readers_do_not_notice) {
  TestWriter writer(64, 16);
  TestReader dies, lives;
  TestFd link = join(writer, dies, 0, 4, WhenFull::block);
  const TestFd other = join(writer, lives, 1, 4, WhenFull::block);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(drain(*lives.link), range(1, 3));
  link = replace_reader(writer, dies, 4, WhenFull::block);
  EXPECT_EQ(drain(*dies.link), range(1, 3));
  EXPECT_EQ(drain(*lives.link), std::vector<std::uint64_t>());
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(drain(*lives.link), range(4, 4));
}

TEST(Replace, a_dead_writers_frames_are_read_before_the_new_ones) {
  TestReader reader;
  auto old_writer = std::make_unique<TestWriter>(64, 8);
  const TestFd old_link = join(*old_writer, reader, 0, 4, WhenFull::block);
  for (int i = 0; i < 4; ++i) ASSERT_EQ(send_one(*old_writer->port), Status::ok);
  Received leased;
  ASSERT_EQ(reader.link->receive(&leased), Status::ok);
  const std::uint64_t next = old_writer->port->next_sequence();
  old_writer.reset();

  TestWriter new_writer(64, 8);
  new_writer.port->set_next_sequence(next);
  const TestFd new_link = join(new_writer, reader, 0, 4, WhenFull::block);
  ASSERT_EQ(send_one(*new_writer.port), Status::ok);
  EXPECT_EQ(drain(*reader.link), range(2, 5));
  EXPECT_TRUE(is_intact(leased));  // its memory stays as long as the lease
  EXPECT_EQ(reader.link->leased(), 1u);
  reader.link->release(leased.slot, leased.epoch);
  EXPECT_EQ(reader.link->leased(), 0u);
  new_writer.port->pump();
  EXPECT_EQ(new_writer.port->slots_in_use(), 0u);
}

TEST(Replace, a_flush_of_the_new_writer_voids_what_the_dead_one_left) {
  TestReader reader;
  auto old_writer = std::make_unique<TestWriter>(64, 8);
  const TestFd old_link = join(*old_writer, reader, 0, 4, WhenFull::block);
  for (int i = 0; i < 4; ++i) ASSERT_EQ(send_one(*old_writer->port), Status::ok);
  Received held, frame;
  ASSERT_EQ(reader.link->receive(&held), Status::ok);
  const std::uint64_t next = old_writer->port->next_sequence();
  old_writer.reset();

  TestWriter new_writer(64, 8);
  new_writer.port->set_next_sequence(next);
  const TestFd new_link = join(new_writer, reader, 0, 4, WhenFull::block);
  ASSERT_EQ(send_one(*new_writer.port), Status::ok);
  EXPECT_EQ(reader.link->flush_waiting(), 0u);
  new_writer.port->flush(9);
  ASSERT_EQ(send_one(*new_writer.port), Status::ok);
  EXPECT_EQ(reader.link->flush_waiting(), 9u);
  EXPECT_TRUE(reader.link->has_unread());
  ASSERT_EQ(reader.link->receive(&frame), Status::flushed);
  EXPECT_EQ(frame.flush_id, 9u);
  EXPECT_EQ(reader.link->flush_waiting(), 0u);
  EXPECT_EQ(drain(*reader.link), range(6, 6));
  EXPECT_EQ(view_of(old_link).reader().flushed.load(), 3u);
  EXPECT_EQ(view_of(old_link).unread(), 0u);
  EXPECT_EQ(view_of(old_link).leased(), 1u);
  EXPECT_EQ(view_of(new_link).reader().flushed.load(), 1u);
  EXPECT_TRUE(is_intact(held));
  reader.link->release(held.slot, held.epoch);
  EXPECT_EQ(reader.link->leased(), 0u);
}

TEST(Replace, writers_may_be_replaced_many_times) {
  TestReader reader;
  std::uint64_t next = 1;
  std::vector<Received> kept;
  for (int round = 0; round < 100; ++round) {
    TestWriter writer(64, 4);
    writer.port->set_next_sequence(next);
    const TestFd link = join(writer, reader, 0, 2, WhenFull::block);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    Received frame;
    ASSERT_EQ(reader.link->receive(&frame), Status::ok);
    ASSERT_EQ(frame.header.sequence, next);
    kept.push_back(frame);
    ASSERT_EQ(drain(*reader.link), range(next + 1, next + 1));
    next = writer.port->next_sequence();
    if (kept.size() < 10) continue;
    for (const Received& old : kept) {
      EXPECT_TRUE(is_intact(old));
      reader.link->release(old.slot, old.epoch);
    }
    kept.clear();
  }
}

TEST(Replace, a_reader_that_holds_on_to_too_many_dead_writers_is_a_limit_and_not_a_crash) {
  TestReader reader;
  Status status = Status::ok;
  std::vector<Received> kept;
  for (int round = 0; round < 100 && status == Status::ok; ++round) {
    TestWriter writer(64, 1);
    const TestFd link(create_link(1, WhenFull::block));
    status = reader.link->connect(link.get(), writer.bell_fd.get());
    if (status != Status::ok) break;
    const TestArena& arena = writer.arenas[0];
    ASSERT_EQ(reader.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count), Status::ok);
    ASSERT_EQ(writer.port->set_link(0, link.get(), reader.bell_fd.get(), 1, WhenFull::block), Status::ok);
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    kept.emplace_back();
    ASSERT_EQ(reader.link->receive(&kept.back()), Status::ok);
  }
  EXPECT_EQ(status, Status::limit);
  for (const Received& frame : kept) EXPECT_TRUE(is_intact(frame));
}

// The writer and the reader are dead: the replacement reads on in the link that they left.
void read_on(TestWriter& dead, TestReader& reader, const TestFd& link, std::uint64_t set_aside_sequence = 0) {
  reader.link = std::make_unique<InputLink>();
  ASSERT_EQ(reader.link->connect(link.get(), dead.bell_fd.get(), set_aside_sequence), Status::ok);
  for (const TestArena& arena : dead.arenas)
    ASSERT_EQ(reader.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count), Status::ok);
}

TEST(Replace, where_both_ends_died_a_new_reader_gets_what_was_held_and_what_was_unread) {
  TestReader reader;
  TestWriter writer(64, 8);
  const TestFd link = join(writer, reader, 0, 4, WhenFull::block);
  Received frames[4];
  for (Received& frame : frames) {
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  }
  reader.link->release(frames[1].slot, frames[1].epoch);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  writer.port.reset();
  read_on(writer, reader, link);
  for (const std::uint64_t expected : {1u, 3u, 4u, 5u, 6u, 7u}) {
    Received frame;
    ASSERT_EQ(reader.link->receive(&frame), Status::ok);
    EXPECT_EQ(frame.header.sequence, expected);
    EXPECT_EQ((frame.header.flags & kFlagGivenAgain) != 0, expected < 5);
    EXPECT_TRUE(is_intact(frame));
    if (expected != 3) reader.link->release(frame.slot, frame.epoch);
  }
  read_on(writer, reader, link, 4);  // and once more
  EXPECT_EQ(drain(*reader.link), range(3, 3));
}

TEST(Replace, a_frame_set_aside_is_not_given_again) {
  TestWriter writer(64, 16);
  TestReader reader;
  TestFd link = join(writer, reader, 0, 8, WhenFull::block);
  for (int i = 0; i < 4; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  Received frame;
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  reader.link = std::make_unique<InputLink>();
  link = join(writer, reader, 0, 8, WhenFull::block, 1);
  EXPECT_EQ(drain(*reader.link), range(2, 4));
  EXPECT_EQ(view_of(link).writer().set_aside.load(), 1u);
  writer.port->pump();
  EXPECT_EQ(writer.port->slots_in_use(), 0u);

  for (int i = 0; i < 2; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  writer.port.reset();
  read_on(writer, reader, link, 5);
  EXPECT_EQ(drain(*reader.link), range(6, 6));
  EXPECT_EQ(view_of(link).reader().set_aside.load(), 1u);
}

TEST(Replace, nothing_is_taken_out_of_a_link_that_is_not_adopted) {
  TestWriter writer(64, 8);
  TestReader reader;
  const TestFd first = join(writer, reader, 0, 4, WhenFull::block);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
  Received frame;
  ASSERT_EQ(reader.link->receive(&frame), Status::ok);
  const TestFd second(create_link(4, WhenFull::block, 8));  // the writer is dying over giving again, and has adopted nothing
  reader.link = std::make_unique<InputLink>();
  ASSERT_EQ(reader.link->connect(second.get(), writer.bell_fd.get()), Status::ok);
  Mapping mapping;
  LinkMemory memory;
  ASSERT_EQ(open_link(second.get(), &mapping, &memory), Status::ok);
  memory.descriptors[0].stamp.store(1);
  EXPECT_FALSE(view_of(second).adopted());
  EXPECT_EQ(reader.link->receive(&frame), Status::empty);
  EXPECT_FALSE(reader.link->has_unread());
  writer.port.reset();  // so the first link is the one to read on
  ASSERT_EQ(reader.link->connect(first.get(), writer.bell_fd.get()), Status::ok);
  for (const TestArena& arena : writer.arenas)
    ASSERT_EQ(reader.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count), Status::ok);
  EXPECT_EQ(drain(*reader.link), range(1, 3));
  EXPECT_EQ(view_of(first).leased(), 0u);
  EXPECT_EQ(view_of(first).unread(), 0u);
}

// The child reports each sequence before it releases the frame, as a node's output would.
[[noreturn]] void read_until_killed(TestReader& reader, int report_fd) {
  for (;;) {
    Received frame;
    while (reader.link->receive(&frame) == Status::ok) {
      const std::uint64_t sequence = is_intact(frame) ? frame.header.sequence : 0;
      if (::write(report_fd, &sequence, sizeof sequence) != sizeof sequence) ::_exit(1);
      reader.link->release(frame.slot, frame.epoch);
    }
    InputLink* const input = reader.link.get();
    wait(reader.bell, {nullptr, 0, &input, 1}, true, false, nullptr, -1);
  }
}

TEST(Replace, killed_readers_lose_nothing) {
  constexpr std::uint64_t kFrames = 20000;
  TestWriter writer(64, 32);
  TestReader reader;
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  std::vector<TestFd> links;
  std::set<std::uint64_t> seen;
  pid_t child = -1;
  const auto restart = [&] {
    if (child > 0) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    reader.link = std::make_unique<InputLink>();
    links.push_back(join(writer, reader, 0, 8, WhenFull::block));
    child = ::fork();
    if (child == 0) read_until_killed(reader, report[1]);
  };
  const auto read_reports = [&](std::size_t wanted) {
    std::uint64_t sequences[64];
    while (seen.size() < wanted) {
      const ssize_t size = ::read(report[0], sequences, sizeof sequences);
      ASSERT_GT(size, 0);
      for (std::size_t i = 0; i < static_cast<std::size_t>(size) / 8; ++i) {
        ASSERT_NE(sequences[i], 0u) << "a torn frame";
        seen.insert(sequences[i]);
      }
    }
  };
  restart();
  OutputPort* const output = writer.port.get();
  for (std::uint64_t i = 1; i <= kFrames; ++i) {
    Status status = send_one(*writer.port);
    for (; status == Status::full || status == Status::no_slot; status = send_one(*writer.port)) wait(writer.bell, {&output, 1, nullptr, 0}, false, true, nullptr, -1);
    ASSERT_EQ(status, Status::ok);
    if (i % 997 == 0) restart();
    if (i % 100 == 0) read_reports(i > 100 ? i - 100 : 1);
  }
  while (!output->drained()) wait(writer.bell, {&output, 1, nullptr, 0}, false, true, nullptr, 1000000);
  read_reports(kFrames);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(*seen.begin(), 1u);
  EXPECT_EQ(*seen.rbegin(), kFrames);
  ::close(report[0]);
  ::close(report[1]);
}

}  // namespace
}  // namespace hawse::plane
