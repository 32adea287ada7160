// SPDX-License-Identifier: Apache-2.0
//
// Between a session and whoever prints its events: a thread prints, so that a terminal or a pipe that isn't read never holds up the session.
//
// Bounds.    Log lines and progress wait in at most kMaxWaitingBytes; what comes on top is left out, counted, and told with a notice as soon as something is
//            printed again. Every other event is kept: there are few. has_room() says whether lines should go on coming, for who wants them all.
// Errors.    Where the printing function throws, stderr says which event wasn't printed, and the next one is.
// Threading. push() and has_room() from any thread. The printing function runs on this class's own thread; the destructor ends when all is printed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "runtime/session.hpp"

namespace hawse::cli {

class EventQueue {
 public:
  explicit EventQueue(std::function<void(const runtime::Event&)> print);
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  void push(runtime::Event);
  bool has_room();

 private:
  void print_all();

  std::function<void(const runtime::Event&)> print_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<runtime::Event> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t left_out_ = 0;
  bool over_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace hawse::cli
