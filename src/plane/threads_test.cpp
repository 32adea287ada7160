// SPDX-License-Identifier: Apache-2.0
//
// Writer, readers and releasing threads in one process, on one map of each memory: what ThreadSanitizer can judge.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "plane/edge_fixture.hpp"

namespace hawse::plane {
namespace {

// Frames that one thread receives and another looks at and releases, as Python's garbage collector may.
class Handover {
 public:
  void put(const Received& frame) {
    const std::lock_guard<std::mutex> lock(mutex_);
    frames_.push_back(frame);
    ready_.notify_one();
  }
  void close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    ready_.notify_all();
  }
  bool take(Received* out) {
    std::unique_lock<std::mutex> lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !frames_.empty(); });
    if (frames_.empty()) return false;
    *out = frames_.front();
    frames_.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Received> frames_;
  bool closed_ = false;
};

struct Outcome {
  std::uint64_t frames = 0;
  std::atomic<bool> intact{true};
  bool ordered = true;
};

// `sleeps`: false for one that only looks again and again. No doorbell orders what it sees, so the link alone must.
void read_all(TestReader& reader, bool sleeps, Outcome& outcome) {
  Handover handover;
  std::vector<std::thread> releasers;
  for (int i = 0; i < 2; ++i)
    releasers.emplace_back([&] {
      Received frame;
      while (handover.take(&frame)) {
        if (!is_intact(frame)) outcome.intact = false;
        reader.link->release(frame.slot, frame.epoch);
      }
    });
  InputLink* const input = reader.link.get();
  AdaptiveSpin spin;
  spin.set_limit(1000);
  std::uint64_t last = 0;
  for (;;) {
    Received frame;
    const Status status = input->receive(&frame);
    if (status == Status::ok) {
      outcome.ordered = outcome.ordered && frame.header.sequence > last;
      last = frame.header.sequence;
      ++outcome.frames;
      handover.put(frame);
    } else if (status == Status::empty) {
      if (sleeps) wait(reader.bell, {nullptr, 0, &input, 1}, true, false, &spin, -1);
      else std::this_thread::yield();
    } else {
      outcome.intact = outcome.intact && status == Status::ended;
      break;
    }
  }
  handover.close();
  for (std::thread& thread : releasers) thread.join();
}

void write_all(TestWriter& writer, std::uint64_t frames) {
  OutputPort* const output = writer.port.get();
  const Ends ends{&output, 1, nullptr, 0};
  AdaptiveSpin spin;
  spin.set_limit(1000);
  for (std::uint64_t i = 0; i < frames; ++i) {
    for (Status status = Status::full; status != Status::ok;) {
      status = send_one(*output, 200);
      if (status == Status::full || status == Status::no_slot) wait(writer.bell, ends, false, true, &spin, -1);
    }
  }
  output->end(LinkState::ended);
  while (!output->drained()) wait(writer.bell, ends, false, false, nullptr, -1);
}

TEST(Threads, readers_of_every_policy_see_whole_frames_in_order) {
  constexpr std::uint64_t kFrames = 20000;
  constexpr std::uint32_t kReaders = 8;
  constexpr WhenFull kPolicies[] = {WhenFull::block, WhenFull::drop_oldest, WhenFull::drop_newest, WhenFull::latest};
  TestWriter writer(200, 48);
  TestReader readers[kReaders];
  Outcome outcomes[kReaders];
  std::vector<TestFd> links;
  for (std::uint32_t i = 0; i < kReaders; ++i) links.push_back(join(writer, readers[i], i, 3, kPolicies[i % 4]));
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kReaders; ++i) threads.emplace_back([&, i] { read_all(readers[i], i < 4, outcomes[i]); });
  write_all(writer, kFrames);
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < kReaders; ++i) {
    SCOPED_TRACE(kPolicies[i % 4]);
    EXPECT_TRUE(outcomes[i].intact);
    EXPECT_TRUE(outcomes[i].ordered);
    EXPECT_EQ(outcomes[i].frames + view_of(links[i]).writer().dropped.load(), kFrames);
  }
  EXPECT_EQ(outcomes[0].frames, kFrames);
  EXPECT_EQ(outcomes[4].frames, kFrames);
  writer.port->pump();
  EXPECT_EQ(writer.port->slots_in_use(), 0u);
}

TEST(Threads, release_frames_of_dead_writers_while_new_ones_come) {
  TestReader reader;
  Handover handover;
  std::atomic<bool> intact{true};
  std::thread releaser([&] {
    Received frame;
    while (handover.take(&frame)) {
      if (!is_intact(frame)) intact = false;
      reader.link->release(frame.slot, frame.epoch);
    }
  });
  std::uint64_t received = 0;
  for (int round = 0; round < 200; ++round) {
    TestWriter writer(64, 4);
    const TestFd link = join(writer, reader, 0, 4, WhenFull::block);
    for (int i = 0; i < 4; ++i) ASSERT_EQ(send_one(*writer.port), Status::ok);
    Received frame;
    while (reader.link->receive(&frame) == Status::ok) {
      ++received;
      handover.put(frame);
    }
    while (reader.link->leased() > 8) std::this_thread::yield();
  }
  handover.close();
  releaser.join();
  EXPECT_TRUE(intact);
  EXPECT_EQ(received, 800u);
  EXPECT_EQ(reader.link->leased(), 0u);
}

}  // namespace
}  // namespace hawse::plane
