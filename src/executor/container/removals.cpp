// SPDX-License-Identifier: Apache-2.0
#include "executor/container/removals.hpp"

#include <algorithm>
#include <chrono>

#include "base/error.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

namespace {
constexpr std::chrono::milliseconds kFirstPause{250}, kLongestPause{4000};
}

Removals::~Removals() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  interrupt_.now();
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Removals::add(Request request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(std::move(request));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_all();
}

std::vector<std::string> Removals::finish(std::int64_t wait_ns) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::nanoseconds(wait_ns), [this] { return requests_.empty(); });
  std::vector<std::string> left;
  for (const auto& request : requests_)
    if (request.signal == nullptr) left.push_back(request.container);
  return left;
}

// The first request stays in the queue until the engine has answered it.
void Removals::run() noexcept {
  auto pause = kFirstPause;
  std::unique_lock lock(mutex_);
  while (!over_) {
    if (requests_.empty()) {
      changed_.wait(lock, [this] { return over_ || !requests_.empty(); });
      continue;
    }
    const Request request = requests_.front();
    lock.unlock();
    const bool answered = done(request);
    lock.lock();
    if (answered || request.signal != nullptr) {
      requests_.pop_front();
      changed_.notify_all();
      pause = kFirstPause;
    } else {
      changed_.wait_for(lock, pause, [this] { return over_; });
      pause = std::min(2 * pause, kLongestPause);
    }
  }
}

bool Removals::done(const Request& request) noexcept {
  try {
    if (request.signal == nullptr) engine_->remove(request.container, &interrupt_);
    else engine_->kill(request.container, request.signal, &interrupt_);
    return true;
  } catch (const Unreachable&) {
    return false;
  } catch (const std::exception&) {  // it refuses, and would again: the next run's sweep tries once more
    return true;
  }
}

}  // namespace hawse::executor
