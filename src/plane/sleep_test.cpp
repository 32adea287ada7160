// SPDX-License-Identifier: Apache-2.0
//
// Two processes that sleep whenever they have nothing to do. A ring that is lost stops them, and the test's time limit ends it.
#include <sys/wait.h>

#include <thread>

#include "plane/edge_fixture.hpp"

namespace hawse::plane {
namespace {

Status receive_sleeping(TestReader& end, Bell& bell, Received* out) {
  InputLink* const input = end.link.get();
  Status status = input->receive(out);
  for (; status == Status::empty; status = input->receive(out)) wait(bell, {nullptr, 0, &input, 1}, true, false, nullptr, -1);
  return status;
}

Status send_sleeping(TestWriter& end, Bell& bell) {
  OutputPort* const output = end.port.get();
  Status status = send_one(*output);
  for (; status == Status::full || status == Status::no_slot; status = send_one(*output)) wait(bell, {&output, 1, nullptr, 0}, false, true, nullptr, -1);
  return status;
}

// There and back between this process and a child, each with one doorbell for both of its ends.
struct PingPong {
  TestWriter ping{64, 2}, pong{64, 2};
  TestReader ping_reader, pong_reader;
  TestFd ping_link{create_link(1, WhenFull::block)}, pong_link{create_link(1, WhenFull::block)};

  PingPong() {
    connect(ping, ping_reader, ping_link, pong.bell_fd);
    connect(pong, pong_reader, pong_link, ping.bell_fd);
  }
  static void connect(TestWriter& writer, TestReader& reader, TestFd& link, TestFd& readers_bell) {
    EXPECT_EQ(reader.link->connect(link.get(), writer.bell_fd.get()), Status::ok);
    const TestArena& arena = writer.arenas[0];
    EXPECT_EQ(reader.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count), Status::ok);
    EXPECT_EQ(writer.port->set_link(0, link.get(), readers_bell.get(), 1, WhenFull::block), Status::ok);
  }
};

TEST(Sleep, a_hundred_thousand_round_trips_lose_no_ring) {
  constexpr int kRounds = 100000;
  PingPong both;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    for (int i = 0; i < kRounds; ++i) {
      Received frame;
      if (receive_sleeping(both.ping_reader, both.pong.bell, &frame) != Status::ok || !is_intact(frame)) ::_exit(1);
      both.ping_reader.link->release(frame.slot, frame.epoch);
      if (send_sleeping(both.pong, both.pong.bell) != Status::ok) ::_exit(2);
    }
    ::_exit(0);
  }
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_EQ(send_sleeping(both.ping, both.ping.bell), Status::ok);
    Received frame;
    ASSERT_EQ(receive_sleeping(both.pong_reader, both.ping.bell, &frame), Status::ok);
    ASSERT_EQ(frame.header.sequence, static_cast<std::uint64_t>(i) + 1);
    both.pong_reader.link->release(frame.slot, frame.epoch);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Sleep, a_full_queue_wakes_its_writer) {
  constexpr std::uint64_t kFrames = 100000;
  TestWriter writer(64, 4);  // fewer slots than the queue: both shortages happen
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 8, WhenFull::block);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    for (std::uint64_t i = 1;; ++i) {
      Received frame;
      const Status status = receive_sleeping(reader, reader.bell, &frame);
      if (status == Status::ended) ::_exit(i == kFrames + 1 ? 0 : 1);
      if (status != Status::ok || frame.header.sequence != i || !is_intact(frame)) ::_exit(2);
      reader.link->release(frame.slot, frame.epoch);
    }
  }
  for (std::uint64_t i = 0; i < kFrames; ++i) ASSERT_EQ(send_sleeping(writer, writer.bell), Status::ok);
  OutputPort* const output = writer.port.get();
  output->end(LinkState::ended);
  while (!output->drained()) wait(writer.bell, {&output, 1, nullptr, 0}, false, false, nullptr, -1);
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Sleep, ends_at_a_ring) {
  TestReader reader;
  Bell other;
  ASSERT_EQ(Bell::map(reader.bell_fd.get(), &other), Status::ok);
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    other.ring();
  });
  AdaptiveSpin spin;
  spin.set_limit(1000);
  spin.came(100), spin.came(100), spin.came(100), spin.came(100);
  wait(reader.bell, {}, true, false, &spin, -1);
  later.join();
}

TEST(Sleep, lasts_no_longer_than_asked) {
  TestWriter writer(64, 2);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 1, WhenFull::block);
  InputLink* const input = reader.link.get();
  OutputPort* const output = writer.port.get();
  const std::int64_t start = monotonic_ns();
  wait(reader.bell, {nullptr, 0, &input, 1}, true, false, nullptr, 5'000'000);
  EXPECT_GE(monotonic_ns() - start, 5'000'000);
  wait(writer.bell, {&output, 1, nullptr, 0}, false, true, nullptr, -1);  // there is room: returns at once
  ASSERT_EQ(send_one(*output), Status::ok);
  AdaptiveSpin spin;
  wait(reader.bell, {nullptr, 0, &input, 1}, true, false, &spin, -1);  // there is a frame: returns at once
  EXPECT_EQ(view_of(link).writer().written.load(), 1u);
}

TEST(Sleep, the_supervisors_verdict_wakes_with_a_ring) {
  TestWriter writer(64, 2);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 1, WhenFull::block);
  LinkView view = view_of(link);
  view.end_for_writer(LinkState::failed);
  view.end_for_writer(LinkState::ended);  // the first one stays
  EXPECT_EQ(view.writer_state(), LinkState::failed);
  Received frame;
  EXPECT_EQ(receive_sleeping(reader, reader.bell, &frame), Status::ended);
  ASSERT_EQ(send_one(*writer.port), Status::ok);
  EXPECT_EQ(send_one(*writer.port), Status::full);
  view.end_for_reader(LinkState::failed);
  EXPECT_EQ(send_sleeping(writer, writer.bell), Status::ok);
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
}

}  // namespace
}  // namespace hawse::plane
