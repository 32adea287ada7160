// SPDX-License-Identifier: Apache-2.0
//
// What the models have in common: a writer, a reader, the link between them, and which of its words are followed.
#pragma once

#include "plane/internal.hpp"
#include "plane/model/explorer.hpp"

namespace hawse::plane {

inline constexpr std::uint64_t kPayloadBytes = 64, kLargeBytes = 512;
inline constexpr std::uint32_t kMostFrames = 16;

// Words that a model leaves out are plain memory: what it is not about costs no interleavings.
struct Follow {
  bool sleeping = false;  // the words that are slept on
  bool closing = false;   // the states of both sides
  bool leases = false;
  bool flushing = false;
  bool sizes = false;  // of the frame's words its length rather than its sequence
};

inline void follow_link(int fd, const Follow& what) {
  Mapping mapping;
  LinkMemory memory;
  if (open_link(fd, &mapping, &memory) != Status::ok) {
    model::check(false, "open_link");
    return;
  }
  LinkHeader& header = *memory.header;
  model::follow(&header.read, "link.read");
  model::follow(&header.returned[0], "link.returned");
  for (std::uint64_t i = 0; i < memory.ring_slots(); ++i) {
    Descriptor& descriptor = memory.descriptors[i];
    model::follow(&descriptor.stamp, "descriptor.stamp");
    model::follow(&descriptor.place, "descriptor.words");
    // One of twelve that are handled alike.
    model::follow(&descriptor.header[(what.sizes ? offsetof(FrameHeader, payload_bytes) : offsetof(FrameHeader, sequence)) / 8], "descriptor.words");
    if (what.leases) model::follow(&memory.leases[i].position_1, "lease");
  }
  if (what.sleeping) {
    model::follow(&header.reader_sleeps, "link.reader_sleeps");
    model::follow(&header.writer_sleeps, "link.writer_sleeps");
  }
  if (what.closing) {
    model::follow(&header.reader_state, "link.reader_state");
    model::follow(&header.writer_state, "link.writer_state");
    model::follow(&header.adopted, "link.adopted");
  }
  if (what.flushing) {
    model::follow(&header.flush_id, "link.flush_id");
    model::follow(&header.void_until, "link.void_until");
  }
}

struct Doorbells {
  int fd = create_doorbell();
  Bell bell;
  explicit Doorbells(const Follow& what) {
    Mapping mapping;
    const bool good = Bell::map(fd, &bell) == Status::ok && Mapping::map(fd, sizeof(Doorbell), false, &mapping) == Status::ok;
    model::check(good, "doorbell");
    if (what.sleeping) model::follow(mapping.data(), "doorbell.rings");
  }
};

struct Writer {
  OutputPort port;
  Doorbells door;
  int arena;
  std::uint32_t slots;

  Writer(std::uint32_t slot_count, const Follow& what) : door(what), arena(create_arena(kPayloadBytes, slot_count)), slots(slot_count) {
    Mapping mapping;
    bool good = Mapping::map(arena, kPayloadBytes * slots, false, &mapping) == Status::ok;
    for (std::uint32_t i = 0; i < slots; ++i) model::follow_payload(mapping.data() + kPayloadBytes * i);
    good = good && port.add_arena(arena, 1, kPayloadBytes, slots) == Status::ok && seal_arena(arena) == 0 && port.enable_arena(1) == Status::ok;
    model::check(good, "the writer's arena");
  }

  // A second arena, of larger slots, for readers that are connected already.
  int add_large(std::uint32_t slot_count) {
    const int large = create_arena(kLargeBytes, slot_count);
    Mapping mapping;
    bool good = Mapping::map(large, kLargeBytes * slot_count, false, &mapping) == Status::ok;
    for (std::uint32_t i = 0; i < slot_count; ++i) model::follow_payload(mapping.data() + kLargeBytes * i);
    good = good && port.add_arena(large, 2, kLargeBytes, slot_count) == Status::ok && seal_arena(large) == 0 && port.enable_arena(2) == Status::ok;
    model::check(good, "the writer's second arena");
    return large;
  }

  Status send(std::uint64_t bytes = kPayloadBytes) {
    Building building;
    if (const Status status = port.allocate(bytes, &building); status != Status::ok) return status;
    building.header->type = FrameType::bytes;
    building.header->payload_bytes = bytes;
    model::write_payload(building.payload, port.next_sequence());
    const Status status = port.send(building, 0);
    if (status != Status::ok) port.abandon(building);
    return status;
  }
};

// A reader that writes down what it gets. Frames come in order, whole, and not twice.
struct Reader {
  InputLink link;
  Doorbells door;
  std::uint64_t last = 0;
  std::uint32_t received = 0, again = 0;
  bool got[kMostFrames] = {}, returned[kMostFrames] = {};

  explicit Reader(const Follow& what) : door(what) {}

  void connect(int link_fd, const Writer& writer) {
    model::check(link.connect(link_fd, writer.door.fd) == Status::ok && link.add_arena(writer.arena, 1, kPayloadBytes, writer.slots) == Status::ok,
                 "connect");
  }

  void note(const Received& frame) {
    const std::uint64_t sequence = frame.header.sequence;
    model::check(sequence > last && sequence < kMostFrames, "frames come in order, and none twice");
    model::check(model::read_payload(frame.payload) == sequence, "a payload is of its frame");
    last = sequence;
    got[sequence] = true;
    ++received;
    if ((frame.header.flags & kFlagGivenAgain) != 0) ++again;
  }

  void release(const Received& frame) {
    model::check(model::read_payload(frame.payload) == frame.header.sequence, "a payload stays until it is released");
    link.release(frame.slot, frame.epoch);
    returned[frame.header.sequence] = true;
  }

  Status take() {
    Received frame;
    const Status status = link.receive(&frame);
    model::check(status != Status::corrupt && status != Status::unknown_arena, "an honest writer is taken for a hostile one");
    if (status != Status::ok) return status;
    note(frame);
    release(frame);
    return status;
  }

  void drain() {
    while (take() == Status::ok) {
    }
  }
};

inline void attach(Writer& writer, int link, const Reader& reader, std::uint32_t queue, WhenFull when_full, std::uint32_t index = 0) {
  model::check(writer.port.set_link(index, link, reader.door.fd, queue, when_full) == Status::ok, "set_link");
}

// A link that both are connected to, and whose words are followed.
inline int join(Writer& writer, Reader& reader, const Follow& what, std::uint32_t queue, WhenFull when_full, std::uint32_t index = 0) {
  const int link = create_link(queue, when_full);
  follow_link(link, what);
  reader.connect(link, writer);
  attach(writer, link, reader, queue, when_full, index);
  return link;
}

}  // namespace hawse::plane
