// SPDX-License-Identifier: Apache-2.0
//
// The thread waits with poll() on the socket and on an eventfd of ours: shutting the socket down to end it would break the duplicate that a
// container's init holds.
#include "node/channel.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "base/error.hpp"
#include "hawse/node.hpp"

namespace hawse::node {
namespace {

ControlMessage parse(Message message) {
  ControlMessage parsed;
  parsed.body = nlohmann::json::parse(message.text, nullptr, false);
  if (!parsed.body.is_object() || !parsed.body.contains("type")) throw Error(ErrorCode::internal, "read the runtime's message", message.text.substr(0, 200));
  parsed.fds = std::move(message.fds);
  return parsed;
}

}  // namespace

Channel::Channel(UniqueFd socket, HangUp on_hang_up) : socket_(std::move(socket)), on_hang_up_(on_hang_up), stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (!stop_) throw Error::from_errno("open a node's control channel", "");
}

Channel::~Channel() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  while (::write(stop_.get(), &one, sizeof one) < 0) {
  }
  thread_.join();
}

void Channel::hang_up() noexcept {
  if (on_hang_up_ == HangUp::exit_process) ::_exit(1);
  const std::lock_guard lock(mutex_);  // take() must not clear what is set here
  hung_up_.store(true, std::memory_order_release);
  pending_.store(true, std::memory_order_release);
}

ControlMessage Channel::receive() {
  std::optional<Message> message = receive_message(socket_.get());
  if (!message) {
    hang_up();
    throw Stopped();
  }
  return parse(std::move(*message));
}

void Channel::listen(plane::Waker& waker) {
  thread_ = std::thread([this, &waker] { run(waker); });
}

void Channel::run(plane::Waker& waker) noexcept {
  for (;;) {
    pollfd waits[2] = {{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0) continue;
    if (waits[1].revents != 0) return;
    try {
      std::optional<Message> message = receive_message(socket_.get(), true);
      if (message && message->text.empty()) continue;
      if (message) {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(*message));
        pending_.store(true, std::memory_order_release);
      } else {
        hang_up();
      }
    } catch (const std::exception&) {  // a socket that can't be read is as good as gone
      hang_up();
    }
    waker.wake();
    if (hung_up()) return;
  }
}

std::optional<ControlMessage> Channel::take() {
  std::optional<Message> message;
  {
    const std::lock_guard lock(mutex_);
    if (!queue_.empty()) {
      message = std::move(queue_.front());
      queue_.pop_front();
    }
    if (queue_.empty() && !hung_up()) pending_.store(false, std::memory_order_release);
  }
  if (!message) return std::nullopt;
  return parse(std::move(*message));
}

void Channel::send(const nlohmann::json& body) {
  if (hung_up()) throw Stopped();
  if (send_message(socket_.get(), body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))) return;
  hang_up();
  throw Stopped();
}

}  // namespace hawse::node
