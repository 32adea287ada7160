// SPDX-License-Identifier: Apache-2.0
//
// What a node shows of itself: the node page (plane/layout.hpp), written by the node's thread only.
#pragma once

#include "plane/port.hpp"

namespace hawse::node {

class Page {
 public:
  void map(int fd);  // throws Error
  void set(plane::NodeState) noexcept;
  void alive() noexcept;  // any thread
  plane::NodeState state() const noexcept;
  void count_in() noexcept { plane::count_in(*page()); }
  void begin_work(std::size_t link, const plane::FrameHeader& header) noexcept { plane::begin_work(*page(), link, header); }
  void end_work() noexcept { plane::end_work(*page()); }
  void count_out() noexcept;
  void processed(std::int64_t ns) noexcept;

  void add_waited(std::int64_t ns) noexcept { waited_ns_ += ns; }
  std::int64_t waited_ns() const noexcept { return waited_ns_; }  // asleep so far: no part of processing

 private:
  plane::NodePage* page() const noexcept { return reinterpret_cast<plane::NodePage*>(mapping_.data()); }
  plane::Mapping mapping_;
  std::int64_t waited_ns_ = 0;
};

}  // namespace hawse::node
