// SPDX-License-Identifier: Apache-2.0
//
// Unix sockets that keep message boundaries (SOCK_SEQPACKET) and carry file descriptors: the control protocol's transport.
//
// A message has at most kMaxMessageBytes bytes and kMaxMessageFds descriptors; a longer one, or one with more, is an error on
// receipt (the descriptors are closed). All sockets are close-on-exec.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.hpp"

namespace hawse {

inline constexpr std::size_t kMaxMessageBytes = 65536;
inline constexpr std::size_t kMaxMessageFds = 8;

struct Message {
  std::string text;
  std::vector<UniqueFd> fds;
};

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

std::pair<UniqueFd, UniqueFd> socket_pair();                 // blocking both
UniqueFd listen_at(const std::string& path, unsigned mode);  // unlinks a stale one; backlog 128; non-blocking
UniqueFd connect_to(const std::string& path);
std::optional<UniqueFd> accept_from(int listener);           // nullopt: nobody is waiting
PeerCredentials peer_of(int socket);
bool readable(int fd, int timeout_ms) noexcept;              // of any descriptor; timeout_ms < 0: as long as it takes

// Blocking send of one message; throws Error. false: the peer is gone (EPIPE, ECONNRESET).
// With `dont_wait` a full socket throws Error too: a peer that doesn't read must not stop the sender.
bool send_message(int socket, std::string_view text, const std::vector<int>& fds = {}, bool dont_wait = false);
// The same without waiting, for a sender that goes on when there is room.
enum class Sent { sent, full, gone };
Sent try_send_message(int socket, std::string_view text, const std::vector<int>& fds = {});
// nullopt: end of stream. Throws Error on a message over the limits. With `dont_wait`, empty text and no fds: nothing there.
std::optional<Message> receive_message(int socket, bool dont_wait = false);

}  // namespace hawse
