// SPDX-License-Identifier: Apache-2.0
//
// Random histories of one port and its readers against a model that is plain queues: what is sent, received, released and
// replaced in any order gives exactly the frames that the policies promise.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "plane/edge_fixture.hpp"

namespace hawse::plane {
namespace {

using Step = std::pair<std::uint8_t, std::uint8_t>;  // what, and to whom

struct ModelLink {
  WhenFull when_full = WhenFull::block;
  std::size_t queue = 1;
  std::deque<std::uint64_t> ring;         // sequences
  std::deque<std::uint64_t> voided;       // flushed, and not yet seen by the reader
  std::set<std::uint64_t> leased, again;  // `again`: given to a predecessor
  std::uint64_t dropped = 0, flushed = 0;
  bool has_flush = false;                 // that the reader hasn't heard of

  std::size_t unread_allowed() const { return when_full == WhenFull::latest ? 0 : queue - 1; }
  bool is_full() const { return ring.size() >= queue || ring.size() + voided.size() >= ring_slots; }
  bool must_wait() const { return when_full == WhenFull::block && is_full(); }
  void offer(std::uint64_t sequence) {
    if (when_full == WhenFull::drop_newest && is_full()) {
      ++dropped;
      return;
    }
    const bool drops = when_full == WhenFull::drop_oldest || when_full == WhenFull::latest;
    while (drops && voided.size() + ring.size() > unread_allowed()) {
      ++(voided.empty() ? dropped : flushed);
      (voided.empty() ? ring : voided).pop_front();
    }
    ring.push_back(sequence);
  }
  void flush() {
    voided.insert(voided.end(), ring.begin(), ring.end());
    ring.clear();
    has_flush = true;
  }
  void replace_reader() {
    flushed += voided.size();
    voided.clear();
    std::set<std::uint64_t> all;
    collect_held(all);
    again = all;
    leased.clear();
    has_flush = false;
    ring.assign(all.begin(), all.end());
  }
  void collect_held(std::set<std::uint64_t>& held) const {
    held.insert(ring.begin(), ring.end());
    held.insert(voided.begin(), voided.end());
    held.insert(leased.begin(), leased.end());
  }
  std::size_t ring_slots = 0;
};

struct Reader {
  TestReader end;
  std::deque<TestFd> links;  // the last is the one in use
  std::vector<Received> leased;
  std::uint64_t dropped_before = 0;  // on the links of earlier readers
};

class History {
 public:
  History(std::size_t links, std::uint32_t slots, std::uint32_t queue_seed) : writer_(kPayload, slots), slots_(slots), readers_(links), models_(links) {
    for (std::size_t i = 0; i < links; ++i) {
      models_[i].when_full = static_cast<WhenFull>((queue_seed >> (2 * i)) % 4);
      models_[i].queue = 1 + (queue_seed >> (8 + 3 * i)) % 5;
      connect(i);
    }
  }

  void apply(const Step& step) {
    const std::size_t i = step.second % readers_.size();
    switch (step.first % 16) {
      case 0: case 1: case 2: case 3: case 4: case 5: return send();
      case 6: case 7: case 8: case 9: return receive(i);
      case 10: case 11: case 12: return release(i, step.second);
      case 13: return step.second % 2 == 0 ? writer_.port->pump() : flush();
      case 14: return replace_reader(i);
      default: return check_can_send();
    }
  }

  void check() {
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      RC_ASSERT(view_of(readers_[i].links.back()).unread() == models_[i].ring.size());
      RC_ASSERT(readers_[i].end.link->leased() == models_[i].leased.size());
      RC_ASSERT(flushed(i) == models_[i].flushed);
      RC_ASSERT(readers_[i].dropped_before + view_of(readers_[i].links.back()).writer().dropped.load() == models_[i].dropped);
      for (const Received& frame : readers_[i].leased) RC_ASSERT(is_intact(frame));
    }
  }

  // Every reader reads and returns everything; then every slot is free.
  void finish() {
    for (std::size_t pass = 0; pass <= slots_; ++pass) {
      for (std::size_t i = 0; i < readers_.size(); ++i) {
        while (!models_[i].ring.empty() || !models_[i].voided.empty() || models_[i].has_flush) receive(i);
        while (!models_[i].leased.empty()) release(i, 0);
      }
      writer_.port->pump();
    }
    RC_ASSERT(writer_.port->drained());
    RC_ASSERT(writer_.port->slots_in_use() == 0u);
  }

 private:
  static constexpr std::uint64_t kPayload = 48;

  void connect(std::size_t i) {
    readers_[i].links.push_back(join(writer_, readers_[i].end, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(models_[i].queue), models_[i].when_full));
    models_[i].ring_slots = 1;
    while (models_[i].ring_slots < 2 * models_[i].queue + slots_) models_[i].ring_slots *= 2;
  }
  // A predecessor's link counts until the end.
  std::uint64_t flushed(std::size_t i) {
    std::uint64_t count = 0;
    for (const TestFd& fd : readers_[i].links) {
      const LinkView view = view_of(fd);
      count += view.reader().flushed.load() + view.writer().flushed.load();
    }
    return count;
  }

  void flush() {
    writer_.port->flush(++flushes_);
    for (ModelLink& model : models_) model.flush();
  }
  bool slot_is_free() const {
    std::set<std::uint64_t> held;
    for (const ModelLink& model : models_) model.collect_held(held);
    return held.size() < slots_;
  }

  void send() {
    Building building;
    const bool had_slot = slot_is_free();
    const Status allocated = build(*writer_.port, kPayload, &building);
    RC_ASSERT(allocated == (had_slot ? Status::ok : Status::no_slot));
    if (!had_slot) return;
    const bool full = std::any_of(models_.begin(), models_.end(), [](const ModelLink& model) { return model.must_wait(); });
    RC_ASSERT(writer_.port->send(building, 0) == (full ? Status::full : Status::ok));
    if (full) return writer_.port->abandon(building);
    for (ModelLink& model : models_) model.offer(sent_ + 1);
    ++sent_;
  }

  void receive(std::size_t i) {
    Received frame;
    const Status status = readers_[i].end.link->receive(&frame);
    ModelLink& model = models_[i];
    if (model.has_flush) {
      RC_ASSERT(status == Status::flushed);
      RC_ASSERT(frame.flush_id == flushes_);
      model.has_flush = false;
      return;
    }
    model.flushed += model.voided.size();
    model.voided.clear();
    RC_ASSERT(status == (model.ring.empty() ? Status::empty : Status::ok));
    if (model.ring.empty()) return;
    RC_ASSERT(frame.header.sequence == model.ring.front());
    RC_ASSERT(is_intact(frame));
    RC_ASSERT(((frame.header.flags & kFlagGivenAgain) != 0) == model.again.contains(frame.header.sequence));
    model.leased.insert(model.ring.front());
    model.ring.pop_front();
    readers_[i].leased.push_back(frame);
  }

  void release(std::size_t i, std::size_t which) {
    std::vector<Received>& leased = readers_[i].leased;
    if (leased.empty()) return;
    const auto frame = leased.begin() + static_cast<std::ptrdiff_t>(which / 4 % leased.size());
    readers_[i].end.link->release(frame->slot, frame->epoch);
    models_[i].leased.erase(frame->header.sequence);
    leased.erase(frame);
  }

  void replace_reader(std::size_t i) {
    readers_[i].dropped_before += view_of(readers_[i].links.back()).writer().dropped.load();
    readers_[i].leased.clear();
    readers_[i].end.link = std::make_unique<InputLink>();
    connect(i);
    models_[i].replace_reader();
  }

  void check_can_send() {
    const bool can = writer_.port->can_send();
    const bool full = std::any_of(models_.begin(), models_.end(), [](const ModelLink& model) { return model.must_wait(); });
    if (full) RC_ASSERT(!can);
    if (!full && slot_is_free()) RC_ASSERT(can);
  }

  TestWriter writer_;
  std::size_t slots_;
  std::vector<Reader> readers_;
  std::vector<ModelLink> models_;
  std::uint64_t sent_ = 0, flushes_ = 0;
};

RC_GTEST_PROP(Plane, agrees_with_plain_queues, (const std::vector<Step>& steps, std::uint32_t seed)) {
  History history(1 + seed % 3, 1 + seed / 3 % 9, seed / 27);
  for (const Step& step : steps) {
    history.apply(step);
    history.check();
  }
  history.finish();
}

}  // namespace
}  // namespace hawse::plane
