// SPDX-License-Identifier: Apache-2.0
//
// For tests: what the supervisor does to join a port and its readers, in one process. Descriptors are closed at the end.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "plane/port.hpp"

namespace hawse::plane {

inline std::ostream& operator<<(std::ostream& out, Status status) { return out << to_string(status); }
inline std::ostream& operator<<(std::ostream& out, WhenFull when_full) {
  constexpr const char* kNames[] = {"block", "drop_oldest", "drop_newest", "latest"};
  return out << kNames[static_cast<int>(when_full)];
}

class TestFd {
 public:
  explicit TestFd(int fd) : fd_(fd) { EXPECT_GE(fd, 0) << std::strerror(errno); }
  TestFd(TestFd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  TestFd& operator=(TestFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~TestFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct TestArena {
  TestFd fd;
  std::uint32_t id;
  std::uint64_t slot_bytes;
  std::uint32_t slot_count;
};

inline std::uint64_t slot_bytes_for(std::uint64_t payload_bytes) { return (std::max<std::uint64_t>(payload_bytes, 1) + kCacheLine - 1) / kCacheLine * kCacheLine; }

// One output port with its arenas; readers are joined one by one.
struct TestWriter {
  std::unique_ptr<OutputPort> port = std::make_unique<OutputPort>();
  TestFd bell_fd{create_doorbell()};
  Bell bell;
  std::deque<TestArena> arenas;
  std::uint32_t next_id = 7;  // nothing may take an identifier for an index

  TestWriter() { EXPECT_EQ(Bell::map(bell_fd.get(), &bell), Status::ok); }
  TestWriter(std::uint64_t payload_bytes, std::uint32_t slot_count) : TestWriter() { grow(payload_bytes, slot_count); }

  TestArena& grow(std::uint64_t payload_bytes, std::uint32_t slot_count) {
    const std::uint64_t slot_bytes = slot_bytes_for(payload_bytes);
    const std::uint32_t id = next_id++;
    arenas.push_back({TestFd(create_arena(slot_bytes, slot_count)), id, slot_bytes, slot_count});
    EXPECT_EQ(port->add_arena(arenas.back().fd.get(), id, slot_bytes, slot_count), Status::ok);
    EXPECT_EQ(seal_arena(arenas.back().fd.get()), 0);
    EXPECT_EQ(port->enable_arena(id), Status::ok);
    return arenas.back();
  }
};

struct TestReader {
  std::unique_ptr<InputLink> link = std::make_unique<InputLink>();
  TestFd bell_fd{create_doorbell()};
  Bell bell;

  TestReader() { EXPECT_EQ(Bell::map(bell_fd.get(), &bell), Status::ok); }
};

// Joins both and returns the link's descriptor.
inline TestFd join(TestWriter& writer, TestReader& reader, std::uint32_t index, std::uint32_t queue, WhenFull when_full,
                   std::uint64_t set_aside_sequence = 0) {
  TestFd fd(create_link(queue, when_full, static_cast<std::uint32_t>(writer.port->slot_count())));
  EXPECT_EQ(reader.link->connect(fd.get(), writer.bell_fd.get()), Status::ok);
  for (const TestArena& arena : writer.arenas)
    EXPECT_EQ(reader.link->add_arena(arena.fd.get(), arena.id, arena.slot_bytes, arena.slot_count), Status::ok);
  EXPECT_EQ(writer.port->set_link(index, fd.get(), reader.bell_fd.get(), queue, when_full, set_aside_sequence), Status::ok);
  return fd;
}

// A payload that tells which frame it belongs to, at every byte.
inline void fill(std::byte* payload, std::uint64_t bytes, std::uint64_t seed) {
  for (std::uint64_t i = 0; i < bytes; ++i) payload[i] = static_cast<std::byte>((seed * 131 + i * 7) & 0xff);
}
inline bool is_filled(const std::byte* payload, std::uint64_t bytes, std::uint64_t seed) {
  for (std::uint64_t i = 0; i < bytes; ++i)
    if (payload[i] != static_cast<std::byte>((seed * 131 + i * 7) & 0xff)) return false;
  return true;
}

inline Status build(OutputPort& port, std::uint64_t payload_bytes, Building* out) {
  const Status status = port.allocate(payload_bytes, out);
  if (status != Status::ok) return status;
  out->header->type = FrameType::bytes;
  out->header->payload_bytes = payload_bytes;
  fill(out->payload, payload_bytes, port.next_sequence());
  return status;
}

// Builds and sends one frame; on any refusal the slot is free again.
inline Status send_one(OutputPort& port, std::uint64_t payload_bytes = 64) {
  Building building;
  if (const Status status = build(port, payload_bytes, &building); status != Status::ok) return status;
  const Status status = port.send(building, 0);
  if (status != Status::ok) port.abandon(building);
  return status;
}

inline bool is_intact(const Received& frame) { return is_filled(frame.payload, frame.header.payload_bytes, frame.header.sequence); }

// Sequence numbers of everything that is unread now, each released at once.
inline std::vector<std::uint64_t> drain(InputLink& link) {
  std::vector<std::uint64_t> out;
  Received frame;
  while (link.receive(&frame) == Status::ok) {
    EXPECT_TRUE(is_intact(frame));
    out.push_back(frame.header.sequence);
    link.release(frame.slot, frame.epoch);
  }
  return out;
}

inline std::vector<std::uint64_t> range(std::uint64_t first, std::uint64_t last) {
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = first; i <= last; ++i) out.push_back(i);
  return out;
}

inline LinkView view_of(const TestFd& fd) {
  LinkView view;
  EXPECT_EQ(LinkView::map(fd.get(), &view), Status::ok);
  return view;
}

}  // namespace hawse::plane
