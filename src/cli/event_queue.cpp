// SPDX-License-Identifier: Apache-2.0
#include "cli/event_queue.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

namespace hawse::cli {
namespace {

using runtime::Event;

constexpr std::size_t kMaxWaitingBytes = 32 << 20;
constexpr std::size_t kEventBytes = 512;  // of an event beside its text

bool may_be_left_out(const Event& event) { return event.type == "log" || event.type == "progress"; }

std::size_t size_of(const Event& event) {
  const auto text = event.data.find("text");
  return kEventBytes + (text != event.data.end() && text->is_string() ? text->get_ref<const std::string&>().size() : 0);
}

Event notice_of(std::uint64_t left_out) {
  return {"notice", "", {{"text", std::to_string(left_out) + " lines were left out: nobody read what this command prints"}, {"lines", left_out}}};
}

}  // namespace

EventQueue::EventQueue(std::function<void(const Event&)> print) : print_(std::move(print)), thread_([this] { print_all(); }) {}

EventQueue::~EventQueue() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void EventQueue::push(Event event) {
  {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = size_of(event);
    if (may_be_left_out(event) && waiting_bytes_ + bytes > kMaxWaitingBytes) {
      ++left_out_;
      return;
    }
    waiting_bytes_ += bytes;
    waiting_.push_back(std::move(event));
  }
  changed_.notify_one();
}

// Half of the room is kept for the lines that are on their way when it says no.
bool EventQueue::has_room() {
  const std::lock_guard lock(mutex_);
  return waiting_bytes_ < kMaxWaitingBytes / 2;
}

void EventQueue::print_all() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return over_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Event event = std::move(waiting_.front());
    waiting_.pop_front();
    const std::uint64_t left_out = std::exchange(left_out_, 0);
    lock.unlock();
    try {
      print_(event);
    } catch (const std::exception& error) {  // a fault of ours; the nodes needn't die of it
      fmt::print(stderr, "hawse: internal error: an event '{}' of {} could not be printed: {}\n", event.type, event.node.empty() ? "the session" : event.node, error.what());
    }
    if (left_out != 0) print_(notice_of(left_out));
    lock.lock();
    waiting_bytes_ -= size_of(event);
  }
}

}  // namespace hawse::cli
