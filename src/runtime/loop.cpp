// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/error.hpp"
#include "plane/port.hpp"

namespace hawse::runtime {

Loop::Handle::Handle(Handle&& other) noexcept : loop_(std::exchange(other.loop_, nullptr)), id_(other.id_) {}

Loop::Handle& Loop::Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    loop_ = std::exchange(other.loop_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

void Loop::Handle::reset() noexcept {
  if (loop_ != nullptr) std::exchange(loop_, nullptr)->remove(id_);
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_ || !wake_) throw Error::from_errno("start the event loop", "epoll");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) throw Error::from_errno("start the event loop", "epoll_ctl");
}

Loop::~Loop() = default;

Loop::Handle Loop::on_readable(int fd, std::function<void()> function) { return watch(fd, EPOLLIN | EPOLLRDHUP, std::move(function)); }

Loop::Handle Loop::on_writable(int fd, std::function<void()> function) { return watch(fd, EPOLLOUT, std::move(function)); }

Loop::Handle Loop::watch(int fd, std::uint32_t events, std::function<void()> function) {
  const std::uint64_t id = next_id_++;
  epoll_event event{.events = events, .data = {.u64 = id}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw Error::from_errno("watch a descriptor", std::to_string(fd));
  sources_.emplace(id, std::make_shared<Source>(Source{.fd = fd, .due_ns = 0, .call = std::move(function)}));
  return {this, id};
}

Loop::Handle Loop::after(std::int64_t delay_ns, std::function<void()> function) {
  const std::uint64_t id = next_id_++;
  const std::int64_t due_ns = plane::monotonic_ns() + delay_ns;
  sources_.emplace(id, std::make_shared<Source>(Source{.fd = -1, .due_ns = due_ns, .call = std::move(function)}));
  timers_.emplace(due_ns, id);
  return {this, id};
}

void Loop::post(std::function<void()> function) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(function));
  }
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

void Loop::remove(std::uint64_t id) noexcept {
  const auto found = sources_.find(id);
  if (found == sources_.end()) return;
  if (found->second->fd >= 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->fd, nullptr);
  sources_.erase(found);
}

void Loop::call(std::uint64_t id) {
  const auto found = sources_.find(id);
  if (found == sources_.end()) return;
  const std::shared_ptr<Source> source = found->second;  // the call may remove its own handle
  source->call();
}

int Loop::run_timers() {
  while (!timers_.empty()) {
    const auto [due_ns, id] = *timers_.begin();
    if (!sources_.contains(id)) {
      timers_.erase(timers_.begin());
      continue;
    }
    const std::int64_t left_ns = due_ns - plane::monotonic_ns();
    if (left_ns > 0) return static_cast<int>(std::min<std::int64_t>(left_ns / 1'000'000 + 1, 60'000));
    timers_.erase(timers_.begin());
    call(id);
    remove(id);
  }
  return -1;
}

void Loop::run_posted() {
  std::uint64_t count = 0;
  (void)!read(wake_.get(), &count, sizeof count);
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (auto& function : posted) function();
}

void Loop::run() {
  stopped_ = false;
  epoll_event events[64];
  while (!stopped_) {
    const int timeout_ms = run_timers();
    if (stopped_) break;
    const int count = epoll_wait(epoll_.get(), events, 64, timeout_ms);
    if (count < 0 && errno != EINTR) throw Error::from_errno("wait for events", "epoll_wait");
    for (int i = 0; i < count && !stopped_; ++i) {
      if (events[i].data.u64 == 0) run_posted();
      else call(events[i].data.u64);
    }
  }
}

}  // namespace hawse::runtime
