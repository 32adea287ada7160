// SPDX-License-Identifier: Apache-2.0
//
// The session's event loop: descriptors, timers and calls posted from other threads, all run by one thread (epoll).
//
// Threading: everything but post() belongs to the thread that calls run(). A Watch or Timer that is destroyed is never called again, also not
// for an event that this round of epoll has already returned.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fd.hpp"

namespace hawse::runtime {

class Loop {
 public:
  class Handle {  // Watch or Timer: ends with its destruction
   public:
    Handle() noexcept = default;
    Handle(Loop* loop, std::uint64_t id) noexcept : loop_(loop), id_(id) {}
    Handle(Handle&& other) noexcept;
    Handle& operator=(Handle&& other) noexcept;
    ~Handle() { reset(); }
    void reset() noexcept;
    explicit operator bool() const noexcept { return loop_ != nullptr; }

   private:
    Loop* loop_ = nullptr;
    std::uint64_t id_ = 0;
  };

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;

  // Level-triggered; fd stays the caller's, must outlive the handle, and may be watched once (for both, watch a duplicate).
  [[nodiscard]] Handle on_readable(int fd, std::function<void()>);
  [[nodiscard]] Handle on_writable(int fd, std::function<void()>);
  [[nodiscard]] Handle after(std::int64_t delay_ns, std::function<void()>);
  void post(std::function<void()>);  // any thread
  void run();                        // until stop()
  void stop() noexcept { stopped_ = true; }

 private:
  struct Source {
    int fd = -1;
    std::int64_t due_ns = 0;
    std::function<void()> call;
  };
  Handle watch(int fd, std::uint32_t events, std::function<void()>);
  void remove(std::uint64_t id) noexcept;
  void call(std::uint64_t id);
  int run_timers();  // milliseconds until the next one, -1: none
  void run_posted();

  UniqueFd epoll_, wake_;
  std::map<std::uint64_t, std::shared_ptr<Source>> sources_;
  std::multimap<std::int64_t, std::uint64_t> timers_;
  std::uint64_t next_id_ = 1;
  bool stopped_ = false;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};

}  // namespace hawse::runtime
