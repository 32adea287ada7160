// SPDX-License-Identifier: Apache-2.0
//
// Containers that are to go, or get a signal, while nobody can wait for it: asked of the engine by a thread of its own, again and again where the engine is gone or silent.
//
// Invariants. signal() and remove() return at once. What is still left when finish() gives up is swept by the next run (ownership.hpp).
// Threading.  Any thread. The thread starts with the first request and ends with the destructor, which waits for no engine.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "executor/container/engine.hpp"

namespace hawse::executor {

class Removals {
 public:
  explicit Removals(std::shared_ptr<const Engine> engine) : engine_(std::move(engine)) {}
  ~Removals();
  Removals(const Removals&) = delete;
  Removals& operator=(const Removals&) = delete;

  void signal(const std::string& container, const char* name) { add({container, name}); }  // tried once: whoever wants it gone removes it, too
  void remove(const std::string& container) { add({container, nullptr}); }                // by its id
  std::vector<std::string> finish(std::int64_t wait_ns);                  // waits so long at most for all of it; what is left

 private:
  struct Request {
    std::string container;
    const char* signal = nullptr;  // null: remove it
  };
  void add(Request);
  void run() noexcept;
  bool done(const Request&) noexcept;

  const std::shared_ptr<const Engine> engine_;
  Interrupt interrupt_;
  std::mutex mutex_;  // over the following
  std::condition_variable changed_;
  std::deque<Request> requests_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace hawse::executor
