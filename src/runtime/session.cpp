// SPDX-License-Identifier: Apache-2.0
#include "runtime/session.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/random.hpp"
#include "executor/container/environments.hpp"
#include "executor/process_id.hpp"
#include "runtime/leftovers.hpp"

namespace hawse::runtime {

executor::Executor& Executors::of(pipeline::ExecutorKind kind) const {
  switch (kind) {
    case pipeline::ExecutorKind::thread: return *thread;
    case pipeline::ExecutorKind::process: return *process;
    case pipeline::ExecutorKind::container: break;
  }
  return *container;
}

Executors make_executors(executor::NodeFactory stock_nodes) {
  auto interrupt = std::make_shared<Interrupt>();
  return {.thread = executor::make_thread_executor(std::move(stock_nodes)),
          .process = executor::make_process_executor({.interrupt = interrupt}),
          .container = executor::make_container_executor({.interrupt = interrupt}),
          .interrupt = interrupt};
}

const char* Session::to_string(State state) {
  switch (state) {
    case State::preparing: return "preparing";
    case State::launching: return "launching";
    case State::joining: return "starting";
    case State::setting_up: return "setting up";
    case State::ready: return "ready";
    case State::running: return "running";
    case State::handing_over: return "handing over";
    case State::finishing: return "finishing";
    case State::dying: return "dying";
    case State::backing_off: return "waiting to restart";
    case State::ended: return "ended";
    case State::failed: return "failed";
  }
  return "";
}

Session::Session(pipeline::Pipeline pipeline, Executors executors, Options options)
    : pipeline_(std::move(pipeline)), executors_(std::move(executors)), options_(std::move(options)), id_(random_hex(8)),
      log_(kLogBytes / (pipeline_.nodes.size() + 1)) {}

Session::~Session() {
  for (auto& worker : workers_) worker.join();
  for (auto& node : nodes_) node->control.reset();  // a thread node ends when its socket hangs up
}

Outcome Session::run() {
  begun_ns_ = plane::monotonic_ns();
  lay_out();
  begin();
  loop_.run();
  for (auto& worker : workers_) worker.join();
  workers_.clear();
  for (auto& leaving : leaving_) leaving.finish();
  leaving_.clear();
  for (const auto& left : executors_.container->finish()) emit("notice", "", {{"text", "is left, and removed by the next run with containers: " + left}});
  ended_ns_ = plane::monotonic_ns();
  if (control_) control_->wake();  // the last lines
  control_.reset();
  emit("summary", "", summary());
  return outcome_;
}

// Who is connected to whom, and the memory that doesn't depend on frames: doorbells, pages, links.
void Session::lay_out() {
  const auto add_node = [this](const pipeline::Node* spec, const std::string& id) {
    auto node = std::make_unique<NodeRun>();
    node->spec = spec;
    node->id = id;
    node->index = nodes_.size();
    node->doorbell.reset(plane::create_doorbell());
    node->page_fd.reset(plane::create_node_page());
    if (!node->doorbell || !node->page_fd) throw Error::from_errno("start node " + id, "shared memory");
    if (plane::Mapping::map(node->page_fd.get(), plane::kNodePageBytes, false, &node->page) != plane::Status::ok)
      throw Error::from_errno("start node " + id, "map shared memory");
    nodes_.push_back(std::move(node));
  };
  for (const auto& spec : pipeline_.nodes) add_node(&spec, spec.id);
  if (!pipeline_.inputs.empty() || !pipeline_.outputs.empty()) add_node(nullptr, pipeline::kApplication);

  const auto find = [this](const std::string& id) -> NodeRun& {
    return **std::ranges::find_if(nodes_, [&](const auto& node) { return node->id == id; });
  };
  for (const auto& spec : pipeline_.edges) {
    auto edge = std::make_unique<EdgeRun>();
    NodeRun &writer = find(spec.from.node), &reader = find(spec.to.node);
    edge->spec = &spec;
    edge->writer = writer.index;
    edge->reader = reader.index;
    auto output = std::ranges::find(writer.outputs, spec.from.port, &OutputUse::port);
    if (output == writer.outputs.end()) output = writer.outputs.insert(output, OutputUse{.port = spec.from.port, .edges = {}, .arenas = {}, .leaving = {}});
    edge->output = static_cast<std::uint32_t>(output - writer.outputs.begin());
    edge->link_index = static_cast<std::uint32_t>(output->edges.size());
    output->edges.push_back(edges_.size());
    auto input = std::ranges::find(reader.inputs, spec.to.port);
    if (input == reader.inputs.end()) input = reader.inputs.insert(input, spec.to.port);
    edge->input = static_cast<std::uint32_t>(input - reader.inputs.begin());
    edge->link_number = static_cast<std::uint32_t>(reader.links.size());
    reader.links.push_back(edges_.size());
    std::tie(edge->link, edge->view) = make_link(*edge, 0);
    edges_.push_back(std::move(edge));
  }
}

void Session::begin() {
  const bool containers = std::ranges::any_of(pipeline_.nodes, [](const auto& n) { return n.executor == pipeline::ExecutorKind::container; });
  const bool threads_only = std::ranges::all_of(pipeline_.nodes, [](const auto& n) { return n.executor == pipeline::ExecutorKind::thread; });
  emit("session", "", {{"state", "starting"}, {"id", id_}, {"pipeline", pipeline_.name}});
  if (!threads_only) make_folder();
  if (options_.control) open_control();
  if (options_.watch) watch_files();
  if (containers) {
    listen();
    work([this] {
      try {
        executor::sweep_leftovers(executors_.interrupt);
      } catch (const Error&) {
        // No engine: the node that needs it says so.
      }
    });
  }
  for (const auto* executor : {&executors_.process, &executors_.container}) (*executor)->expect(pipeline_);
  for (auto& node : nodes_) {
    if (node->spec != nullptr) {
      prepare(*node);
      continue;
    }
    node->where = "application";
    node->control = std::move(options_.application);
    if (!node->control) throw Error(ErrorCode::usage, "run " + pipeline_.name, "it has inputs or outputs for an application",
                                    "start it from a program with hawse.Pipeline(...).start()");
    node->state = State::joining;
    watch_control(*node);
  }
}

// Whatever is made here or later goes even where this process is killed.
void Session::make_folder() {
  guard_ = std::make_unique<Guard>(id_);
  sweep_sessions();
  folder_.emplace(run_dir(), id_ + "-");
  write_file(folder_->path() / "owner", executor::process_id(getpid()));
  guard_->add("folder " + folder_->path().string());
}

void Session::emit(std::string type, const std::string& node, json data) {
  if (type == "failure" || type == "notice")
    keep({.node = node, .stream = "runtime", .level = type == "failure" ? "error" : "warning", .text = data.value("text", "")});
  if (options_.on_event) options_.on_event({std::move(type), node, std::move(data)});
}

void Session::set_state(NodeRun& node, State state) {
  node.state = state;
  json data = {{"state", to_string(state)}, {"attempt", node.attempt}};
  if (!node.where.empty()) data["where"] = node.where;
  if (state == State::ready || state == State::running || state == State::finishing) data["phases_ms"] = node.phases;
  emit("node", node.id, std::move(data));
}

// Runs `task` beside the loop. What it has to say comes back through loop_.post(), and then the thread is joined: a run that restarts its
// containers for weeks must not keep a stack for each.
void Session::work(std::function<void()> task) {
  const auto worker = workers_.emplace(workers_.end());
  *worker = std::thread([this, worker, task = std::move(task)] {
    task();
    loop_.post([this, worker] {
      worker->join();
      workers_.erase(worker);
    });
  });
}

void Session::check_ready() {
  if (started_ || stopping_) return;
  if (!std::ranges::all_of(nodes_, [](const auto& node) { return node->state == State::ready; })) return;
  started_ = true;
  started_ns_ = plane::monotonic_ns();
  emit("session", "", {{"state", "running"}, {"start_ms", static_cast<double>(started_ns_ - begun_ns_) / 1e6}});
  for (auto& node : nodes_) {
    set_state(*node, State::running);
    send(*node, {{"type", "start"}});
  }
}

void Session::check_over() {
  const auto over = [](const auto& node) {
    return node->state == State::ended || node->state == State::failed;
  };
  if (std::ranges::all_of(nodes_, over)) {
    executors_.interrupt->now();  // the making of a place that nobody moves to any more
    return loop_.stop();
  }
  // What goes on in the background ends with the last of the others, where there were any.
  const auto in_background = [](const auto& node) { return node->spec != nullptr && node->spec->background; };
  if (!started_ || std::ranges::all_of(nodes_, in_background)) return;
  if (std::ranges::all_of(nodes_, [&](const auto& node) { return over(node) || in_background(node); })) stop_in_order();
}

// A node is over for good: its peers must not wait for it.
void Session::end_node(NodeRun& node, State state) {
  node.timer.reset();
  node.control_watch.reset();
  node.control.reset();
  not_replaced(node, "has ended meanwhile", "");
  if (auto kept = executors_.container->let_go(node.id)) work([kept = std::move(kept)]() mutable { kept.reset(); });
  close_links(node, state == State::failed);
  set_state(node, state);
  check_over();
}

// Nothing has run yet, or can't: everything ends, and the run with this reason.
void Session::fail_session(ErrorCode code, std::string reason) {
  if (!outcome_.failure) outcome_ = {code, std::move(reason)};
  kill_everything();
}

void Session::request_stop() {
  loop_.post([this] {
    if (!outcome_.failure) outcome_ = {ErrorCode::interrupted, "stopped"};
    stop_in_order();
  });
}

void Session::kill_all() {
  loop_.post([this] {
    if (!outcome_.failure) outcome_ = {ErrorCode::interrupted, "stopped at once"};
    kill_everything();
  });
}

void Session::stop_in_order() {
  if (stopping_) return;
  stopping_ = true;
  emit("session", "", {{"state", "stopping"}, {"grace_ms", pipeline_.grace_ns / 1'000'000}});
  if (!started_) return kill_everything();  // no frame has flowed: nothing to finish
  for (auto& node : nodes_) {
    if (node->state == State::backing_off) end_node(*node, State::failed);
    else send(*node, {{"type", "stop"}});
  }
  grace_timer_ = loop_.after(pipeline_.grace_ns, [this] {
    for (const auto& node : nodes_)
      if (node->state != State::ended && node->state != State::failed)
        emit("notice", node->id, {{"text", "did not end within the grace period: killed"}});
    kill_everything();
  });
}

void Session::kill_everything() {
  stopping_ = killing_ = true;
  for (auto& node : nodes_) {
    if (node->state == State::ended || node->state == State::failed) continue;
    if (node->instance != nullptr) {
      cut_off(*node);  // its end is seen as any other
    } else if (node->state != State::preparing && node->state != State::launching) {
      end_node(*node, State::failed);
    }
  }
  // What is being prepared or launched ends when its worker is back (launch.cpp looks at killing_): this brings it back at once.
  executors_.interrupt->now();
  check_over();
}

}  // namespace hawse::runtime
