// SPDX-License-Identifier: Apache-2.0
#include "executor/container/join_point.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/random.hpp"
#include "base/socket.hpp"
#include "plane/port.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

bool says_join(int connection, const std::string& token) {
  try {
    if (!readable(connection, 5000)) return false;
    const auto message = receive_message(connection, true);
    const json said = message ? json::parse(message->text, nullptr, false) : json();
    return said.is_object() && said.value("type", json()) == "join" && said.value("token", json()) == token;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::string random_token() { return random_hex(32); }

JoinPoint::JoinPoint(std::filesystem::path socket) : socket_(std::move(socket)), token_(random_token()), listener_(listen_at(socket_, 0666)) {}

JoinPoint::~JoinPoint() {
  std::error_code gone;
  std::filesystem::remove(socket_, gone);
}

UniqueFd JoinPoint::wait(int ended_fd, std::int64_t timeout_ns, Interrupt* interrupt) {
  const Interrupt::Waiting waiting(interrupt, [this] { ::shutdown(listener_.get(), SHUT_RDWR); });
  const std::int64_t end_ns = plane::monotonic_ns() + timeout_ns;
  pollfd watched[2] = {{listener_.get(), POLLIN, 0}, {ended_fd, POLLIN, 0}};
  for (std::int64_t left_ns = timeout_ns; left_ns > 0; left_ns = end_ns - plane::monotonic_ns()) {
    if (::poll(watched, 2, static_cast<int>(left_ns / 1'000'000) + 1) < 0) continue;
    if (interrupt != nullptr) interrupt->check("start a container");
    if (watched[0].revents & POLLIN)
      if (auto connection = accept_from(listener_.get()); connection && says_join(connection->get(), token_)) return std::move(*connection);
    if (watched[1].revents != 0) break;
  }
  return {};
}

}  // namespace hawse::executor
