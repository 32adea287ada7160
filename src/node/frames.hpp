// SPDX-License-Identifier: Apache-2.0
//
// What stands behind the public Frame and OutFrame: a lease on a slot of somebody else's arena, and a slot of our own.
//
// Ownership.  A lease keeps its InputEnd alive, a slot its OutputPort: both may outlive the node's host.
// Threading.  A lease may end in any thread; a slot belongs to the node's thread.
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "hawse/frame.hpp"
#include "plane/port.hpp"

namespace hawse {

// The reading end of an edge. Once abandoned (its node failed, or hands over), leases are not given back: the frames that the node held, the one that it failed on
// among them, are given to its replacement.
struct InputEnd {
  plane::InputLink link;
  std::size_t number = 0;  // of the link, in the node's configuration
  std::atomic<bool> abandoned{false};
};

struct Frame::Lease {
  Lease() = default;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease();

  FrameInfo info;
  std::span<const std::byte> bytes;
  std::shared_ptr<InputEnd> end;
  plane::Slot slot;
  std::uint64_t epoch = 0;
};

struct OutFrame::Slot {
  Slot() = default;
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot();

  FrameInfo info;
  std::span<std::byte> bytes;
  std::shared_ptr<plane::OutputPort> port;  // null: of an output that nobody reads, its bytes are heap_
  plane::Building building;
  std::unique_ptr<std::byte[]> heap;
};

namespace node {

Frame make_frame(std::shared_ptr<InputEnd> end, const plane::Received& received);
OutFrame make_out_frame(std::shared_ptr<plane::OutputPort> port, const plane::Building& building, std::size_t payload_bytes);
OutFrame make_unread_frame(std::size_t payload_bytes);

// Throws std::invalid_argument where the info doesn't fit the payload: a reader would have to refuse such a frame.
void write_header(const FrameInfo& info, std::size_t payload_bytes, plane::FrameHeader& header);

}  // namespace node
}  // namespace hawse
