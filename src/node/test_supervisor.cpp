// SPDX-License-Identifier: Apache-2.0
#include "node/test_supervisor.hpp"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "base/error.hpp"
#include "base/socket.hpp"

namespace hawse::node {
namespace {

using Json = nlohmann::json;
constexpr int kLook_ms = 5;
constexpr std::uint32_t kBacklog = 64;  // more than any test holds

std::size_t index_of(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  names.push_back(name);
  return names.size() - 1;
}

void check(bool fine, const char* what) {
  if (!fine) throw Error::from_errno("test supervisor", what);
}

void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

const char* name_of(plane::WhenFull when_full) {
  constexpr const char* kNames[] = {"block", "drop_oldest", "drop_newest", "latest"};
  return kNames[static_cast<std::size_t>(when_full)];
}

}  // namespace

TestSupervisor::TestSupervisor() = default;

TestSupervisor::~TestSupervisor() {
  over_ = true;
  if (server_.joinable()) server_.join();
  for (auto& run : runs_) run->control.reset();
  for (auto& run : runs_)
    if (run->thread.joinable()) run->thread.join();
}

std::size_t TestSupervisor::add(std::string id, MakeNode make, Json params, Json declared_params) {
  auto run = std::make_unique<Run>();
  run->id = std::move(id);
  run->make = std::move(make);
  run->params = std::move(params);
  run->declared = std::move(declared_params);
  runs_.push_back(std::move(run));
  return runs_.size() - 1;
}

std::size_t TestSupervisor::add_program(std::string id, std::vector<std::string> argv, Json params) {
  const std::size_t node = add(std::move(id), nullptr, std::move(params));
  runs_[node]->argv = std::move(argv);
  return node;
}

std::size_t TestSupervisor::connect(std::size_t from, std::string output, std::size_t to, std::string input, std::uint32_t queue, plane::WhenFull when_full) {
  auto edge = std::make_unique<Edge>();
  edge->from = from;
  edge->to = to;
  edge->output = index_of(runs_[from]->outputs, output);
  edge->input = index_of(runs_[to]->inputs, input);
  for (const auto& other : edges_) {
    if (other->from == from && other->output == edge->output) ++edge->index;
    if (other->to == to) ++edge->link;
  }
  edge->queue = queue;
  edge->when_full = when_full;
  edges_.push_back(std::move(edge));
  return edges_.size() - 1;
}

void TestSupervisor::make_link(Edge& edge) {
  edge.fd = UniqueFd(plane::create_link(edge.queue, edge.when_full, kBacklog));
  check(static_cast<bool>(edge.fd), "create_link");
  edge.view = plane::LinkView();
  check(plane::LinkView::map(edge.fd.get(), &edge.view) == plane::Status::ok, "map the link");
}

void TestSupervisor::launch(Run& run) {
  auto [ours, theirs] = socket_pair();
  run.control = std::move(ours);
  run.doorbell = UniqueFd(plane::create_doorbell());
  run.page = UniqueFd(plane::create_node_page());
  check(run.doorbell && run.page, "create a doorbell and a page");
  check(plane::Mapping::map(run.page.get(), sizeof(plane::NodePage), false, &run.page_view) == plane::Status::ok, "map the page");
  run.code = -1;
  ++run.attempt;
  if (run.thread.joinable()) run.thread.join();
  if (run.make) {
    run.thread = std::thread([&run, control = std::move(theirs)]() mutable {
      HostOptions options;
      options.in_process = true;
      options.params = run.declared;
      run.code = run_node(std::move(control), run.make, options);
    });
    return;
  }
  SpawnOptions options;
  options.argv = run.argv;
  options.env = current_environment();
  options.env["HAWSE_FD"] = "3";
  options.fds = {{theirs.get(), 3}};
  options.die_with_parent = false;
  run.process = Subprocess::spawn(options);
  run.thread = std::thread([&run] {
    const ExitStatus status = run.process.wait();
    run.code = status.signalled ? 128 + status.value : status.value;
  });
}

void TestSupervisor::send(Run& run, const Json& message, const std::vector<int>& fds) {
  if (run.control) send_message(run.control.get(), message.dump(), fds);
}

void TestSupervisor::configure(std::size_t node) {
  Run& run = *runs_[node];
  Json inputs = Json::array(), outputs = Json::array(), links = Json::array(), first = Json::object();
  for (const auto& port : run.inputs) inputs.push_back({{"port", port}, {"type", "any"}});
  for (std::size_t i = 0; i < run.outputs.size(); ++i) {
    const auto count = std::count_if(edges_.begin(), edges_.end(), [&](const auto& edge) { return edge->from == node && edge->output == i; });
    outputs.push_back({{"port", run.outputs[i]}, {"type", "any"}, {"links", count}});
    first[run.outputs[i]] = 1;
  }
  for (const auto& edge : edges_)
    if (edge->to == node) links.push_back({{"input", edge->input}, {"queue", edge->queue}});
  Json message = {{"type", "configure"}, {"node", run.id}, {"pipeline", "test"}, {"entry", {{"kind", "program"}}}, {"path", Json::array()}, {"params", run.params},
        {"inputs", inputs}, {"outputs", outputs}, {"links", links}, {"given", 0}, {"first_sequence", first}, {"attempt", run.attempt}, {"spin_ns", run.spin_ns},
        {"log_level", "debug"}, {"executor", "thread"}};
  if (!run.match.is_null()) message["match"] = run.match;
  send(run, message, {run.doorbell.get(), run.page.get()});
}

void TestSupervisor::send_output_link(const Edge& edge) {
  send(*runs_[edge.from], {{"type", "output_link"}, {"port", edge.output}, {"index", edge.index}, {"queue", edge.queue}, {"when_full", name_of(edge.when_full)}},
       {edge.fd.get(), runs_[edge.to]->doorbell.get()});
}

void TestSupervisor::send_input_link(const Edge& edge) {
  send(*runs_[edge.to], {{"type", "input_link"}, {"link", edge.link}}, {edge.fd.get(), runs_[edge.from]->doorbell.get()});
  const auto& arenas = runs_[edge.from]->arenas[edge.output];
  for (std::size_t id = 0; id < arenas.size(); ++id)
    if (arenas[id].sealed && arenas[id].fd)
      send(*runs_[edge.to], {{"type", "input_arena"}, {"link", edge.link}, {"arena", id}, {"slot_bytes", arenas[id].slot_bytes}, {"slots", arenas[id].slots}},
           {arenas[id].fd.get()});
}

void TestSupervisor::start() {
  {
    const std::lock_guard lock(mutex_);
    for (auto& edge : edges_) make_link(*edge);
    for (auto& run : runs_) launch(*run);
    for (std::size_t node = 0; node < runs_.size(); ++node) configure(node);
    for (const auto& edge : edges_) {
      send_output_link(*edge);
      send_input_link(*edge);
    }
    for (auto& run : runs_) send(*run, {{"type", "begin"}});
  }
  server_ = std::thread([this] { serve(); });
  for (std::size_t node = 0; node < runs_.size(); ++node)
    while (!has_said(node, "ready") && runs_[node]->code < 0) pause();
  const std::lock_guard lock(mutex_);
  for (auto& run : runs_) send(*run, {{"type", "start"}});
}

int TestSupervisor::wait(std::size_t node) {
  while (runs_[node]->code < 0) pause();
  for (;; pause()) {  // what it said last is read when its socket has ended
    const std::lock_guard lock(mutex_);
    if (!runs_[node]->control) return runs_[node]->code;
  }
}

void TestSupervisor::stop(std::size_t node) {
  const std::lock_guard lock(mutex_);
  send(*runs_[node], {{"type", "stop"}});
}

void TestSupervisor::hand_over(std::size_t node) {
  const std::lock_guard lock(mutex_);
  send(*runs_[node], {{"type", "hand_over"}});
}

void TestSupervisor::hang_up(std::size_t node) {
  const std::lock_guard lock(mutex_);
  runs_[node]->control.reset();
}

void TestSupervisor::end(std::size_t node) {
  const std::lock_guard lock(mutex_);
  for (const auto& edge : edges_) {
    if (edge->from == node) {
      edge->view.end_for_writer(plane::LinkState::failed);
      send(*runs_[edge->to], {{"type", "look"}});
    }
    if (edge->to == node) {
      edge->view.end_for_reader(plane::LinkState::failed);
      send(*runs_[edge->from], {{"type", "look"}});
    }
  }
}

void TestSupervisor::replace(std::size_t node, MakeNode make) {
  const std::lock_guard lock(mutex_);
  Run& run = *runs_[node];
  run.make = std::move(make);
  run.arenas.clear();
  run.said.clear();
  launch(run);
  configure(node);
  for (auto& edge : edges_) {
    if (edge->from != node && edge->to != node) continue;
    make_link(*edge);
    send_input_link(*edge);
    send_output_link(*edge);
  }
  send(run, {{"type", "begin"}});
  send(run, {{"type", "start"}});
}

bool TestSupervisor::has_said(std::size_t node, const std::string& type) { return !said(node, type).empty(); }

void TestSupervisor::await(std::size_t node, const std::string& type) {
  while (!has_said(node, type)) {
    if (runs_[node]->code >= 0 && !has_said(node, type)) throw std::runtime_error(runs_[node]->id + " ended without saying " + type);
    pause();
  }
}

std::vector<Json> TestSupervisor::said(std::size_t node, const std::string& type) {
  const std::lock_guard lock(mutex_);
  std::vector<Json> found;
  for (const Json& message : runs_[node]->said)
    if (type.empty() || message.value("type", "") == type) found.push_back(message);
  return found;
}

std::string TestSupervisor::log(std::size_t node) {
  std::string lines;
  for (const Json& message : said(node, "log")) lines += message.at("level").get<std::string>() + " " + message.at("text").get<std::string>() + "\n";
  return lines;
}

const plane::NodePage& TestSupervisor::page(std::size_t node) { return *reinterpret_cast<const plane::NodePage*>(runs_[node]->page_view.data()); }
plane::LinkView& TestSupervisor::view(std::size_t edge) { return edges_[edge]->view; }

std::uint64_t TestSupervisor::arena_count(std::size_t node, std::size_t port) {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint64_t>(std::ranges::count_if(runs_[node]->arenas[port], [](const Arena& arena) { return static_cast<bool>(arena.fd); }));
}

// ---- the serving thread -----------------------------------------------------------------------------------------------------

void TestSupervisor::serve() {
  while (!over_) {
    std::vector<pollfd> waits;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& run : runs_) waits.push_back({run->control.get(), POLLIN, 0});
    }
    if (::poll(waits.data(), waits.size(), kLook_ms) <= 0) continue;
    const std::lock_guard lock(mutex_);
    for (std::size_t node = 0; node < waits.size(); ++node) {
      Run& run = *runs_[node];
      if (waits[node].revents == 0 || run.control.get() != waits[node].fd) continue;
      const auto message = receive_message(run.control.get(), true);
      if (!message) run.control.reset();
      else if (!message->text.empty()) handle(node, Json::parse(message->text));
    }
  }
}

void TestSupervisor::handle(std::size_t node, const Json& message) {
  Run& run = *runs_[node];
  run.said.push_back(message);
  const std::string type = message.at("type");
  if (type == "grow") return grow(node, message);
  if (type == "give_back") return give_back(node, message);
  if (type != "mapped") return;
  const std::size_t port = message.at("port"), id = message.at("arena");
  Arena& arena = run.arenas.at(port).at(id);
  check(plane::seal_arena(arena.fd.get()) == 0, "seal an arena");
  arena.sealed = true;
  for (const auto& edge : edges_)
    if (edge->from == node && edge->output == port)
      send(*runs_[edge->to], {{"type", "input_arena"}, {"link", edge->link}, {"arena", id}, {"slot_bytes", arena.slot_bytes}, {"slots", arena.slots}}, {arena.fd.get()});
  send(run, {{"type", "arena_ready"}, {"port", port}, {"arena", id}});
}

void TestSupervisor::give_back(std::size_t node, const Json& message) {
  Run& run = *runs_[node];
  const std::size_t port = message.at("port"), id = message.at("arena");
  run.arenas.at(port).at(id).fd.reset();
  for (const auto& edge : edges_)
    if (edge->from == node && edge->output == port) send(*runs_[edge->to], {{"type", "drop_arena"}, {"link", edge->link}, {"arena", id}});
  send(run, {{"type", "arena_gone"}, {"port", port}, {"arena", id}});
}

void TestSupervisor::grow(std::size_t node, const Json& message) {
  Run& run = *runs_[node];
  const std::size_t port = message.at("port");
  const std::uint64_t slot_bytes = message.at("slot_bytes");
  const std::uint32_t slots = message.at("slots");
  std::uint64_t bytes = slot_bytes * slots;
  for (const Arena& arena : run.arenas[port])
    if (arena.fd) bytes += arena.slot_bytes * arena.slots;
  if (bytes > arena_limit_bytes_) {
    send(run, {{"type", "arena_refused"}, {"port", port}, {"reason", "the test allows no more"}});
    return;
  }
  const std::size_t id = run.arenas[port].size();
  Arena arena{UniqueFd(plane::create_arena(slot_bytes, slots)), slot_bytes, slots, false};
  check(static_cast<bool>(arena.fd), "create_arena");
  send(run, {{"type", "arena"}, {"port", port}, {"arena", id}, {"slot_bytes", slot_bytes}, {"slots", slots}}, {arena.fd.get()});
  run.arenas[port].push_back(std::move(arena));
}

}  // namespace hawse::node
