// SPDX-License-Identifier: Apache-2.0
//
// The node's end of its control socket (docs/protocol.md). After listen(), a thread of its own receives, so that a hang-up is seen while the
// node's code runs: it queues each message and wakes the node's thread.
//
// Threading.  send() by any thread; take(), pending() and hung_up() by the node's thread.
// Hang-up.    With HangUp::exit_process the process ends at once, whatever it does; with HangUp::tell, hung_up() is true from then on.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "base/socket.hpp"
#include "plane/port.hpp"

namespace hawse::node {

enum class HangUp { exit_process, tell };

struct ControlMessage {
  nlohmann::json body;
  std::vector<UniqueFd> fds;
};

class Channel {
 public:
  Channel(UniqueFd socket, HangUp);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  ControlMessage receive();          // before listen(): waits; throws Stopped on a hang-up
  void listen(plane::Waker& waker);  // of the node's thread; it outlives this

  bool pending() const noexcept { return pending_.load(std::memory_order_acquire); }  // take() gives something, or it hung up
  bool hung_up() const noexcept { return hung_up_.load(std::memory_order_acquire); }
  std::optional<ControlMessage> take();

  void send(const nlohmann::json& body);  // throws Stopped where the runtime is gone

 private:
  void run(plane::Waker& waker) noexcept;
  void hang_up() noexcept;

  UniqueFd socket_;
  HangUp on_hang_up_;
  UniqueFd stop_;  // eventfd: ends the thread
  std::mutex mutex_;
  std::deque<Message> queue_;
  std::atomic<bool> pending_{false};
  std::atomic<bool> hung_up_{false};
  std::thread thread_;
};

}  // namespace hawse::node
