// SPDX-License-Identifier: Apache-2.0
//
// SOCK_SEQPACKET over Unix sockets. Whatever arrives is owned at once (UniqueFd), so that no path of an error leaks a
// descriptor that a peer sent.
#include "base/socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.hpp"

namespace hawse {
namespace {

// Room for several of the largest messages: a supervisor answers many requests of a node that has not read yet. The kernel
// counts its own bookkeeping too, and clamps what is more than net.core.wmem_max.
constexpr int kSendBufferBytes = 1 << 20;

void set_buffer(int fd) {
  if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBufferBytes, sizeof kSendBufferBytes) != 0)
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof kSendBufferBytes);
}

UniqueFd make_socket(int flags) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!fd) throw Error::from_errno("make a Unix socket", "");
  set_buffer(fd.get());
  return fd;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw Error(ErrorCode::system, "use a Unix socket", path + ": a socket's path has 1 to 107 characters", "choose a shorter folder");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

// A socket file whose owner is gone refuses connections; one that answers is somebody's, and stays.
void remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  const UniqueFd probe = make_socket(SOCK_NONBLOCK);
  if (::connect(probe.get(), generic(address), sizeof address) == 0 || errno == EAGAIN)
    throw Error(ErrorCode::system, "listen at a Unix socket", path + ": another process listens there");
  ::unlink(path.c_str());
}

std::vector<UniqueFd> take_fds(msghdr& header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

std::pair<UniqueFd, UniqueFd> socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) throw Error::from_errno("make a socket pair", "");
  std::pair<UniqueFd, UniqueFd> pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
  set_buffer(fds[0]);
  set_buffer(fds[1]);
  return pair;
}

UniqueFd listen_at(const std::string& path, unsigned mode) {
  const sockaddr_un address = address_of(path);
  remove_stale(path, address);
  UniqueFd fd = make_socket(SOCK_NONBLOCK);
  ::fchmod(fd.get(), 0);  // bind() gives the file this mode: nobody connects before chmod() below says who may
  if (::bind(fd.get(), generic(address), sizeof address) != 0) throw Error::from_errno("listen at a Unix socket", path);
  if (::listen(fd.get(), 128) != 0 || ::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) {
    const Error error = Error::from_errno("listen at a Unix socket", path);
    ::unlink(path.c_str());
    throw error;
  }
  return fd;
}

UniqueFd connect_to(const std::string& path) {
  const sockaddr_un address = address_of(path);
  UniqueFd fd = make_socket(0);
  while (::connect(fd.get(), generic(address), sizeof address) != 0)
    if (errno != EINTR) throw Error::from_errno("connect to a Unix socket", path);
  return fd;
}

std::optional<UniqueFd> accept_from(int listener) {
  for (;;) {
    UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) {
      set_buffer(fd.get());
      return fd;
    }
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR && errno != ECONNABORTED) throw Error::from_errno("accept a connection", "");
  }
}

PeerCredentials peer_of(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) throw Error::from_errno("ask who a peer is", "");
  return {credentials.pid, credentials.uid, credentials.gid};
}

bool readable(int fd, int timeout_ms) noexcept {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, timeout_ms) > 0;
}

namespace {

// 0, or the errno that says why it was not sent.
int send_once(int socket, std::string_view text, const std::vector<int>& fds, int flags) {
  if (text.empty() || text.size() > kMaxMessageBytes || fds.size() > kMaxMessageFds)  // an empty one reads as the end
    throw Error(ErrorCode::internal, "send a message", std::to_string(text.size()) + " bytes, " + std::to_string(fds.size()) + " descriptors");
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxMessageFds * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  while (::sendmsg(socket, &header, MSG_NOSIGNAL | flags) < 0)
    if (errno != EINTR) return errno;
  return 0;
}

bool means_gone(int error) { return error == EPIPE || error == ECONNRESET || error == ENOTCONN; }

}  // namespace

bool send_message(int socket, std::string_view text, const std::vector<int>& fds, bool dont_wait) {
  const int error = send_once(socket, text, fds, dont_wait ? MSG_DONTWAIT : 0);
  if (error == 0) return true;
  if (means_gone(error)) return false;
  errno = error;
  throw Error::from_errno("send a message", error == EAGAIN ? "the peer does not read" : "");
}

Sent try_send_message(int socket, std::string_view text, const std::vector<int>& fds) {
  const int error = send_once(socket, text, fds, MSG_DONTWAIT);
  if (error == 0) return Sent::sent;
  if (error == EAGAIN) return Sent::full;
  if (means_gone(error)) return Sent::gone;
  errno = error;
  throw Error::from_errno("send a message", "");
}

std::optional<Message> receive_message(int socket, bool dont_wait) {
  const auto text = std::make_unique_for_overwrite<char[]>(kMaxMessageBytes);  // not zeroed: most messages are a thousandth of it
  iovec part{text.get(), kMaxMessageBytes};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxMessageFds * sizeof(int))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t size = -1;
  while ((size = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | (dont_wait ? MSG_DONTWAIT : 0))) < 0) {
    if (errno == ECONNRESET) return std::nullopt;
    if (dont_wait && errno == EAGAIN) return Message{};
    if (errno != EINTR) throw Error::from_errno("receive a message", "");
  }
  Message message{{}, take_fds(header)};
  if ((header.msg_flags & MSG_TRUNC) != 0) throw Error(ErrorCode::system, "receive a message", "it is longer than 64 KiB");
  if ((header.msg_flags & MSG_CTRUNC) != 0)
    throw Error(ErrorCode::system, "receive a message", "it carries too many descriptors, or this process has too many open");
  if (size == 0) return std::nullopt;
  message.text.assign(text.get(), static_cast<std::size_t>(size));
  return message;
}

}  // namespace hawse
