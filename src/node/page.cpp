// SPDX-License-Identifier: Apache-2.0
//
// One writer: plain load and store in place of atomic additions.
#include "node/page.hpp"

#include <string>

#include "base/error.hpp"

namespace hawse::node {
namespace {

void add_one(std::atomic<std::uint64_t>& counter) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

void Page::map(int fd) {
  const plane::Status status = plane::Mapping::map(fd, sizeof(plane::NodePage), false, &mapping_);
  if (status != plane::Status::ok) throw Error(ErrorCode::system, "map the node page", plane::to_string(status));
}

void Page::set(plane::NodeState state) noexcept {
  if (!mapping_) return;
  page()->state.store(static_cast<std::uint32_t>(state), std::memory_order_relaxed);
  alive();
}

void Page::alive() noexcept {
  if (mapping_) page()->since_ns.store(static_cast<std::uint64_t>(plane::monotonic_ns()), std::memory_order_release);  // [page.since]
}

plane::NodeState Page::state() const noexcept {
  if (!mapping_) return plane::NodeState::starting;
  return static_cast<plane::NodeState>(page()->state.load(std::memory_order_relaxed));
}

void Page::count_out() noexcept { add_one(page()->frames_out); }
void Page::processed(std::int64_t ns) noexcept { plane::record(page()->processing, ns > 0 ? static_cast<std::uint64_t>(ns) : 0); }

}  // namespace hawse::node
