// SPDX-License-Identifier: Apache-2.0
//
// A node that joins by include/hawse/node.h: the loop of host.cpp turned inside out, so that the node calls and isn't called.
//
// Threading. One call at a time, which `Entered` looks after.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/c_handles.hpp"
#include "node/endpoint.hpp"
#include "node/matcher.hpp"
#include "node/params.hpp"

namespace hawse::node::c {

struct DeclaredPort {
  std::string name;
  unsigned types = 0;  // a bit for each FrameType; 0: any
  Output* output = nullptr;
  bool carries(FrameType type) const noexcept { return types == 0 || (types >> static_cast<unsigned>(type) & 1) != 0; }
};

struct Declared {
  std::vector<DeclaredPort> inputs, outputs;
  bool any_inputs = false, any_outputs = false, matched = false;
  nlohmann::json params;
};

Declared read_signature(const char* text);  // throws Failure

class Joined {
 public:
  Joined(UniqueFd control, Declared declared, std::string language);

  ~Joined() {
    if (state_ != State::over) endpoint_.abandon();
  }
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;

  // The manifest's ports against the signature's: `hawse check` has seen that of a program that shows its own, and of no other.
  void check_ports();

  void report(const char* summary, const char* details) { endpoint_.failed(summary, details, phase(), sequence_); }

  int ready();
  int next(std::int64_t timeout_ns, hawse_event& event);
  int finish();
  int fail(const char* summary, const char* details);
  std::size_t port(const char* name);
  Output& output_for(std::size_t index, FrameType type, const char* call);

  Output& flushed_output(const char* name) {
    in_order(State::running, "hawse_node_flush()");
    return *outputs_[port(name)].output;
  }

  bool has_input(const char* name);
  bool has_output(const char* name) { return outputs_[port(name)].output != &unread_; }
  Output& output(std::size_t index) { return *outputs_[index].output; }

  // The mapping that a dotted name leads into, and its last part.
  std::pair<Params, std::string> param(const char* name);

  std::string all_params() const { return params_->values.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

  // Lives as long as the node; asked for again, it is the same one.
  const char* keep(const std::string& key, std::string text);

  bool stopping() {
    endpoint_.take_messages();
    return endpoint_.stopping() || endpoint_.handing_over();
  }

  void keep_flush() {
    if (flush_id_ == 0) throw Failure(HAWSE_ERROR_ORDER, "hawse_node_keep_flush(): the last event was no HAWSE_EVENT_FLUSHED");
    flush_id_ = 0;
  }

  Endpoint& endpoint() noexcept { return endpoint_; }
  std::atomic<bool>& entered() noexcept { return entered_; }

 private:
  enum class State { joined, running, over };

  static bool declares(const std::vector<DeclaredPort>& ports, std::string_view name) {
    return std::ranges::any_of(ports, [&](const DeclaredPort& port) { return port.name == name; });
  }

  void in_order(State state, const char* call) const;
  const char* phase() const noexcept;

  const char* input_name(std::size_t port) const noexcept { return endpoint_.input_ports()[port].c_str(); }

  void begin_work() noexcept;
  void end_work();

  void take_in_hand(const FrameInfo& info) {
    endpoint_.stamp().take_over(info);
    sequence_ = info.sequence;
  }

  hawse_frame give(Frame frame);
  void next_turn(hawse_event& event);

  // What is no frame is the same with and without matching.
  void take_other(const Event& what, hawse_event& event);
  void next_frame(std::int64_t timeout_ns, hawse_event& event);
  void next_set(std::int64_t timeout_ns, hawse_event& event);

  // The earliest of the set is the one in hand.
  void give_set(hawse_event& event);

  std::vector<DeclaredPort> inputs_, outputs_;
  bool any_inputs_, any_outputs_, matches_;
  UnreadOutput unread_;
  Endpoint endpoint_;
  std::shared_ptr<const Params::Data> params_;
  std::map<std::string, std::string> texts_;
  State state_ = State::joined;
  std::uint32_t over_ = HAWSE_EVENT_TIMED_OUT;  // the last event, once it has come: from then on always it
  bool in_finish_ = false, was_read_ = false, works_ = false;
  Frame in_hand_;
  std::optional<Matcher<Frame>> matcher_;
  std::vector<Frame> set_;
  std::vector<hawse_input> given_set_;
  std::uint64_t flush_id_ = 0, sequence_ = 0;
  std::int64_t begin_ns_ = 0, work_ns_ = 0;
  std::atomic<bool> entered_{false};
};

// A call of a node's functions, one at a time.
class Entered {
 public:
  explicit Entered(hawse_node handle) : node_(*find(Kind::node, handle).node) {
    if (node_.entered().exchange(true, std::memory_order_acquire))
      throw Failure(HAWSE_ERROR_THREAD, "another thread is in a call of this node: its functions are for one at a time");
  }
  ~Entered() { node_.entered().store(false, std::memory_order_release); }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  Joined* operator->() const noexcept { return &node_; }
  Joined& operator*() const noexcept { return node_; }

 private:
  Joined& node_;
};

template <typename Call>
int with_node(hawse_node handle, Call&& call) noexcept {
  return guarded([&] {
    const Entered node(handle);
    return static_cast<int>(call(*node));
  });
}

}  // namespace hawse::node::c
