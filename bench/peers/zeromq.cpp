// SPDX-License-Identifier: Apache-2.0
//
// Peer: ZeroMQ, a PAIR socket over ipc://, blocking; payloads are built in the message that is sent. A plug-in, so that hawse doesn't need the library.
#include <zmq.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include "bench/peers/adapter.hpp"

namespace hawse::bench {
namespace {

[[noreturn]] void fail(const char* what) { throw std::runtime_error(std::string(what) + ": " + zmq_strerror(errno)); }

class ZeroMqEnd {
 public:
  explicit ZeroMqEnd(const hawse_peer_setup& setup) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_PAIR)) {
    if (socket_ == nullptr) fail("make a socket");
    const int depth = static_cast<int>(setup.depth);
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &depth, sizeof depth);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &depth, sizeof depth);
    const std::string address = std::string("ipc://") + setup.folder + "/pair";
    if ((setup.end == 0 ? zmq_bind(socket_, address.c_str()) : zmq_connect(socket_, address.c_str())) != 0) fail(address.c_str());
    zmq_msg_init(&in_);
  }
  ZeroMqEnd(const ZeroMqEnd&) = delete;
  ~ZeroMqEnd() {
    zmq_msg_close(&in_);
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }

  void* loan(std::uint64_t bytes) {
    if (zmq_msg_init_size(&out_, bytes) != 0) fail("make a message");
    return zmq_msg_data(&out_);
  }
  void send(std::uint64_t) {
    while (zmq_msg_send(&out_, socket_, 0) < 0)
      if (errno != EINTR) fail("send");
  }
  Payload receive() {
    while (zmq_msg_recv(&in_, socket_, 0) < 0)
      if (errno != EINTR) fail("receive");
    return {zmq_msg_data(&in_), zmq_msg_size(&in_)};
  }
  void release() noexcept {
    zmq_msg_close(&in_);
    zmq_msg_init(&in_);
  }

 private:
  void* context_;
  void* socket_;
  zmq_msg_t out_{}, in_{};
};

const char* version() {
  static const std::string text = [] {
    int major = 0, minor = 0, patch = 0;
    zmq_version(&major, &minor, &patch);
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  }();
  return text.c_str();
}

}  // namespace
}  // namespace hawse::bench

extern "C" __attribute__((visibility("default"))) const hawse_transport* hawse_peer_api(void) {
  using namespace hawse::bench;
  static const struct hawse_transport api = api_of<ZeroMqEnd>({.name = "zeromq", .waits = HAWSE_PEER_SLEEPING, .copies = 2}, version);
  return &api;
}
