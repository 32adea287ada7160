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
//   replace.cpp       a running node hands over to one of its kind: somebody asked for it, its file has changed, or it moves to another executor
//   hangs.cpp         hanging told from slow
//   limits.cpp        limits that a node met and lives on with
//   poison.cpp        a frame on which a node dies again and again is set aside
//   summary.cpp       counts and times at any moment
//   output.cpp        what nodes print and log: shown, kept, limited
//   taps.cpp          one more link of a running output, for a command that watches it
//   requests.cpp      what commands ask of a running session (docs/control.md)
//
// Ownership. The session owns every memory, socket and instance of the run; when it is destroyed nothing of them is left.
// Threading. run() is the loop's thread, and everything private runs there. request_stop() and kill_all() may be called from any thread. Worker
//            threads (environments, containers) hand their results over by Loop::post and are joined before the end.
// Trust.     Nothing that a node says or writes is believed: messages are checked (conversation.cpp), counts in shared memory are only shown.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
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
#include "runtime/control.hpp"
#include "runtime/file_watch.hpp"
#include "runtime/memory_watch.hpp"
#include "runtime/guard.hpp"
#include "runtime/lines.hpp"
#include "runtime/log_store.hpp"
#include "runtime/loop.hpp"
#include "runtime/taps.hpp"

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
  std::shared_ptr<Interrupt> interrupt;  // of what they prepare
};
Executors make_executors(executor::NodeFactory stock_nodes);

class Session {
 public:
  struct Options {
    std::function<void(const Event&)> on_event;
    UniqueFd application;  // the program that embeds this pipeline: its control socket; needed where the pipeline has inputs or outputs
    std::string log_level = "info";
    bool control = false;  // whether `hawse ps` and the like find this session: a socket in its folder
    bool watch = false;    // a node whose file changes is replaced; one that fails for good waits for that
    // The pipeline once more, with this node elsewhere; asked by any thread. None: nodes stay where they are.
    std::function<pipeline::Pipeline(const std::string& node, pipeline::ExecutorKind)> moved = {};
    // Given: what nodes print is never left out. While it says false their pipes stay unread, and who prints waits. Otherwise a node that prints too fast
    // loses lines (log_store.hpp).
    std::function<bool()> room_for_output = {};
  };
  Session(pipeline::Pipeline, Executors, Options);
  ~Session();

  Outcome run();
  void request_stop();  // in order; the grace period runs from here
  void kill_all();      // at once
  json summary() const;
  const std::string& id() const noexcept { return id_; }

 private:
  enum class State { preparing, launching, joining, setting_up, ready, running, handing_over, finishing, dying, backing_off, ended, failed };
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
    std::vector<Arena> leaving;      // given back, and somebody still has them mapped: they count
    std::uint16_t next_arena = 0;    // ids count up: a reader must know one that was given back from one that is on its way
  };
  struct EarlierLink {
    UniqueFd fd;
    plane::LinkView view;
    std::shared_ptr<const std::vector<Arena>> arenas;  // null: its writer lives
    bool told = false;
  };
  struct EdgeRun {
    const pipeline::Edge* spec = nullptr;
    std::size_t writer = 0, reader = 0;
    std::uint32_t output = 0, link_index = 0;  // of the writer
    std::uint32_t input = 0, link_number = 0;  // of the reader
    std::deque<EarlierLink> earlier;           // oldest first (links.cpp)
    UniqueFd link;                             // the one that its writer fills
    plane::LinkView view;
    bool told = false;                         // the reader of now has the link
    json before = json::object();  // counts of the links that are gone
    std::unique_ptr<plane::Histogram> latency;  // of them
    std::uint64_t set_aside = 0;   // the sequence that no replacement of the reader is given again; 0: none
    plane::FrameType seen = plane::FrameType::none;
  };
  // Frames on which a node died, and whether it has come along since.
  struct Suspects {
    std::map<std::pair<std::size_t, std::uint64_t>, unsigned> deaths;  // by edge and sequence
    std::uint64_t frames_before = 0;                                   // the page's frames_in when the node was started
    bool any_set_aside = false, handled_since = false;
  };
  // Where a node runs.
  struct Place {
    const pipeline::Node* spec = nullptr;
    std::shared_ptr<const pipeline::Pipeline> pipeline;  // that the spec stands in; null: the session's own
    executor::Prepared prepared;
  };
  // What was last seen of a node that may hang (hangs.cpp).
  struct Life {
    std::int64_t sign_ns = 0, due_ns = 0;   // its last sign of life, and when it is to be looked at again
    std::uint64_t frames_out = 0;
    std::int64_t marked_ns = 0;             // when `cpu_s` was looked up, in the silence that is on; 0: not yet
    std::optional<double> cpu_s;
    Loop::Handle timer;
  };
  // Limits that it met, over all its attempts; `seen` is of the one of now.
  struct LimitsMet {
    executor::Usage seen;
    std::uint64_t pids_refused = 0;
    double held_back_s = 0;
    std::int64_t pids_told_ns = 0, cpu_told_ns = 0;
    Loop::Handle timer;
  };
  struct NodeRun {
    const pipeline::Node* spec = nullptr;  // null: the application
    std::shared_ptr<const pipeline::Pipeline> moved;  // that the spec stands in, where it isn't the session's own
    std::optional<Place> next, before;     // it is to move there at its next start; it has just moved from there
    bool moving = false;                   // its next place is being made
    Control::Client* asked_by = nullptr;   // who waits for its replacement
    std::string id;
    std::size_t index = 0;
    std::vector<std::string> inputs;       // ports in use
    std::vector<OutputUse> outputs;
    std::vector<std::size_t> links;        // edges that feed it, by link number
    UniqueFd doorbell, page_fd;
    plane::Mapping page;

    State state = State::preparing;
    executor::Prepared prepared;
    unsigned attempt = 1;                  // starts so far
    unsigned failures = 0;                 // since its attempts began anew
    Suspects suspects;
    std::string token;                     // container: not yet joined
    bool joins = false;                    // it comes to us by its init, which keeps the socket that it has, too
    UniqueFd control;
    Loop::Handle control_watch, started_watch, ended_watch, timer;
    std::shared_ptr<executor::Instance> instance;
    std::unique_ptr<LineReader> out, err;
    UniqueFd out_write, err_write;         // container: until its init has them
    std::deque<std::string> tail;          // the last lines of its output
    std::optional<json> failed;            // its own `failed` message
    std::string broke;                     // what the runtime ended it for
    bool finished = false, configured = false, collected = false;
    std::optional<std::pair<int, int>> exited;  // code and signal, told by its init before the engine has answered its start
    unsigned engine_looks = 0;             // launches that found no engine, one after the other
    bool waits = false;                    // told that it is started again when a neighbour has come along
    std::int64_t launched_ns = 0, joined_ns = 0, hello_ns = 0, ready_ns = 0;
    double import_ms = 0, setup_ms = 0;    // its own words
    json phases = json::object();          // once it is ready
    std::string where, limits_by;          // the second of its last end
    std::string limited_by() const { return instance ? instance->limits_by() : limits_by; }
    std::uint64_t memory_peak_bytes = 0;
    LimitsMet met;
    Life life;
    bool hung = false;                     // it was ended for that
    std::string stands;                    // where its code stood then, in Python's words
    std::string language;
    std::string restart_why;               // somebody asked for it; "": nobody
    LogLimit log_limit;
    std::uint64_t left_out = 0, left_out_before = 0;  // lines of the storm that is on; as many when its timer last looked
    Loop::Handle storm_timer, change_timer;
  };

  // session.cpp
  void lay_out();
  void begin();
  void make_folder();
  void check_ready();
  void check_over();
  void end_node(NodeRun&, State);
  void emit(std::string type, const std::string& node, json data);
  void set_state(NodeRun&, State);
  void stop_in_order();
  void kill_everything();
  void fail_session(ErrorCode, std::string reason);
  void work(std::function<void()>);
  // limits.cpp
  static std::string attempt_in_words(const NodeRun&, unsigned attempt);  // "; attempt 2 of 5", or "" where there is but one
  void tell_limit(NodeRun&, const char* limit, const std::string& text, json more);
  void watch_limits(NodeRun&);  // it has started
  void look_at_all_limits();
  void look_at_limits(NodeRun&, const executor::Usage&);
  // launch.cpp
  void prepare(NodeRun&);
  void launch(NodeRun&);
  void launched(NodeRun&, std::shared_ptr<executor::Instance>);
  void on_started(NodeRun&);
  executor::Report report_for(NodeRun&);
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
  static void tell_phases(NodeRun&);
  void on_finished(NodeRun&);
  // links.cpp
  static std::pair<UniqueFd, plane::LinkView> make_link(const EdgeRun&, std::uint32_t backlog);
  void send_output_link(EdgeRun&);
  void send_input_link(EdgeRun&, const UniqueFd& link, const std::vector<Arena>&);
  void tell_reader(EdgeRun&);
  void tell_to_look(NodeRun&);
  void replace_links(NodeRun&);
  static void find_last_adopted(EdgeRun&);
  static void drop(EdgeRun&, std::size_t earlier);
  static void tidy(EdgeRun&);
  void tidy_later();
  const EdgeRun* crowded(const NodeRun&) const;
  void close_links(NodeRun&, bool failed);
  static Arena* find_arena(OutputUse&, std::uint64_t id) noexcept;
  void on_grow(NodeRun&, const json&);
  void on_mapped(NodeRun&, const json&);
  void on_give_back(NodeRun&, const json&);
  // endings.cpp
  void break_off(NodeRun&, std::string why);
  void on_hang_up(NodeRun&);
  void on_instance_ended(NodeRun&);
  void on_collected(NodeRun&, const executor::Ending&);
  void on_launch_failed(NodeRun&, const Error&);
  void wait_for_engine(NodeRun&, const Error&);
  void cut_off(NodeRun&);
  void kill_instance(NodeRun&);
  void fail_or_restart(NodeRun&, json failure);
  void remove_later(NodeRun&);
  void restart(NodeRun&);
  bool start_again(NodeRun&, std::string why);
  void restart_asked(NodeRun&);
  // replace.cpp
  void answer_replace(Control::Client&, const json&);
  void move(NodeRun&, pipeline::ExecutorKind);
  void on_moved(NodeRun&, Place);
  Place make_place(NodeRun&, pipeline::ExecutorKind);
  bool replace(NodeRun&, std::string why);
  static void swap_place(NodeRun&, Place);
  void move_back(NodeRun&, json failure);
  void replaced(NodeRun&);
  void not_replaced(NodeRun&, const std::string& why, const std::string& hint);
  void watch_files();
  void on_changed(NodeRun&, const std::string& file);
  // hangs.cpp
  void watch_for_hangs(NodeRun&, std::int64_t after_ns);
  void look_for_hang(NodeRun&);
  void on_hanging(NodeRun&, std::int64_t silent_ns);
  std::string frame_in_hand(const NodeRun&) const;
  static void note_where_it_stands(NodeRun&, std::string_view line);
  // poison.cpp
  std::optional<json> blame_frame(NodeRun&, json& failure);
  void forget_frame(NodeRun&) noexcept;
  // output.cpp
  void take_line(NodeRun&, const char* stream, std::string_view text);
  void take_log(NodeRun&, json data);
  bool admit(NodeRun&, std::size_t bytes);
  void look_at_storm(NodeRun&);
  void end_storm(NodeRun&);
  void keep(LogLine);
  // requests.cpp
  void open_control();
  void on_request(Control::Client&, const json&);
  NodeRun* find_node(Control::Client&, const std::string& id);
  json session_status() const;
  json node_status(const NodeRun&) const;
  json edge_status(const EdgeRun&) const;
  void answer_logs(Control::Client&, const json&);
  void answer_inspect(Control::Client&, const NodeRun&) const;
  void answer_restart(Control::Client&, const json&);
  bool may_start_again(Control::Client&, const NodeRun&) const;
  // taps.cpp
  void answer_tap(Control::Client&, const json&);
  void start_tap(Control::Client&, NodeRun&, std::uint32_t output, std::uint32_t queue);
  void send_tap_arena(Tap&, const Arena&);
  void look_at_tap(Tap&);
  void end_tap(const Control::Client&);
  void end_taps_of(const NodeRun&);
  // summary.cpp
  json node_summary(const NodeRun&) const;
  std::int64_t busy_ns(const NodeRun&) const;
  static json edge_summary(const EdgeRun&);
  static json counts_of(const EdgeRun&);
  static void keep_counts(EdgeRun&, const plane::LinkView&);

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
  std::optional<ScopedDir> folder_;  // holds the socket that containers connect to, and that of commands
  UniqueFd listener_;
  Loop::Handle listener_watch_, grace_timer_, tidy_timer_;
  std::map<std::uint64_t, Joining> joining_;
  std::uint64_t next_joining_ = 1;
  std::list<std::thread> workers_;
  // Containers of nodes that have ended, until the engine has removed them, and what still comes out of them.
  struct Leaving {
    std::unique_ptr<LineReader> out, err;
    void finish();
  };
  std::list<Leaving> leaving_;
  LogStore log_;
  Loop::Handle log_wake_;
  std::vector<std::unique_ptr<Tap>> taps_;
  std::unique_ptr<FileWatch> files_;
  MemoryWatch memory_{loop_};
  std::unique_ptr<Control> control_;
  Loop::Handle limits_timer_;
  Outcome outcome_;
  bool started_ = false, stopping_ = false, killing_ = false;
  std::int64_t begun_ns_ = 0, started_ns_ = 0, ended_ns_ = 0;
};

}  // namespace hawse::runtime
