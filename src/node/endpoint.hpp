// SPDX-License-Identifier: Apache-2.0
//
// A node's ports and its conversation with the runtime, without the node: what run_node() drives for a Node, and what a program that embeds a
// pipeline drives itself.
//
// Order.      open() [hello ... begin], say_ready(), await_start(), then next() and the outputs' allocate and send; finish_streams(), stay().
// Messages.   Links and arenas that come meanwhile are taken in by the thread that drives the endpoint, whenever it waits or asks for a frame.
// Waiting.    Everything that waits does so in wait_until(), which peers and the control thread end. An idle endpoint wakes up for nothing.
// Threading.  One thread drives it; stopping() by any.
// Hang-up.    A runtime that is gone ends the process, or (HangUp::tell) throws Stopped out of every wait.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "hawse/node.hpp"
#include "node/channel.hpp"
#include "node/frames.hpp"
#include "node/page.hpp"
#include "node/port_output.hpp"

namespace hawse::node {

struct Event {
  enum class Kind { frame, flushed, port_ended, ended, handing_over, timed_out };
  Kind kind = Kind::timed_out;
  std::size_t port = 0;  // frame, flushed, port_ended
  Frame frame;
  std::uint64_t flush_id = 0;
};

class Endpoint {
 public:
  Endpoint(UniqueFd control, HangUp, std::string language);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  void open();
  void say_ready(std::int64_t import_ns, std::int64_t setup_ns);
  void await_start();

  const nlohmann::json& configuration() const noexcept { return configuration_; }
  const std::string& id() const noexcept { return id_; }
  const std::vector<std::string>& input_ports() const noexcept { return input_ports_; }
  PortOutput* output(std::string_view port) noexcept;  // nullptr: no edge uses it
  bool any_reader() noexcept;                          // some edge still reads some output

  // The next frame, fairly over all links (of input `port` alone, where one is given). port_ended once for each port whose links have all ended;
  // `ended` when there are no more. timeout_ns < 0: none.
  static constexpr std::size_t kAnyPort = ~std::size_t{0};
  Event next(std::size_t port = kAnyPort, std::int64_t timeout_ns = -1);
  bool ended(std::size_t port) const noexcept;
  void begin_work(const Frame&) noexcept;               // where inputs are matched: the frame in hand isn't the one that came last
  void pause(std::size_t port, bool paused) noexcept;  // its frames stay on their edges: next() passes over it

  // Flushes. One comes out of next() before any frame; one that was heard of before doesn't come out again (a diamond brings it twice, a cycle back).
  bool interrupted() const noexcept;           // a flush waits that wasn't heard of. Always false in a program that embeds a pipeline
  void may_be_interrupted() noexcept { interruptible_ = true; }
  void pass_on(std::uint64_t flush_id) noexcept;  // out of all outputs
  bool hear(std::uint64_t flush_id) noexcept;     // false: heard of before

  bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }
  bool handing_over() const noexcept { return handing_over_.load(std::memory_order_relaxed); }  // a replacement goes on: no more frames, and no end of the streams
  bool hung_up() const noexcept { return channel_.hung_up(); }
  bool sleep_until(std::int64_t monotonic_ns);  // false: stopping, or handing over

  void log(LogLevel, std::string_view text);
  void progress(std::string_view what, std::uint64_t done, std::uint64_t total, std::string_view unit);
  void failed(std::string_view summary, std::string_view traceback, std::string_view phase, std::uint64_t sequence);

  void finish_streams();  // ends the outputs, leaves the inputs, says so
  void stay();            // until every reader is done with what was sent
  void abandon() noexcept;  // the node failed, or hands over: what it holds isn't given back, so that its replacement gets it

  // For the outputs and the host.
  Page& page() noexcept { return page_; }
  Stamp& stamp() noexcept { return stamp_; }  // what a frame that is sent now takes over
  void send(const nlohmann::json& message) { channel_.send(message); }
  void take_messages();   // what came since; throws Stopped on a hang-up
  std::int64_t give_back(std::int64_t now_ns);  // idle memory of the outputs; when there is something to look at again
  // Waits until ready() says true (it isn't asked again after that); false: the timeout passed. `inputs`, `outputs`: which peers' doings can make it so.
  template <typename Ready>
  bool wait_until(bool inputs, bool outputs, std::int64_t timeout_ns, Ready&& ready);

 private:
  struct Link {
    std::size_t port = 0;
    bool feedback = false;  // not waited for at the end of the streams: it ends when this node does
    std::shared_ptr<InputEnd> end;
    bool connected = false, ended = false, paused = false;
  };

  struct Waiter;

  void configure(ControlMessage&&);
  void apply(ControlMessage&&);
  bool take_from(Link&, Event&);
  void prefer_flush(std::size_t port) noexcept;
  bool has_heard(std::uint64_t flush_id) const noexcept;
  bool link_over(const Link&) const noexcept;
  bool find_ended(std::size_t port, Event&);
  bool wait_once(bool inputs, bool outputs, std::int64_t from_ns, std::int64_t timeout_ns, bool (*ready)(void*), void* context);

  plane::Bell bell_;
  plane::Waker waker_;
  Channel channel_;  // after the waker: its thread uses it
  std::string language_;
  nlohmann::json configuration_;
  std::string id_;
  Page page_;
  Stamp stamp_;
  std::vector<std::string> input_ports_;
  std::vector<bool> port_told_;  // port_ended was given out
  std::vector<Link> links_;
  std::vector<std::unique_ptr<PortOutput>> outputs_;
  std::size_t next_link_ = 0;
  std::size_t flushed_link_ = kAnyPort;  // what came last was its flush; kAnyPort: was none
  bool begun_ = false, started_ = false, interruptible_ = false, matched_ = false;
  std::array<std::uint64_t, 64> heard_{};  // ids of the last flushes
  std::size_t next_heard_ = 0;
  std::atomic<bool> stopping_{false}, handing_over_{false};
  LogLevel log_level_ = LogLevel::info;
  plane::AdaptiveSpin spin_;
  std::string progress_what_;
  std::int64_t progress_ns_ = 0;
};

template <typename Ready>
bool Endpoint::wait_until(bool inputs, bool outputs, std::int64_t timeout_ns, Ready&& ready) {
  std::int64_t begin_ns = 0;
  for (;;) {
    take_messages();
    if (ready()) {
      if (begin_ns != 0) spin_.came(plane::monotonic_ns() - begin_ns);
      return true;
    }
    const std::int64_t now_ns = plane::monotonic_ns();
    if (begin_ns == 0) begin_ns = now_ns;
    if (timeout_ns >= 0 && now_ns - begin_ns >= timeout_ns) return false;
    std::int64_t left_ns = timeout_ns < 0 ? -1 : timeout_ns - (now_ns - begin_ns);
    if (const std::int64_t look_ns = give_back(now_ns); look_ns != plane::kNever && (left_ns < 0 || look_ns - now_ns < left_ns))
      left_ns = std::max<std::int64_t>(look_ns - now_ns, 0);
    if (wait_once(inputs, outputs, now_ns, left_ns,
                  [](void* context) { return static_cast<bool>((*static_cast<std::remove_reference_t<Ready>*>(context))()); }, &ready))
      return true;
  }
}

}  // namespace hawse::node
