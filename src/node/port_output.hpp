// SPDX-License-Identifier: Apache-2.0
//
// An output port of a node: the public Output over the plane's OutputPort, with growth and waiting.
//
// Growth.     A frame that fits in no slot, or finds every slot leased by readers, asks the runtime for an arena. Slots that lie unread in the
//             queue of a `block` edge are waited for: they come back by themselves. For a frame far larger than all before it gets few slots.
// Giving back. Arenas that the stream has no use for go back to the runtime (plane/port.hpp says which), one at a time.
// Threading.  The node's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "hawse/node.hpp"
#include "plane/port.hpp"

namespace hawse::node {

class Endpoint;

// What a frame takes over from the last input, so that what finish() sends belongs to the stream as well.
struct Stamp {
  bool active = false;  // there was one
  std::int64_t timestamp_ns = 0;
  std::uint64_t trace_id = 0;
  std::uint64_t seed = 0;
  std::uint64_t new_trace_id() noexcept;  // never 0
  void take_over(const FrameInfo& info) noexcept {  // what is sent from now on belongs to that frame
    active = true;
    timestamp_ns = info.timestamp_ns;
    trace_id = info.trace_id;
  }
};

// No room, with the runtime's reason.
class AllocationError : public std::bad_alloc {
 public:
  explicit AllocationError(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

class PortOutput : public Output {
 public:
  PortOutput(Endpoint&, std::size_t index, std::string name, std::size_t links, std::uint64_t first_sequence);

  OutFrame allocate(std::size_t payload_bytes) override;
  void send(OutFrame) override;
  bool connected() const noexcept override;
  void forward(const Frame&) override;
  void flush() override;

  const std::string& name() const noexcept { return name_; }
  plane::OutputPort& port() noexcept { return *port_; }
  void end() noexcept;      // no more frames
  bool settled() noexcept;  // after end(): no reader holds or awaits a frame, so that none can have to be given again

  // Messages of the runtime.
  void set_link(std::uint32_t index, int link_fd, int doorbell_fd, std::uint32_t queue, plane::WhenFull, std::uint64_t set_aside_sequence);
  void add_arena(std::uint32_t id, int fd, std::uint64_t slot_bytes, std::uint32_t slots);
  void enable_arena(std::uint32_t id);
  void refuse_arena(std::string reason);

  std::int64_t give_back(std::int64_t now_ns);  // what is idle; when there is something to look at again

 private:
  struct LinkWatch {
    plane::LinkView view;
    bool there = false;
    std::uint32_t queue = 0;
    plane::WhenFull when_full = plane::WhenFull::block;
    bool open() const noexcept;
    bool unread() const noexcept;
  };

  bool unread_on_blocking() const noexcept;
  bool grow(std::size_t payload_bytes, bool doubled);       // false: refused, see refusal_
  bool ask(std::uint64_t slot_bytes, std::uint64_t slots);
  void send_with(OutFrame&, std::uint32_t copies);
  void stamp(FrameInfo&) const;

  Endpoint& endpoint_;
  std::size_t index_;
  std::string name_;
  std::shared_ptr<plane::OutputPort> port_;
  std::vector<LinkWatch> links_;
  bool ended_ = false;
  bool asked_ = false;            // a `grow` is unanswered
  bool sparing_ = false;          // the last growth was for a frame far larger than the others
  std::uint32_t arriving_ = 0;    // arenas that are mapped and not yet enabled
  std::string refusal_;           // of the last `grow`
  bool told_ = false;             // that it waits on leased frames without a way to grow
};

// The output of a port that no edge uses.
class UnreadOutput : public Output {
 public:
  OutFrame allocate(std::size_t payload_bytes) override;
  void send(OutFrame) override {}
  bool connected() const noexcept override { return false; }
  void forward(const Frame&) override {}
  void flush() override {}
};

}  // namespace hawse::node
