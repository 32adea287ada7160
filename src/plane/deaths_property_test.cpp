// SPDX-License-Identifier: Apache-2.0
//
// Random histories of one `block` edge whose ends die and are replaced, alone, one after the other and both, against a model that is a list of frames:
// each that was sent comes, in the order of sending within a life of the reader, and only what a predecessor may have had is marked as given again.
//
// The test is the supervisor: it keeps the link of a dead writer until all of it has been returned, and gives it to the reader's replacement.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "plane/edge_fixture.hpp"

namespace hawse::plane {
namespace {

using Step = std::pair<std::uint8_t, std::uint8_t>;  // what, and how much

enum class At { unread, leased, returned };

struct Frame {
  std::uint64_t life;      // of the writer
  std::uint64_t sequence;  // within that life
  At at = At::unread;
  bool had = false;  // by an earlier reader: certainly marked as given again
  bool may_have_had = false;
};

// One life of the writer, and what outlives it.
struct Life {
  std::unique_ptr<TestWriter> writer;  // null once it is dead
  TestFd bell{create_doorbell()};
  std::deque<TestArena> arenas;
  std::unique_ptr<TestFd> link;
};

class History {
 public:
  explicit History(std::uint32_t seed) : queue_(1 + seed % 5), slots_(1 + seed / 5 % 7) { start_writer(); }

  void apply(const Step& step) {
    switch (step.first % 16) {
      case 0: case 1: case 2: case 3: case 4: case 5: return send(step.second);
      case 6: case 7: case 8: case 9: return receive();
      case 10: case 11: case 12: return release(step.second);
      case 13: return replace_writer();
      case 14: return replace_reader();
      default: return replace_both();
    }
  }

  // Everything comes, and everything is free again.
  void finish() {
    for (std::size_t tries = 4 * frames_.size() + 64; tries > 0; --tries) {
      receive();
      release(0);
      lives_.back().writer->port->pump();
    }
    for (const Frame& frame : frames_) RC_ASSERT(frame.at == At::returned);
    RC_ASSERT(lives_.back().writer->port->slots_in_use() == 0u);
    RC_ASSERT(reader_.link->leased() == 0u);
  }

 private:
  void send(std::uint8_t size) {
    OutputPort& port = *lives_.back().writer->port;
    const std::uint64_t bytes = size % 4 == 0 ? 600 + size : size % 64;
    const std::uint64_t sequence = port.next_sequence();
    const Status status = send_one(port, bytes);
    RC_ASSERT(status == Status::ok || status == Status::full || status == Status::no_slot);
    if (status == Status::ok) frames_.push_back({.life = lives_.size(), .sequence = sequence});
  }

  // The frames of this reader's life come in the order in which they were sent.
  void receive() {
    Received received;
    const Status status = reader_.link->receive(&received);
    const auto next = std::ranges::find(frames_, At::unread, &Frame::at);
    if (status == Status::empty) {
      RC_ASSERT(next == frames_.end());
      return;
    }
    RC_ASSERT(status == Status::ok);
    RC_ASSERT(next != frames_.end());
    RC_ASSERT(received.header.sequence == next->sequence);
    RC_ASSERT(is_intact(received));
    const bool again = (received.header.flags & kFlagGivenAgain) != 0;
    RC_ASSERT(again == (again ? next->may_have_had : next->had));
    next->at = At::leased;
    leased_.emplace_back(static_cast<std::size_t>(next - frames_.begin()), received);
  }

  void release(std::size_t which) {
    if (leased_.empty()) return;
    const auto one = leased_.begin() + static_cast<std::ptrdiff_t>(which % leased_.size());
    RC_ASSERT(is_intact(one->second));
    reader_.link->release(one->second.slot, one->second.epoch);
    frames_[one->first].at = At::returned;
    leased_.erase(one);
  }

  void start_writer() {
    Life life;
    life.writer = std::make_unique<TestWriter>();
    life.writer->grow(64, static_cast<std::uint32_t>(slots_));
    life.writer->grow(1000, 2);
    lives_.push_back(std::move(life));
    join_last();
  }
  void join_last() {
    Life& life = lives_.back();
    life.link = std::make_unique<TestFd>(join(*life.writer, reader_, 0, queue_, WhenFull::block));
  }
  // What the dead one had sent is read on. A reader holds on to 16 of them at most.
  void replace_writer() {
    if (unfinished_lives() > 12) return;
    bury_writer();
    start_writer();
  }
  void replace_both() {
    if (unfinished_lives() > 12) return;
    bury_writer();
    replace_reader();
    start_writer();
  }
  void bury_writer() {
    lives_.back().arenas = std::move(lives_.back().writer->arenas);
    lives_.back().writer.reset();
  }
  std::size_t unfinished_lives() const {
    std::size_t count = 0;
    for (std::size_t life = 1; life <= lives_.size(); ++life)
      count += std::ranges::any_of(frames_, [&](const Frame& frame) { return frame.life == life && frame.at != At::returned; });
    return count;
  }

  void replace_reader() {
    for (Frame& frame : frames_) {
      frame.had = frame.had || frame.at == At::leased;
      frame.may_have_had = frame.may_have_had || frame.at != At::returned;
      if (frame.at == At::leased) frame.at = At::unread;
    }
    leased_.clear();
    reader_.link = std::make_unique<InputLink>();
    for (std::size_t life = 1; life <= lives_.size(); ++life) {
      if (lives_[life - 1].writer || std::ranges::none_of(frames_, [&](const Frame& frame) { return frame.life == life && frame.at != At::returned; })) continue;
      Life& dead = lives_[life - 1];
      RC_ASSERT(reader_.link->connect(dead.link->get(), dead.bell.get()) == Status::ok);
      for (const TestArena& arena : dead.arenas) RC_ASSERT(reader_.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count) == Status::ok);
    }
    if (lives_.back().writer) join_last();
  }

  std::uint32_t queue_;
  std::size_t slots_;
  TestReader reader_;
  std::vector<Life> lives_;
  std::vector<Frame> frames_;  // in the order of sending
  std::vector<std::pair<std::size_t, Received>> leased_;
};

RC_GTEST_PROP(Deaths, lose_no_frame, (const std::vector<Step>& steps, std::uint32_t seed)) {
  History history(seed);
  for (const Step& step : steps) history.apply(step);
  history.finish();
}

}  // namespace
}  // namespace hawse::plane
