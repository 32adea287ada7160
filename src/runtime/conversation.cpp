// SPDX-License-Identifier: Apache-2.0
//
// The runtime's end of the control protocol (docs/protocol.md). Every message of a node is checked against the table below before anything
// looks at it.
#include <algorithm>

#include "base/socket.hpp"
#include "base/text.hpp"
#include "runtime/messages.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

double ms_between(std::int64_t from_ns, std::int64_t to_ns) { return static_cast<double>(to_ns - from_ns) / 1e6; }

}  // namespace

bool Session::send(NodeRun& node, const json& message, const std::vector<int>& fds) {
  if (!node.control) return false;
  try {
    if (send_message(node.control.get(), message.dump(), fds, true)) return true;
  } catch (const Error& error) {
    if (node.broke.empty()) break_off(node, std::string("does not read its control messages: ") + error.context());
  }
  return false;
}

void Session::on_control(NodeRun& node) {
  const UniqueFd& control = node.control;
  try {
    const auto message = receive_message(control.get(), true);
    if (!message) return on_hang_up(node);
    if (message->text.empty() && message->fds.empty()) return;
    handle(node, parse_node_message(message->text, message->fds.size()));
  } catch (const Error& error) {
    break_off(node, "broke the control protocol: " + error.context());
  }
}

// What a node said before it died is still in its socket.
void Session::drain_control(NodeRun& node) {
  try {
    while (node.control) {
      const auto message = receive_message(node.control.get(), true);
      if (!message || (message->text.empty() && message->fds.empty())) return;
      handle(node, parse_node_message(message->text, message->fds.size()));
    }
  } catch (const Error&) {
    // It is dead: there is nothing to break off.
  }
}

void Session::handle(NodeRun& node, const json& message) {
  const std::string type = message["type"];
  if (type == "hello") return on_hello(node, message);
  if (type == "exited") {
    const int code = message.value("code", 0), signal = message.value("signal", 0);
    if (node.instance) node.instance->exited(code, signal);
    else node.exited.emplace(code, signal);
    return;
  }
  if (!node.configured) return break_off(node, "broke the control protocol: " + type + " before hello");
  if (type == "ready") return on_ready(node, message);
  if (type == "finished") return on_finished(node);
  if (type == "grow") return on_grow(node, message);
  if (type == "mapped") return on_mapped(node, message);
  if (type == "give_back") return on_give_back(node, message);
  if (type == "failed") {
    node.failed = message;
    return;
  }
  json data = message;
  data.erase("type");
  for (auto& [key, value] : data.items())
    if (value.is_string()) value = strip_control(value.get<std::string>());
  if (type == "log") return take_log(node, std::move(data));
  if (admit(node, message.size())) emit("progress", node.id, std::move(data));
}

void Session::on_hello(NodeRun& node, const json& message) {
  if (node.configured) return break_off(node, "broke the control protocol: a second hello");
  if (message["protocol"] != 1) return break_off(node, "speaks protocol " + message["protocol"].dump() + ", this runtime speaks 1");
  node.language = strip_control(message["language"].get<std::string>());
  node.hello_ns = plane::monotonic_ns();
  if (node.started_watch) on_started(node);  // said before the hello, on another socket
  configure(node);
}

void Session::configure(NodeRun& node) {
  json inputs = json::array(), outputs = json::array(), links = json::array(), first = json::object();
  for (const auto& port : node.inputs) inputs.push_back({{"port", port}});
  for (const std::size_t edge : node.links) {
    links.push_back({{"input", edges_[edge]->input}, {"queue", edges_[edge]->spec->queue}, {"feedback", edges_[edge]->spec->feedback || edges_[edge]->spec->background}});
    auto& type = inputs[edges_[edge]->input]["type"];
    if (edges_[edge]->spec->type != plane::FrameType::none) type = name_of(edges_[edge]->spec->type);
  }
  for (const auto& output : node.outputs) {
    json type = "any";
    std::uint64_t last = 0;
    for (const std::size_t edge : output.edges) {
      if (edges_[edge]->spec->type != plane::FrameType::none) type = name_of(edges_[edge]->spec->type);
      last = std::max(last, counts_of(*edges_[edge])["last_sequence"].get<std::uint64_t>());
    }
    outputs.push_back({{"port", output.port}, {"type", type}, {"links", output.edges.size()}});
    first[output.port] = last + 1;
  }
  for (auto& input : inputs)
    if (input["type"].is_null()) input["type"] = "any";
  json message = {{"type", "configure"}, {"node", node.id},   {"pipeline", pipeline_.name},   {"inputs", inputs},
                  {"outputs", outputs},  {"links", links},    {"first_sequence", first},      {"attempt", node.attempt},
                  {"spin_ns", node.spec != nullptr ? node.spec->spin_ns : pipeline::Node{}.spin_ns},      {"log_level", options_.log_level}};
  if (node.spec != nullptr) {
    message["entry"] = node.prepared.entry;
    message["path"] = node.prepared.path;
    message["params"] = node.spec->params;
    if (const auto& match = node.spec->match) message["match"] = {{"tolerance_ns", match->tolerance_ns}, {"wait_ns", match->wait_ns}, {"hold", match->hold}};
    message["executor"] = pipeline::to_string(node.spec->executor);
  } else {
    message["entry"] = {{"kind", "application"}};
    message["executor"] = "application";
  }
  if (!send(node, message, {node.doorbell.get(), node.page_fd.get()})) return;
  node.configured = true;
  for (const auto& output : node.outputs)
    for (const std::size_t edge : output.edges) send_output_link(*edges_[edge]);
  for (const std::size_t edge : node.links) tell_reader(*edges_[edge]);
  if (node.state != State::dying) set_state(node, State::setting_up);
  send(node, {{"type", "begin"}});
}

void Session::on_ready(NodeRun& node, const json& message) {
  if (node.state != State::setting_up) return break_off(node, "broke the control protocol: ready twice");
  node.timer.reset();
  node.ready_ns = plane::monotonic_ns();
  node.life = {};
  node.life.sign_ns = node.ready_ns;
  if (node.spec != nullptr) watch_for_hangs(node, node.spec->hang_timeout_ns / 2);
  if (const auto phases = message.find("phases"); phases != message.end()) {
    for (const auto& [name, ms] : {std::pair("import_ns", &node.import_ms), std::pair("setup_ns", &node.setup_ms)})
      if (const auto ns = phases->find(name); ns != phases->end() && ns->is_number()) *ms = ns->get<double>() / 1e6;
  }
  tell_phases(node);
  set_state(node, State::ready);
  if (!started_) return check_ready();
  set_state(node, State::running);
  send(node, {{"type", "start"}});
  if (stopping_) send(node, {{"type", "stop"}});
  replaced(node);
}

// One after the other, so that they sum up to the total. An engine may answer when the container has come to us already, or even later: what it says is
// cut off there.
void Session::tell_phases(NodeRun& node) {
  if (node.launched_ns == 0 || node.ready_ns == 0) return;
  json& phases = node.phases = json::object();
  double told_ms = 0;
  const auto tell = [&](const char* name, double ms) {
    phases[name] = phases.value(name, 0.0) + ms;
    told_ms += ms;
  };
  const double joined_ms = node.joined_ns != 0 ? ms_between(node.launched_ns, node.joined_ns) : 0;
  if (node.instance)
    for (const auto& [name, ns] : node.instance->phases_ns()) {
      const double ms = static_cast<double>(ns) / 1e6;
      tell(name.c_str(), node.joined_ns != 0 ? std::min(ms, std::max(0.0, joined_ms - told_ms)) : ms);
    }
  if (node.joined_ns != 0) tell("join", joined_ms - told_ms);
  const bool forked = phases.contains("interpreter");  // before the fork: the zygote's, as far as this node waited for it
  tell(forked ? "fork" : "interpreter", ms_between(node.launched_ns, node.hello_ns) - told_ms);
  tell("import", node.import_ms);
  tell("setup", node.setup_ms);
  const double total_ms = ms_between(node.launched_ns, node.ready_ns);
  tell("connect", std::max(0.0, total_ms - told_ms));
  phases["total"] = total_ms;
  if (node.attempt == 1) phases["environment"] = static_cast<double>(node.prepared.took_ns) / 1e6;  // before the launch
}

void Session::on_finished(NodeRun& node) {
  if (node.state != State::running && node.state != State::handing_over) return break_off(node, "broke the control protocol: finished before it has begun, or twice");
  node.finished = true;
  node.timer.reset();  // it was to hand over, and nothing is left
  node.restart_why.clear();
  if (node.instance) {
    if (const auto usage = node.instance->usage(); usage.memory_peak_bytes)
      node.memory_peak_bytes = std::max(node.memory_peak_bytes, *usage.memory_peak_bytes);
  }
  set_state(node, State::finishing);
}

}  // namespace hawse::runtime
