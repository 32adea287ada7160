// SPDX-License-Identifier: Apache-2.0
//
// Two processes that sleep whenever they have nothing to do. A ring that is lost stops them, and the test's time limit ends it.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <climits>
#include <memory>
#include <thread>
#include <vector>

#include "plane/edge_fixture.hpp"
#include "plane/internal.hpp"
#include "plane/wait.hpp"

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

// Ends of nodes that have several: the doorbells are the nodes'.
void connect(TestWriter& writer, const TestFd& writers_bell, TestReader& reader, const TestFd& readers_bell, const TestFd& link) {
  ASSERT_EQ(reader.link->connect(link.get(), writers_bell.get()), Status::ok);
  const TestArena& arena = writer.arenas[0];
  ASSERT_EQ(reader.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count), Status::ok);
  ASSERT_EQ(writer.port->set_link(0, link.get(), readers_bell.get(), 1, WhenFull::block), Status::ok);
}

// There and back between this process and a child.
struct PingPong {
  TestWriter ping{64, 2}, pong{64, 2};
  TestReader ping_reader, pong_reader;
  TestFd ping_link{create_link(1, WhenFull::block)}, pong_link{create_link(1, WhenFull::block)};

  PingPong() {
    connect(ping, ping.bell_fd, ping_reader, pong.bell_fd, ping_link);
    connect(pong, pong.bell_fd, pong_reader, ping.bell_fd, pong_link);
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

// A reader with several writers, in processes of their own, that are sent to and answer by turns.
class Neighbours : public testing::TestWithParam<std::pair<bool, int>> {
 protected:
  Neighbours() { sleep_on_many_words(GetParam().first); }
  ~Neighbours() override { sleep_on_many_words(true); }
};

TEST_P(Neighbours, each_wakes_a_reader_that_sleeps_on_all) {
  const int count = GetParam().second, rounds = 20000 / count;
  std::vector<std::unique_ptr<TestWriter>> writers;
  std::vector<std::unique_ptr<TestReader>> readers;
  std::vector<std::unique_ptr<TestFd>> links;
  std::vector<InputLink*> inputs;
  for (int i = 0; i < count; ++i) {
    TestWriter& writer = *writers.emplace_back(std::make_unique<TestWriter>(64, 1));
    TestReader& reader = *readers.emplace_back(std::make_unique<TestReader>());
    links.push_back(std::make_unique<TestFd>(create_link(1, WhenFull::block)));
    connect(writer, writer.bell_fd, reader, readers[0]->bell_fd, *links[i]);
    inputs.push_back(reader.link.get());
  }
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // one after the other; each waits until its slot is given back
    for (int i = 0; i < count * rounds; ++i)
      if (send_sleeping(*writers[i % count], writers[i % count]->bell) != Status::ok) ::_exit(1);
    ::_exit(0);
  }
  int received = 0;
  while (received < count * rounds) {
    Received frame;
    const int before = received;
    for (const auto& reader : readers) {
      if (reader->link->receive(&frame) != Status::ok) continue;
      ASSERT_TRUE(is_intact(frame));
      reader->link->release(frame.slot, frame.epoch);
      ++received;
    }
    if (received == before) wait(readers[0]->bell, {nullptr, 0, inputs.data(), inputs.size()}, true, false, nullptr, -1);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// On all words (which a kernel before 5.16 can't), on the doorbell, and with more than the kernel takes.
INSTANTIATE_TEST_SUITE_P(Sleep, Neighbours, testing::Values(std::pair(true, 2), std::pair(true, 5), std::pair(false, 2), std::pair(true, 130)));

// A node that sleeps on two links, and what happens between its last look and its sleep.
struct Interrupted {
  TestWriter writer{64, 1}, hostile{64, 1};
  TestReader reader, other;
  TestFd link{create_link(1, WhenFull::block)}, hostile_link{create_link(1, WhenFull::block)};
  Mapping mapping;
  LinkMemory hostile_memory;
  Waker waker;

  Interrupted() {
    connect(writer, writer.bell_fd, reader, reader.bell_fd, link);
    connect(hostile, hostile.bell_fd, other, reader.bell_fd, hostile_link);
    EXPECT_EQ(open_link(hostile_link.get(), &mapping, &hostile_memory), Status::ok);
  }

  template <class Between>
  struct Waiter {
    Interrupted& self;
    Between between;
    bool there() const { return self.reader.link->has_unread(); }
    void prepare_sleep(SleepSet& set) const {
      self.other.link->prepare_sleep(set);
      self.reader.link->prepare_sleep(set);
    }
    void sleeps_on(const std::atomic<std::uint32_t>* word) const { self.waker.sleeps_on(word); }
    void asleep(bool begins) const {
      if (begins) between();
    }
    void cancel_sleep() const {
      self.waker.awake();
      self.reader.link->cancel_sleep();
      self.other.link->cancel_sleep();
    }
  };
  template <class Between>
  void sleep(std::int64_t timeout_ns, Between between) {
    AdaptiveSpin never;
    wait_on(reader.bell, never, 0, timeout_ns, Waiter<Between>{*this, between});
  }

  // A frame wakes the node, and the hostile neighbour puts back whatever it can write.
  void send_and_undo() {
    const std::uint32_t rings = reader.bell.value(), how = hostile_memory.header->reader_sleeps.load();
    ASSERT_EQ(send_one(*writer.port), Status::ok);
    reader.bell.word().store(rings);
    hostile_memory.header->reader_sleeps.store(how);
  }
};

TEST(Sleep, a_neighbour_cannot_undo_what_another_wrote_to_wake_a_node) {
  Interrupted node;
  node.sleep(-1, [&] { node.send_and_undo(); });
  EXPECT_TRUE(node.reader.link->has_unread());
}

TEST(Sleep, on_a_doorbell_a_neighbour_can_which_costs_time) {
  constexpr std::int64_t kTimeout_ns = 20'000'000;
  sleep_on_many_words(false);
  Interrupted node;
  const std::int64_t start_ns = monotonic_ns();
  node.sleep(kTimeout_ns, [&] { node.send_and_undo(); });
  sleep_on_many_words(true);
  EXPECT_GE(monotonic_ns() - start_ns, kTimeout_ns);
  EXPECT_TRUE(node.reader.link->has_unread());
}

TEST(Sleep, a_neighbour_cannot_keep_a_node_from_being_woken_by_its_own_process) {
  Interrupted node;
  std::thread thread;
  node.sleep(-1, [&] {
    thread = std::thread([&] { node.waker.wake(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the first wake comes to nothing
  });
  thread.join();
  node.waker.wake();  // of nobody who sleeps: returns at once
}

// Takes whoever sleeps on the word off it, and has them sleep on one of its own.
void take_off(const std::atomic<std::uint32_t>& word) {
  static std::uint32_t own = 0;
  while (::syscall(SYS_futex, &word, FUTEX_REQUEUE, 0, INT_MAX, &own, 0) != 1) std::this_thread::yield();
}

TEST(Sleep, a_neighbour_cannot_take_a_node_off_the_word_that_another_wakes) {
  Interrupted node;
  std::thread hostile;
  node.sleep(-1, [&] {
    hostile = std::thread([&] {
      take_off(node.hostile_memory.header->reader_sleeps);
      ASSERT_EQ(send_one(*node.writer.port), Status::ok);
    });
  });
  hostile.join();
  EXPECT_TRUE(node.reader.link->has_unread());
}

TEST(Sleep, a_neighbour_cannot_take_a_node_away_from_its_own_process) {
  TestWriter writer(64, 1);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 1, WhenFull::block);
  Mapping mapping;
  LinkMemory memory;
  ASSERT_EQ(open_link(link.get(), &mapping, &memory), Status::ok);
  Waker waker;
  std::atomic<bool> asked{false};
  std::thread other([&] {
    take_off(memory.header->reader_sleeps);
    asked.store(true);
    waker.wake();
  });
  struct Waiter {
    InputLink& input;
    Waker& waker;
    std::atomic<bool>& asked;
    bool there() const { return asked.load(); }
    void prepare_sleep(SleepSet& set) const { input.prepare_sleep(set); }
    void sleeps_on(const std::atomic<std::uint32_t>* word) const { waker.sleeps_on(word); }
    void asleep(bool) const {}
    void cancel_sleep() const {
      waker.awake();
      input.cancel_sleep();
    }
  };
  AdaptiveSpin never;
  while (!wait_on(reader.bell, never, 0, -1, Waiter{*reader.link, waker, asked})) {
  }
  other.join();
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
