// SPDX-License-Identifier: Apache-2.0
//
// A session: one running instance of a pipeline. It prepares every node's environment, launches the nodes, gives them their memory, watches
// them, starts them again, and ends when the last one has ended.
//
//   session.cpp       the whole life: run, stop, end
//   launch.cpp        environment -> instance -> connection
//   conversation.cpp  the runtime's end of the control protocol (docs/protocol.md)
//   links.cpp         links and arenas: who gets which descriptor when
//   endings.cpp       a node's death: what happened in words, restart or not
//   summary.cpp       counts and times at any moment
//
// Ownership. The session owns every memory, socket and instance of the run; when it is destroyed nothing of them is left.
// Threading. run() is the loop's thread, and everything private runs there. request_stop() and kill_all() may be called from any thread. Worker
//            threads (environments, containers) hand their results over by Loop::post and are joined before the end.
// Trust.     Nothing that a node says or writes is believed: messages are checked (conversation.cpp), counts in shared memory are only shown.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/files.hpp"
#include "executor/executor.hpp"
#include "pipeline/pipeline.hpp"
#include "plane/port.hpp"
#include "runtime/guard.hpp"
#include "runtime/lines.hpp"
#include "runtime/loop.hpp"

namespace hawse::runtime {

using nlohmann::json;

// What a run tells the outside. `type` and the keys of `data` are documented in docs/events.md.
struct Event {
  std::string type;  // session, node, progress, log, failure, notice, summary
  std::string node;  // "": the session
  json data = json::object();
};

struct Outcome {
  std::optional<ErrorCode> failure;  // none: everything ended in order
  std::string reason;
};

struct Executors {
  executor::Executor& of(pipeline::ExecutorKind) const;
  std::unique_ptr<executor::Executor> thread, process, container;
};
Executors make_executors(executor::NodeFactory stock_nodes);

class Session {
 public:
  struct Options {
    std::function<void(const Event&)> on_event;
    UniqueFd application;  // the program that embeds this pipeline: its control socket; needed where the pipeline has inputs or outputs
    std::string log_level = "info";
  };
  Session(pipeline::Pipeline, Executors, Options);
  ~Session();

  Outcome run();
  void request_stop();  // in order; the grace period runs from here
  void kill_all();      // at once
  json summary() const;
  const std::string& id() const noexcept { return id_; }

 private:
  enum class State { preparing, launching, joining, setting_up, ready, running, finishing, dying, backing_off, ended, failed };
  static const char* to_string(State);

  struct Arena {
    std::uint32_t id = 0;
    UniqueFd fd;
    std::uint64_t slot_bytes = 0;
    std::uint32_t slots = 0;
    bool sealed = false;
  };
  struct OutputUse {
    std::string port;
    std::vector<std::size_t> edges;  // by link index
    std::vector<Arena> arenas;
  };
  struct EdgeRun {
    const pipeline::Edge* spec = nullptr;
    std::size_t writer = 0, reader = 0;
    std::uint32_t output = 0, link_index = 0;  // of the writer
    std::uint32_t input = 0, link_number = 0;  // of the reader
    UniqueFd link;
    plane::LinkView view;
    json before = json::object();  // counts of the links that this one replaced
    std::unique_ptr<plane::Histogram> latency;  // of all of them, where there was a replacement
    plane::FrameType seen = plane::FrameType::none;
    std::uint64_t total(const char* name, const std::atomic<std::uint64_t>& now) const {
      return before.value(name, std::uint64_t{0}) + now.load(std::memory_order_relaxed);
    }
  };
  struct NodeRun {
    const pipeline::Node* spec = nullptr;  // null: the application
    std::string id;
    std::size_t index = 0;
    std::vector<std::string> inputs;       // ports in use
    std::vector<OutputUse> outputs;
    std::vector<std::size_t> links;        // edges that feed it, by link number
    UniqueFd doorbell, page_fd;
    plane::Bell bell;
    plane::Mapping page;

    State state = State::preparing;
    executor::Prepared prepared;
    unsigned attempt = 1;
    std::string token;                     // container: not yet joined
    UniqueFd control;
    Loop::Handle control_watch, started_watch, ended_watch, timer;
    std::shared_ptr<executor::Instance> instance;
    std::unique_ptr<LineReader> out, err;
    UniqueFd out_write, err_write;         // container: until its init has them
    std::deque<std::string> tail;          // the last lines of its output
    std::optional<json> failed;            // its own `failed` message
    std::string broke;                     // what the runtime ended it for
    bool finished = false, configured = false, collected = false;
    std::int64_t launched_ns = 0, hello_ns = 0, ready_ns = 0;
    json phases = json::object();
    std::string where, limits_by;
    std::uint64_t memory_peak_bytes = 0;
    std::string language;
  };

  // session.cpp
  void lay_out();
  void begin();
  void check_ready();
  void check_over();
  void end_node(NodeRun&, State);
  void emit(std::string type, const std::string& node, json data);
  void set_state(NodeRun&, State);
  void stop_in_order();
  void kill_everything();
  void fail_session(ErrorCode, std::string reason);
  void work(std::function<void()>);
  // launch.cpp
  void prepare(NodeRun&);
  void kill_installers() noexcept;
  void launch(NodeRun&);
  void launched(NodeRun&, std::shared_ptr<executor::Instance>);
  void on_started(NodeRun&);
  void open_output(NodeRun&);
  void listen();
  void accept_connections();
  void on_join(std::uint64_t connection);
  void watch_control(NodeRun&);
  // conversation.cpp
  void on_control(NodeRun&);
  void drain_control(NodeRun&);
  void handle(NodeRun&, const json&);
  void configure(NodeRun&);
  bool send(NodeRun&, const json&, const std::vector<int>& fds = {});
  void on_hello(NodeRun&, const json&);
  void on_ready(NodeRun&, const json&);
  void on_finished(NodeRun&);
  // links.cpp
  void make_link(EdgeRun&);
  void send_output_link(EdgeRun&);
  void send_input_link(EdgeRun&);
  void send_input_arenas(EdgeRun&);
  void replace_links(NodeRun&);
  void close_links(NodeRun&, bool failed);
  void on_grow(NodeRun&, const json&);
  void on_mapped(NodeRun&, const json&);
  void keep_counts(EdgeRun&);
  // endings.cpp
  void break_off(NodeRun&, std::string why);
  void on_hang_up(NodeRun&);
  void on_instance_ended(NodeRun&);
  void on_collected(NodeRun&, const executor::Ending&);
  void on_launch_failed(NodeRun&, const Error&);
  void fail_or_restart(NodeRun&, json failure);
  void restart(NodeRun&);
  // summary.cpp
  json node_summary(const NodeRun&) const;
  json edge_summary(const EdgeRun&) const;

  // While a worker makes an environment: what it started can be killed, and nobody else's children.
  class Installing {
   public:
    explicit Installing(Session&);
    ~Installing();
    Installing(const Installing&) = delete;
    Installing& operator=(const Installing&) = delete;

   private:
    Session& session_;
    const pid_t thread_;
  };

  struct Joining {
    UniqueFd fd;
    Loop::Handle watch, timeout;
  };

  pipeline::Pipeline pipeline_;
  Executors executors_;
  Options options_;
  std::string id_;
  Loop loop_;
  std::vector<std::unique_ptr<NodeRun>> nodes_;
  std::vector<std::unique_ptr<EdgeRun>> edges_;
  std::unique_ptr<Guard> guard_;
  std::optional<ScopedDir> folder_;  // holds the socket that containers connect to
  UniqueFd listener_;
  Loop::Handle listener_watch_, grace_timer_;
  std::map<std::uint64_t, Joining> joining_;
  std::uint64_t next_joining_ = 1;
  std::list<std::thread> workers_;
  std::mutex installing_mutex_;
  std::set<pid_t> installing_;  // workers that make an environment, by thread id
  Outcome outcome_;
  bool started_ = false, stopping_ = false, killing_ = false;
  std::int64_t begun_ns_ = 0, started_ns_ = 0, ended_ns_ = 0;
};

}  // namespace hawse::runtime
