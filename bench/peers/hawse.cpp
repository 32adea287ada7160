// SPDX-License-Identifier: Apache-2.0
//
// Ours: two nodes joined by an edge each way, through plane/port.hpp and nothing else. End 0 is also what the runtime is to real nodes: it makes the doorbells,
// links and arenas, passes each over the socket, and seals an arena once its writer has mapped it, in the order of runtime/links.cpp. What isn't here is the
// runtime's JSON around the descriptors, and the node API's stamping of times and trace ids (node/port_output.cpp).
//
// Waiting. polling: receive() is tried again and again. sleeping: plane::wait() with no spin. adaptive: with one, as a node has it.
#include <memory>
#include <vector>

#include "bench/peers/adapter.hpp"
#include "bench/peers/registry.hpp"
#include "bench/peers/shared.hpp"
#include "plane/port.hpp"
#include "plane/slot_size.hpp"

namespace hawse::bench {
namespace {

using plane::Status;

constexpr std::uint32_t kArenaId = 0;
constexpr std::uint64_t kLargeSlotBytes = 16ull << 20;

// As node/port_output.cpp counts slots: what waits in the queue and four more; of large ones as few as let the stream run.
struct ArenaShape {
  std::uint64_t slot_bytes;
  std::uint32_t slots;
};
constexpr ArenaShape shape_for(std::uint64_t payload_bytes, std::uint32_t depth) {
  const std::uint64_t slot_bytes = plane::slot_bytes_for(payload_bytes);
  return {slot_bytes, slot_bytes >= kLargeSlotBytes ? 3 : depth + 4};
}

void check(Status status, const char* operation) {
  if (status != Status::ok) throw Error(ErrorCode::internal, operation, plane::to_string(status));
}

UniqueFd made(int fd, const char* what) {
  if (fd < 0) throw Error::from_errno("make shared memory", what);
  return UniqueFd(fd);
}

class PlaneEnd {
 public:
  explicit PlaneEnd(const hawse_peer_setup& setup) : socket_(setup.socket), sleeps_(setup.wait != HAWSE_PEER_POLLING), spins_(setup.wait == HAWSE_PEER_ADAPTIVE) {
    spin_.set_limit(setup.spin_ns);
    for (std::uint32_t i = 0; i < (setup.end == 0 ? 1 : setup.readers); ++i) links_.push_back(std::make_unique<plane::InputLink>());
    if (setup.end == 0)
      connect_as_runtime(setup);
    else
      connect_as_node(setup);
  }

  void* loan(std::uint64_t bytes) {
    for (;;) {
      const Status status = port_.allocate(bytes, &building_);
      if (status == Status::ok) break;
      if (status != Status::no_slot) check(status, "allocate");
      wait_for_room();
    }
    building_.header->type = plane::FrameType::bytes;
    building_.header->payload_bytes = bytes;
    return building_.payload;
  }

  void send(std::uint64_t) {
    for (;;) {
      const Status status = port_.send(building_, 0);
      if (status == Status::ok) return;
      if (status != Status::full) check(status, "send");
      wait_for_room();
    }
  }

  Payload receive() {
    link_ = links_[next_].get();
    next_ = next_ + 1 == links_.size() ? 0 : next_ + 1;
    for (;;) {
      const Status status = link_->receive(&received_);
      if (status == Status::ok) return {received_.payload, received_.header.payload_bytes};
      if (status != Status::empty) check(status, "receive");
      if (sleeps_) wait(true, false);
    }
  }

  void release() noexcept { link_->release(received_.slot, received_.epoch); }

 private:
  void wait(bool for_input, bool for_room) noexcept {
    plane::OutputPort* const outputs[] = {&port_};
    plane::InputLink* const inputs[] = {link_};
    plane::wait(bell_, {outputs, 1, inputs, link_ == nullptr ? 0u : 1u}, for_input, for_room, spins_ ? &spin_ : nullptr, -1);
  }

  void wait_for_room() noexcept {
    if (sleeps_) return wait(false, true);
    while (!port_.can_send()) {
    }
  }

  // The other end says that it has done its part.
  void hear() const {
    if (!receive_message(socket_)) throw Error(ErrorCode::system, "set the plane up", "the other end is gone");
  }
  UniqueFd take() const {
    auto message = receive_message(socket_);
    if (!message || message->fds.size() != 1) throw Error(ErrorCode::system, "set the plane up", "the other end is gone");
    return std::move(message->fds.front());
  }

  void connect_as_runtime(const hawse_peer_setup& setup) {
    const UniqueFd bell = made(plane::create_doorbell(), "doorbell"), other_bell = made(plane::create_doorbell(), "doorbell");
    check(plane::Bell::map(bell.get(), &bell_), "map a doorbell");
    send_message(socket_, "bells", {other_bell.get(), bell.get()});
    for (std::uint32_t i = 0; i < setup.readers; ++i) {
      const UniqueFd link = made(plane::create_link(setup.depth, plane::WhenFull::block), "link");
      send_message(socket_, "input_link", {link.get()});
      check(port_.set_link(i, link.get(), other_bell.get(), setup.depth, plane::WhenFull::block), "set a link");
    }
    const UniqueFd back = made(plane::create_link(setup.depth, plane::WhenFull::block), "link");
    send_message(socket_, "output_link", {back.get()});
    check(links_[0]->connect(back.get(), other_bell.get()), "connect a link");

    const ArenaShape out = shape_for(setup.bytes_out, setup.depth), in = shape_for(setup.bytes_in, setup.depth);
    const UniqueFd arena = made(plane::create_arena(out.slot_bytes, out.slots), "arena");
    check(port_.add_arena(arena.get(), kArenaId, out.slot_bytes, out.slots), "map an arena");
    if (plane::seal_arena(arena.get()) != 0) throw Error::from_errno("seal an arena", "");
    send_message(socket_, "input_arena", {arena.get()});
    check(port_.enable_arena(kArenaId), "use an arena");

    const UniqueFd arena_back = made(plane::create_arena(in.slot_bytes, in.slots), "arena");
    send_message(socket_, "arena", {arena_back.get()});
    hear();  // "mapped"
    if (plane::seal_arena(arena_back.get()) != 0) throw Error::from_errno("seal an arena", "");
    check(links_[0]->add_arena(arena_back.get(), kArenaId, in.slot_bytes, in.slots), "map an arena");
    send_message(socket_, "arena_ready");
  }

  void connect_as_node(const hawse_peer_setup& setup) {
    auto bells = receive_message(socket_);
    if (!bells || bells->fds.size() != 2) throw Error(ErrorCode::system, "set the plane up", "the other end is gone");
    check(plane::Bell::map(bells->fds[0].get(), &bell_), "map a doorbell");
    const int other_bell = bells->fds[1].get();
    for (const auto& link : links_) check(link->connect(take().get(), other_bell), "connect a link");
    check(port_.set_link(0, take().get(), other_bell, setup.depth, plane::WhenFull::block), "set a link");

    const ArenaShape out = shape_for(setup.bytes_out, setup.depth), in = shape_for(setup.bytes_in, setup.depth);
    const UniqueFd arena_in = take();
    for (const auto& link : links_) check(link->add_arena(arena_in.get(), kArenaId, in.slot_bytes, in.slots), "map an arena");
    check(port_.add_arena(take().get(), kArenaId, out.slot_bytes, out.slots), "map an arena");
    send_message(socket_, "mapped");
    hear();  // "arena_ready"
    check(port_.enable_arena(kArenaId), "use an arena");
  }

  int socket_;
  bool sleeps_, spins_;
  plane::AdaptiveSpin spin_;
  plane::Bell bell_;
  plane::OutputPort port_;
  std::vector<std::unique_ptr<plane::InputLink>> links_;
  std::size_t next_ = 0;
  plane::InputLink* link_ = nullptr;  // of received_
  plane::Building building_;
  plane::Received received_;
};

}  // namespace

hawse_transport plane_api() {
  return api_of<PlaneEnd>({.name = "hawse",
                           .waits = HAWSE_PEER_POLLING | HAWSE_PEER_SLEEPING | HAWSE_PEER_ADAPTIVE,
                           .max_bytes = plane::kMaxFrameBytes,
                           .max_readers = plane::kMaxLinks},
                          [] { return HAWSE_VERSION; });
}

}  // namespace hawse::bench
