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
  std::deque<std::uint64_t> ring, pending;  // sequences
  std::set<std::uint64_t> leased, again;    // `again`: given to a predecessor
  std::uint64_t dropped = 0;

  void fill_ring() {
    for (; !pending.empty() && ring.size() < queue; pending.pop_front()) ring.push_back(pending.front());
  }
  bool must_wait() const { return when_full == WhenFull::block && (!pending.empty() || ring.size() == queue); }
  void drop_oldest() {
    fill_ring();
    ring.pop_front();
    ++dropped;
    fill_ring();
  }
  void offer(std::uint64_t sequence) {
    if (when_full == WhenFull::drop_newest && (!pending.empty() || ring.size() == queue)) {
      ++dropped;
      return;
    }
    if (when_full == WhenFull::latest) {
      dropped += ring.size() + pending.size();
      ring.clear();
      pending.clear();
    }
    while (when_full == WhenFull::drop_oldest && ring.size() + pending.size() >= queue) drop_oldest();
    ring.push_back(sequence);
  }
  void replace_reader() {
    std::set<std::uint64_t> all = leased;
    all.insert(ring.begin(), ring.end());
    all.insert(pending.begin(), pending.end());
    again = all;
    ring.clear();
    leased.clear();
    pending.assign(all.begin(), all.end());
    fill_ring();
  }
  void collect_held(std::set<std::uint64_t>& held) const {
    held.insert(ring.begin(), ring.end());
    held.insert(pending.begin(), pending.end());
    held.insert(leased.begin(), leased.end());
  }
};

struct Reader {
  TestReader end;
  TestFd fd{create_doorbell()};  // replaced by the link's
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
      case 13: writer_.port->pump(); return attend();
      case 14: return replace_reader(i);
      default: return check_can_send();
    }
  }

  void check() {
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      RC_ASSERT(readers_[i].end.link->unread() == models_[i].ring.size());
      RC_ASSERT(readers_[i].end.link->leased() == models_[i].leased.size());
      RC_ASSERT(readers_[i].dropped_before + view_of(readers_[i].fd).writer().dropped.load() == models_[i].dropped);
      for (const Received& frame : readers_[i].leased) RC_ASSERT(is_intact(frame));
    }
  }

  // Every reader reads and returns everything; then every slot is free.
  void finish() {
    for (std::size_t pass = 0; pass <= slots_; ++pass) {
      for (std::size_t i = 0; i < readers_.size(); ++i) {
        while (!models_[i].ring.empty()) receive(i);
        while (!models_[i].leased.empty()) release(i, 0);
      }
      writer_.port->pump();
      attend();
    }
    RC_ASSERT(writer_.port->drained());
    RC_ASSERT(writer_.port->slots_in_use() == 0u);
  }

 private:
  static constexpr std::uint64_t kPayload = 48;

  void connect(std::size_t i) {
    readers_[i].fd = join(writer_, readers_[i].end, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(models_[i].queue), models_[i].when_full);
  }
  void attend() {
    for (ModelLink& model : models_) model.fill_ring();
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
    attend();
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
    readers_[i].dropped_before += view_of(readers_[i].fd).writer().dropped.load();
    readers_[i].leased.clear();
    readers_[i].end.link = std::make_unique<InputLink>();
    connect(i);
    models_[i].replace_reader();
  }

  void check_can_send() {
    const bool can = writer_.port->can_send();
    attend();
    const bool full = std::any_of(models_.begin(), models_.end(), [](const ModelLink& model) { return model.must_wait(); });
    if (full) RC_ASSERT(!can);
    if (!full && slot_is_free()) RC_ASSERT(can);
  }

  TestWriter writer_;
  std::size_t slots_;
  std::vector<Reader> readers_;
  std::vector<ModelLink> models_;
  std::uint64_t sent_ = 0;
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
