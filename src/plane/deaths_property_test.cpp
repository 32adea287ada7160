// SPDX-License-Identifier: Apache-2.0
//
// Random histories of an output with one to three readers, each with a policy of its own, whose ends die and are replaced, alone, one after the other and
// both, against a model that is a list of frames for each reader: of a `block` edge each that was sent comes, of a dropping edge each that its policy
// doesn't drop, in the order of sending within a life of the reader, and only what a predecessor may have had is marked as given again.
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

enum class At { unread, leased, over };  // over: returned, dropped, or lost as its place in the ring was used again (docs/promises.md)

struct Frame {
  std::size_t life;        // of the writer
  std::uint64_t sequence;  // within that life
  std::uint64_t position;  // in the link that it stands in now
  At at = At::unread;
  bool had = false;  // by an earlier reader: certainly marked as given again
  bool may_have_had = false;
};

// One life of the writer, and what outlives it.
struct Life {
  std::unique_ptr<TestWriter> writer;  // null once it is dead
  TestFd bell{create_doorbell()};
  std::deque<TestArena> arenas;
};

struct Edge {
  WhenFull when_full = WhenFull::block;
  std::uint32_t queue = 1;
  TestReader reader;
  std::vector<Frame> frames;  // in the order of sending
  std::vector<std::pair<std::size_t, Received>> leased;
  std::vector<std::unique_ptr<TestFd>> links;  // by life, the one of now
  std::uint64_t written = 0;                   // into the last of them
  std::vector<std::uint64_t> written_by;       // by dead life
  std::uint64_t dropped = 0, dropped_before = 0;

  bool has_left(std::size_t life) const {
    return std::ranges::any_of(frames, [&](const Frame& frame) { return frame.life == life && frame.at != At::over; });
  }
};

class History {
 public:
  History(std::size_t readers, std::uint32_t seed) : slots_(1 + seed % 7), edges_(readers) {
    for (std::size_t i = 0; i < readers; ++i) {
      edges_[i].when_full = static_cast<WhenFull>(seed >> (3 + 2 * i) & 3);
      edges_[i].queue = 1 + (seed >> (10 + 3 * i)) % 5;
    }
    start_writer();
  }

  void apply(const Step& step) {
    Edge& edge = edges_[step.second % edges_.size()];
    switch (step.first % 16) {
      case 0: case 1: case 2: case 3: case 4: case 5: return send(step.second);
      case 6: case 7: case 8: case 9: return receive(edge);
      case 10: case 11: case 12: return release(edge, step.second);
      case 13: return replace_writer();
      case 14: return replace_reader(edge);
      default: return replace_both(edge);
    }
  }

  // Everything comes, and everything is free again.
  void finish() {
    for (Edge& edge : edges_) {
      for (std::size_t tries = 4 * edge.frames.size() + 64; tries > 0; --tries) {
        receive(edge);
        release(edge, 0);
        lives_.back().writer->port->pump();
      }
      for (const Frame& frame : edge.frames) RC_ASSERT(frame.at == At::over);
      RC_ASSERT(edge.dropped_before + view_of(*edge.links.back()).writer().dropped.load() == edge.dropped);
      RC_ASSERT(edge.reader.link->leased() == 0u);
    }
    RC_ASSERT(lives_.back().writer->port->slots_in_use() == 0u);
  }

 private:
  std::size_t now() const { return lives_.size() - 1; }
  std::uint64_t ring(const Edge& edge) const {  // places; a port has slots_ and two larger ones
    std::uint64_t places = 1;
    while (places < 2 * edge.queue + slots_ + 2) places *= 2;
    return places;
  }

  void send(std::uint8_t size) {
    OutputPort& port = *lives_.back().writer->port;
    const std::uint64_t bytes = size % 4 == 0 ? 600 + size : size % 64;
    const std::uint64_t sequence = port.next_sequence();
    const auto unread = [&](const Edge& edge) {
      return static_cast<std::uint64_t>(std::ranges::count_if(edge.frames, [&](const Frame& frame) { return frame.life == now() && frame.at == At::unread; }));
    };
    const bool full = std::ranges::any_of(edges_, [&](const Edge& edge) { return edge.when_full == WhenFull::block && unread(edge) >= edge.queue; });
    const Status status = send_one(port, bytes);
    RC_ASSERT(status == Status::no_slot || status == (full ? Status::full : Status::ok));
    if (status != Status::ok) return;
    for (Edge& edge : edges_) {
      const bool drops = edge.when_full == WhenFull::drop_oldest || edge.when_full == WhenFull::latest;
      const std::uint64_t allowed = edge.when_full == WhenFull::latest ? 0 : edge.queue - 1;
      for (Frame& frame : edge.frames) {
        if (!drops || unread(edge) <= allowed) break;
        if (frame.life != now() || frame.at != At::unread) continue;
        frame.at = At::over;
        ++edge.dropped;
      }
      if (edge.when_full == WhenFull::drop_newest && unread(edge) >= edge.queue) ++edge.dropped;
      else edge.frames.push_back({.life = now(), .sequence = sequence, .position = edge.written++});
    }
  }

  // The frames of this reader's life come in the order in which they were sent.
  void receive(Edge& edge) {
    Received received;
    const Status status = edge.reader.link->receive(&received);
    const auto next = std::ranges::find(edge.frames, At::unread, &Frame::at);
    if (status == Status::empty) {
      RC_ASSERT(next == edge.frames.end());
      return;
    }
    RC_ASSERT(status == Status::ok);
    RC_ASSERT(next != edge.frames.end());
    RC_ASSERT(received.header.sequence == next->sequence);
    RC_ASSERT(is_intact(received));
    const bool again = (received.header.flags & kFlagGivenAgain) != 0;
    RC_ASSERT(again == (again ? next->may_have_had : next->had));
    next->at = At::leased;
    edge.leased.emplace_back(static_cast<std::size_t>(next - edge.frames.begin()), received);
  }

  void release(Edge& edge, std::size_t which) {
    if (edge.leased.empty()) return;
    const auto one = edge.leased.begin() + static_cast<std::ptrdiff_t>(which / 3 % edge.leased.size());
    RC_ASSERT(is_intact(one->second));
    edge.reader.link->release(one->second.slot, one->second.epoch);
    edge.frames[one->first].at = At::over;
    edge.leased.erase(one);
  }

  void start_writer() {
    Life life;
    life.writer = std::make_unique<TestWriter>();
    life.writer->grow(64, static_cast<std::uint32_t>(slots_));
    life.writer->grow(1000, 2);
    lives_.push_back(std::move(life));
    for (Edge& edge : edges_) join_last(edge);
  }
  void join_last(Edge& edge) {
    const auto index = static_cast<std::uint32_t>(&edge - edges_.data());
    if (edge.links.size() == lives_.size()) edge.dropped_before += view_of(*edge.links.back()).writer().dropped.load();
    edge.links.resize(lives_.size());
    edge.links.back() = std::make_unique<TestFd>(join(*lives_.back().writer, edge.reader, index, edge.queue, edge.when_full));
    edge.written = 0;
    for (Frame& frame : edge.frames)  // what is given again
      if (frame.life == now() && frame.at != At::over) frame.position = edge.written++;
  }
  // What the dead one had sent is read on. A reader has 16 links at most, those behind one that it hasn't read included.
  bool too_many_lives() const {
    return std::ranges::any_of(edges_, [&](const Edge& edge) {
      std::size_t first = 0;
      while (first < lives_.size() && !edge.has_left(first)) ++first;
      return lives_.size() - first > 12;
    });
  }
  void replace_writer() {
    if (too_many_lives()) return;
    bury_writer();
    start_writer();
  }
  void replace_both(Edge& edge) {
    if (too_many_lives()) return;
    bury_writer();
    replace_reader(edge);
    start_writer();
  }
  void bury_writer() {
    for (Edge& edge : edges_) {
      edge.written_by.push_back(edge.written);
      edge.dropped_before += view_of(*edge.links.back()).writer().dropped.load();
    }
    lives_.back().arenas = std::move(lives_.back().writer->arenas);
    lives_.back().writer.reset();
  }

  void replace_reader(Edge& edge) {
    for (Frame& frame : edge.frames) {
      const bool of_the_dead = !lives_[frame.life].writer;
      if (of_the_dead && frame.at == At::leased && frame.position + ring(edge) < edge.written_by[frame.life]) frame.at = At::over;
      frame.had = frame.had || frame.at == At::leased;
      frame.may_have_had = frame.may_have_had || frame.at != At::over;
      if (frame.at == At::leased) frame.at = At::unread;
    }
    edge.leased.clear();
    edge.reader.link = std::make_unique<InputLink>();
    for (std::size_t life = 0; life < lives_.size(); ++life) {
      if (lives_[life].writer || !edge.has_left(life)) continue;
      Life& dead = lives_[life];
      RC_ASSERT(edge.reader.link->connect(edge.links[life]->get(), dead.bell.get()) == Status::ok);
      for (const TestArena& arena : dead.arenas) RC_ASSERT(edge.reader.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count) == Status::ok);
    }
    if (lives_.back().writer) join_last(edge);
  }

  std::size_t slots_;
  std::vector<Edge> edges_;
  std::vector<Life> lives_;
};

RC_GTEST_PROP(Deaths, lose_no_frame, (const std::vector<Step>& steps, std::uint32_t seed, std::uint8_t readers)) {
  History history(1 + readers % 3, seed);
  for (const Step& step : steps) history.apply(step);
  history.finish();
}

}  // namespace
}  // namespace hawse::plane
