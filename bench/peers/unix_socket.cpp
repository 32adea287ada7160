// SPDX-License-Identifier: Apache-2.0
//
// Peer: a Unix socket with the system's default buffers, blocking. Payloads of up to 64 KiB are packets (SOCK_SEQPACKET: one call a payload); larger ones go over a
// SOCK_STREAM, each behind its size, as larger packets don't fit the default buffer. Two copies: into the kernel and out of it.
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "bench/peers/adapter.hpp"
#include "bench/peers/registry.hpp"
#include "bench/peers/shared.hpp"

namespace hawse::bench {
namespace {

constexpr std::uint64_t kMostInPacket = 65536;

[[noreturn]] void fail(const char* what) { throw Error::from_errno(what, "Unix socket"); }

class UnixSocketEnd {
 public:
  explicit UnixSocketEnd(const hawse_peer_setup& setup)
      : packets_(setup.bytes_out <= kMostInPacket && setup.bytes_in <= kMostInPacket), out_(setup.bytes_out / 8 + 1), in_(setup.bytes_in / 8 + 1) {
    if (setup.end == 1) {
      socket_ = receive_descriptor(setup);
      return;
    }
    int ends[2];
    if (::socketpair(AF_UNIX, (packets_ ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0, ends) != 0) fail("make a socket");
    socket_.reset(ends[0]);
    const UniqueFd other(ends[1]);
    send_message(setup.socket, "socket", {other.get()});
  }

  void* loan(std::uint64_t) noexcept { return out_.data(); }

  void send(std::uint64_t bytes) {
    if (packets_) {
      while (::send(socket_.get(), out_.data(), bytes, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) fail("send");
      return;
    }
    iovec parts[2] = {{&bytes, sizeof bytes}, {out_.data(), bytes}};
    for (std::uint64_t done = 0; done < sizeof bytes + bytes;) {
      msghdr message{};
      message.msg_iov = done < sizeof bytes ? parts : parts + 1;
      message.msg_iovlen = done < sizeof bytes ? 2 : 1;
      const ssize_t size = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
      if (size < 0 && errno != EINTR) fail("send");
      if (size < 0) continue;
      done += static_cast<std::uint64_t>(size);
      if (done >= sizeof bytes)
        parts[1] = {reinterpret_cast<std::byte*>(out_.data()) + (done - sizeof bytes), bytes - (done - sizeof bytes)};
      else
        parts[0] = {reinterpret_cast<std::byte*>(&bytes) + done, sizeof bytes - done};
    }
  }

  Payload receive() {
    if (packets_) return {in_.data(), take(in_.data(), in_.size() * 8, 0)};
    std::uint64_t bytes = 0;
    take(&bytes, sizeof bytes, MSG_WAITALL);
    if (bytes > in_.size() * 8 || take(in_.data(), bytes, MSG_WAITALL) != bytes)
      throw Error(ErrorCode::system, "receive", "Unix socket: half a payload");
    return {in_.data(), bytes};
  }

  void release() noexcept {}

 private:
  std::uint64_t take(void* to, std::uint64_t bytes, int flags) {
    for (;;) {
      const ssize_t size = ::recv(socket_.get(), to, bytes, flags);
      if (size > 0) return static_cast<std::uint64_t>(size);
      if (size == 0) throw Error(ErrorCode::system, "receive", "Unix socket: the other end is gone");
      if (errno != EINTR) fail("receive");
    }
  }

  bool packets_;
  std::vector<std::uint64_t> out_, in_;
  UniqueFd socket_;
};

const char* kernel_version() {
  static utsname name{};
  return ::uname(&name) == 0 ? name.release : "";
}

}  // namespace

hawse_transport unix_socket_api() {
  return api_of<UnixSocketEnd>({.name = "unix_socket", .waits = HAWSE_PEER_SLEEPING, .copies = 2}, kernel_version);
}

}  // namespace hawse::bench
