// SPDX-License-Identifier: Apache-2.0
#include "runtime/control.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/socket.hpp"
#include "runtime/messages.hpp"

namespace hawse::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxClients = 32;
constexpr std::size_t kMaxQueuedBytes = 4 << 20;
constexpr int kMessagesAtATime = 16;  // then the rest of the loop has its turn

bool may_connect(int fd) {
  const uid_t uid = peer_of(fd).uid;
  return uid == ::geteuid() || uid == 0;
}

// So that what was sent to it still arrives: closing a socket with a request unread would reset the connection.
void say_goodbye(int fd) {
  ::shutdown(fd, SHUT_RDWR);
  char unread = 0;
  while (::recv(fd, &unread, 1, MSG_DONTWAIT) > 0) {
  }
}

// To somebody who isn't let in; he need not read it.
void turn_away(int fd, const char* text) {
  try {
    try_send_message(fd, text_of({{"type", "error"}, {"text", text}, {"hint", ""}}));
  } catch (const Error&) {
  }
  say_goodbye(fd);
}

}  // namespace

Control::Control(Loop& loop, const std::filesystem::path& socket, Handler handler)
    : loop_(loop), handler_(std::move(handler)), listener_(listen_at(socket, 0600)) {
  accepting_ = loop_.on_readable(listener_.get(), [this] { accept_clients(); });
}

Control::~Control() = default;

void Control::accept_clients() {
  while (auto fd = accept_from(listener_.get())) {
    if (!may_connect(fd->get())) {
      turn_away(fd->get(), "this session belongs to another user");
      continue;
    }
    if (clients_.size() >= kMaxClients) {
      turn_away(fd->get(), "too many commands watch this session");
      continue;
    }
    const std::uint64_t id = next_id_++;
    clients_.emplace(id, std::unique_ptr<Client>(new Client(*this, id, std::move(*fd))));
  }
}

void Control::wake() {
  for (auto& [id, client] : clients_)
    if (client->more_) client->flush();
}

Control::Client::Client(Control& control, std::uint64_t id, UniqueFd fd) : control_(control), id_(id), fd_(std::move(fd)), writable_fd_(fd_.duplicate()) {
  readable_ = control_.loop_.on_readable(fd_.get(), [this] { receive(); });
}

void Control::Client::receive() {
  try {
    const auto message = receive_message(fd_.get(), true);
    if (!message) return close();
    if (message->text.empty() && message->fds.empty()) return;
    if (!listens_) return;
    more_ = nullptr;  // a new request ends what was going on
    control_.handler_(*this, parse_request(message->text, message->fds.size()));
  } catch (const Error& error) {
    fail(error.context());
    close();
  }
}

void Control::Client::send(const json& message, const std::vector<int>& fds) {
  if (closed_) return;
  Outgoing outgoing{.text = text_of(message), .fds = {}};
  for (const int fd : fds) outgoing.fds.push_back(UniqueFd::duplicate_of(fd));
  queued_bytes_ += outgoing.text.size();
  queue_.push_back(std::move(outgoing));
  flush_queue();
  if (queued_bytes_ > kMaxQueuedBytes) close();
}

void Control::Client::go_on(std::function<bool()> more) {
  more_ = std::move(more);
  flush();
}

void Control::Client::flush() {
  for (int sent = 0; sent < kMessagesAtATime; ++sent) {
    if (!flush_queue()) return;
    if (!more_ || !more_()) return writable_.reset();
  }
  if (!closed_ && !writable_) writable_ = control_.loop_.on_writable(writable_fd_.get(), [this] { flush(); });
}

bool Control::Client::flush_queue() {
  while (!closed_ && !queue_.empty()) {
    std::vector<int> fds;
    for (const auto& fd : queue_.front().fds) fds.push_back(fd.get());
    switch (try_send_message(fd_.get(), queue_.front().text, fds)) {
      case Sent::sent: break;
      case Sent::gone: close(); return false;
      case Sent::full:
        if (!writable_) writable_ = control_.loop_.on_writable(writable_fd_.get(), [this] { flush(); });
        return false;
    }
    queued_bytes_ -= queue_.front().text.size();
    queue_.pop_front();
  }
  return !closed_;
}

// The object itself goes later: one of its own calls may be under way.
void Control::Client::close() {
  if (closed_) return;
  closed_ = true;
  readable_.reset();
  writable_.reset();
  say_goodbye(fd_.get());
  if (gone_) gone_();
  control_.loop_.post([&control = control_, id = id_] { control.clients_.erase(id); });
}

}  // namespace hawse::runtime
