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

double ms_since(std::int64_t from_ns) { return static_cast<double>(plane::monotonic_ns() - from_ns) / 1e6; }

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
  if (node.launched_ns != 0) {
    const bool forked = node.phases.contains("interpreter");  // before the fork: the zygote's, as far as this node waited for it
    double waited_ms = 0;
    if (forked)
      for (const auto& [name, ms] : node.phases.items()) waited_ms += ms.get<double>();
    node.phases[forked ? "fork" : "interpreter"] = ms_since(node.launched_ns) - waited_ms;
  }
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
    for (const char* name : {"import", "setup"})
      if (const auto ns = phases->find(std::string(name) + "_ns"); ns != phases->end() && ns->is_number())
        node.phases[name] = node.phases.value(name, 0.0) + ns->get<double>() / 1e6;
  }
  if (node.launched_ns != 0) node.phases["total"] = ms_since(node.launched_ns);
  if (node.attempt == 1) node.phases["environment"] = static_cast<double>(node.prepared.took_ns) / 1e6;  // before the launch
  set_state(node, State::ready);
  if (!started_) return check_ready();
  set_state(node, State::running);
  send(node, {{"type", "start"}});
  if (stopping_) send(node, {{"type", "stop"}});
  replaced(node);
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
