// SPDX-License-Identifier: Apache-2.0
//
// The control socket of a session: where `hawse ps`, `top`, `logs` and the like ask a running session (docs/control.md).
//
// This is the transport only: who may connect, whole messages in and out, bounds. What a request means is requests.cpp's.
//
// Invariants. Nothing here ever waits for a client. What a client has not read yet is at most kMaxQueuedBytes, or the client is dropped; a long answer (a
//             log) is made piece by piece as the client reads it. At most kMaxClients at once.
// Trust.      The socket lies in the session's folder, which only its user can enter, and whoever connects is asked for his uid as well: the session's own
//             user and root may, nobody else. A request is checked whole before it is looked at (messages.hpp).
// Threading.  The loop's thread.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "runtime/loop.hpp"

namespace hawse::runtime {

inline constexpr const char* kControlSocket = "control";  // in the session's folder

class Control {
 public:
  class Client {
   public:
    void send(const nlohmann::json& message, const std::vector<int>& fds = {});  // an answer has any number of messages
    void end() { send({{"type", "end"}}); }                                      // ... and this one last
    void fail(const std::string& text, const std::string& hint = "") { send({{"type", "error"}, {"text", text}, {"hint", hint}}); }
    // The rest of the answer: called when all that was sent has been read, sends one message more, and returns false when there is none now.
    // Control::wake() has it called again.
    void go_on(std::function<bool()> more);
    void stop_listening() { listens_ = false; }  // what it says from here on is read and thrown away
    void hang_up() { close(); }
    void when_gone(std::function<void()> call) { gone_ = std::move(call); }

   private:
    friend class Control;
    struct Outgoing {
      std::string text;
      std::vector<UniqueFd> fds;
    };
    Client(Control& control, std::uint64_t id, UniqueFd fd);
    void receive();
    void flush();
    bool flush_queue();  // false: the rest must wait
    void close();

    Control& control_;
    const std::uint64_t id_;
    UniqueFd fd_, writable_fd_;  // a duplicate: a descriptor is watched once
    std::deque<Outgoing> queue_;
    std::size_t queued_bytes_ = 0;
    std::function<bool()> more_;
    std::function<void()> gone_;
    bool listens_ = true, closed_ = false;
    Loop::Handle readable_, writable_;
  };

  using Handler = std::function<void(Client&, const nlohmann::json& request)>;
  Control(Loop&, const std::filesystem::path& socket, Handler);
  ~Control();
  void wake();  // there may be more for those that go on

 private:
  void accept_clients();

  Loop& loop_;
  Handler handler_;
  UniqueFd listener_;
  std::map<std::uint64_t, std::unique_ptr<Client>> clients_;
  std::uint64_t next_id_ = 1;
  Loop::Handle accepting_;
};

}  // namespace hawse::runtime
