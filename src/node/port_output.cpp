// SPDX-License-Identifier: Apache-2.0
//
// Allocation with growth, and sending with back-pressure.
#include "node/port_output.hpp"

#include <ctime>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"
#include "node/endpoint.hpp"
#include "node/frames.hpp"
#include "plane/slot_size.hpp"

namespace hawse::node {
namespace {

constexpr std::uint64_t kLargeSlotBytes = 16ull << 20;  // from here on slots are counted out more sparingly
constexpr std::uint64_t kLargeSlots = 8;
constexpr std::uint64_t kOutlier = 4;       // so many times larger than all other slots: one such frame makes no stream of them
constexpr std::uint64_t kOutlierSlots = 2;  // growth may come again

// With headroom a quarter more than asked for, so that the next larger frames of a stream fit too.
std::uint64_t slot_bytes_for(std::uint64_t payload_bytes, bool headroom) {
  return plane::slot_bytes_for(payload_bytes + (headroom ? payload_bytes / 4 : 0));
}

std::int64_t realtime_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

[[noreturn]] void broken(const std::string& port, const char* what, plane::Status status) {
  throw Error(ErrorCode::system, std::string(what) + " output '" + port + "'", plane::to_string(status));
}

}  // namespace

bool PortOutput::LinkWatch::open() const noexcept { return there && view.reader_state() == plane::LinkState::open; }

bool PortOutput::LinkWatch::unread() const noexcept { return open() && view.unread() > 0; }

PortOutput::PortOutput(Endpoint& endpoint, std::size_t index, std::string name, std::size_t links, std::uint64_t first_sequence)
    : endpoint_(endpoint), index_(index), name_(std::move(name)), port_(std::make_shared<plane::OutputPort>()), links_(links) {
  port_->set_next_sequence(first_sequence);
}

bool PortOutput::connected() const noexcept {
  return std::any_of(links_.begin(), links_.end(), [](const LinkWatch& link) { return link.open(); });
}

bool PortOutput::unread_on_blocking() const noexcept {
  return std::any_of(links_.begin(), links_.end(), [](const LinkWatch& link) { return link.when_full == plane::WhenFull::block && link.unread(); });
}

OutFrame PortOutput::allocate(std::size_t payload_bytes) {
  endpoint_.take_messages();
  for (;;) {
    plane::Building building;
    plane::Status status = port_->allocate(payload_bytes, &building);
    if (status == plane::Status::no_slot && !sparing_ && (unread_on_blocking() || !refusal_.empty())) {
      endpoint_.wait_until(false, true, -1, [&] {
        status = port_->allocate(payload_bytes, &building);
        return status != plane::Status::no_slot || (refusal_.empty() && !unread_on_blocking()) || endpoint_.interrupted();
      });
      if (status == plane::Status::no_slot && endpoint_.interrupted()) return make_unread_frame(payload_bytes);  // send() drops it
    }
    if (status == plane::Status::ok) {
      OutFrame frame = make_out_frame(port_, building, payload_bytes);
      frame.info().sequence = port_->next_sequence();
      return frame;
    }
    if (status != plane::Status::no_slot && status != plane::Status::too_large) broken(name_, "allocate a frame for", status);
    if (grow(payload_bytes, status == plane::Status::no_slot)) continue;
    if (status == plane::Status::too_large)
      throw AllocationError("output '" + name_ + "' has no room for a frame of " + format_bytes(payload_bytes) + ": " + refusal_);
    if (!std::exchange(told_, true))
      endpoint_.log(LogLevel::warning, "output '" + name_ + "' waits: its readers keep all of its " + std::to_string(port_->slot_count()) +
                                           " frames, and there is no room for more: " + refusal_);
  }
}

// By the rule first; where that is too much, with as little as lets the stream run.
bool PortOutput::grow(std::size_t payload_bytes, bool doubled) {
  const std::uint64_t least_slots = 2 + links_.size();
  const std::uint64_t slot_bytes = slot_bytes_for(payload_bytes, true);
  std::uint64_t slots = 4;
  for (const LinkWatch& link : links_) slots = std::max<std::uint64_t>(slots, std::uint64_t{link.queue} + 4);
  if (slot_bytes >= kLargeSlotBytes) slots = std::max(std::min(slots, kLargeSlots), least_slots);
  const std::uint64_t others = port_->largest_slot_bytes();
  const bool outlier = !doubled && slot_bytes >= kLargeSlotBytes && others != 0 && payload_bytes > kOutlier * others;
  if (doubled && !sparing_) slots = std::max(slots, port_->slot_count());
  sparing_ = outlier;
  if (outlier) return ask(slot_bytes, kOutlierSlots) || ask(slot_bytes_for(payload_bytes, false), 1);
  if (ask(slot_bytes, slots)) return true;
  return slots > least_slots && ask(slot_bytes_for(payload_bytes, false), least_slots);
}

bool PortOutput::ask(std::uint64_t slot_bytes, std::uint64_t slots) {
  if (arriving_ == 0) {  // else one is on its way, and may do
    refusal_.clear();
    asked_ = true;
    endpoint_.send({{"type", "grow"}, {"port", index_}, {"slot_bytes", slot_bytes}, {"slots", slots}});
  }
  endpoint_.wait_until(false, false, -1, [&] { return !asked_ && arriving_ == 0; });
  return refusal_.empty();
}

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t Stamp::new_trace_id() noexcept {
  std::uint64_t z = (seed += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (z ^ (z >> 31)) | 1;
}

void PortOutput::stamp(FrameInfo& info) const {
  Stamp& stamp = endpoint_.stamp();
  if (info.timestamp_ns == kNoTimestamp) info.timestamp_ns = stamp.active ? stamp.timestamp_ns : realtime_ns();
  if (info.trace_id == 0) info.trace_id = stamp.active ? stamp.trace_id : stamp.new_trace_id();
}

void PortOutput::send(OutFrame frame) { send_with(frame, 0); }

void PortOutput::send_with(OutFrame& frame, std::uint32_t copies) {
  OutFrame::Slot* slot = frame.slot();
  if (slot == nullptr) throw std::invalid_argument("send on output '" + name_ + "': the frame is empty (sent before, or moved from)");
  const bool is_void = endpoint_.interrupted();
  const bool without_memory = slot->port == nullptr && is_void;  // allocate() found none, and a flush waiting
  if (slot->port != port_ && !without_memory) throw std::invalid_argument("send on output '" + name_ + "': the frame was allocated on another output");
  if (ended_) throw std::logic_error("send on output '" + name_ + "': its stream has ended");
  if (is_void) return port_->count_flushed();
  stamp(slot->info);
  write_header(slot->info, slot->bytes.size(), *slot->building.header);
  endpoint_.take_messages();
  plane::Status status = port_->send(slot->building, copies);
  if (status == plane::Status::full)
    endpoint_.wait_until(false, true, -1, [&] { return (status = port_->send(slot->building, copies)) != plane::Status::full || endpoint_.interrupted(); });
  if (status == plane::Status::full) return port_->count_flushed();
  if (status != plane::Status::ok) broken(name_, "send on", status);
  slot->port.reset();  // the slot is the readers' now
  endpoint_.page().count_out();
}

void PortOutput::forward(const Frame& frame) {
  OutFrame copy = allocate(frame.bytes().size());
  if (!frame.bytes().empty()) std::memcpy(copy.bytes().data(), frame.bytes().data(), frame.bytes().size());
  copy.info() = frame.info();
  send_with(copy, 1);
}

void PortOutput::flush() {
  const std::uint64_t id = endpoint_.stamp().new_trace_id();
  endpoint_.hear(id);
  port_->flush(id);
}

void PortOutput::end() noexcept {
  if (!std::exchange(ended_, true)) port_->end(plane::LinkState::ended);
}

bool PortOutput::settled() noexcept { return (port_->drained() && port_->slots_in_use() == 0) || !connected(); }

std::int64_t PortOutput::give_back(std::int64_t now_ns) {
  std::uint32_t id = 0;
  if (now_ns >= port_->look_ns() && port_->idle_arena(now_ns, &id) && port_->retire_arena(id) == plane::Status::ok)
    endpoint_.send({{"type", "give_back"}, {"port", index_}, {"arena", id}});
  return port_->look_ns();
}

// ---- messages -----------------------------------------------------------------------------------------------------------

void PortOutput::set_link(std::uint32_t index, int link_fd, int doorbell_fd, std::uint32_t queue, plane::WhenFull when_full,
                          std::uint64_t set_aside_sequence) {
  if (index >= plane::kMaxLinks) throw Error(ErrorCode::internal, "connect output '" + name_ + "'", "link " + std::to_string(index));
  if (index >= links_.size()) links_.resize(index + 1);  // somebody taps it
  LinkWatch& watch = links_[index];
  plane::Status status = plane::LinkView::map(link_fd, &watch.view);
  if (status == plane::Status::ok) status = port_->set_link(index, link_fd, doorbell_fd, queue, when_full, set_aside_sequence);
  if (status != plane::Status::ok) broken(name_, "connect", status);
  watch.there = true;
  watch.queue = queue;
  watch.when_full = when_full;
}

void PortOutput::add_arena(std::uint32_t id, int fd, std::uint64_t slot_bytes, std::uint32_t slots) {
  const plane::Status status = port_->add_arena(fd, id, slot_bytes, slots);
  if (status != plane::Status::ok) broken(name_, "give memory to", status);
  ++arriving_;
  endpoint_.send({{"type", "mapped"}, {"port", index_}, {"arena", id}});
}

void PortOutput::enable_arena(std::uint32_t id) {
  const plane::Status status = port_->enable_arena(id);
  if (status != plane::Status::ok) broken(name_, "give memory to", status);
  if (arriving_ > 0) --arriving_;
  asked_ = false;
}

void PortOutput::refuse_arena(std::string reason) {
  refusal_ = reason.empty() ? "the runtime refused" : std::move(reason);
  asked_ = false;
}

// ---- a port that nobody reads ----------------------------------------------------------------------------------------------

OutFrame UnreadOutput::allocate(std::size_t payload_bytes) { return make_unread_frame(payload_bytes); }

}  // namespace hawse::node
