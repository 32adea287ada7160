// SPDX-License-Identifier: Apache-2.0
//
// What commands ask of a running session, and what they get (docs/control.md). Answers are made on the loop's thread, from what the session knows at that
// moment; a log goes out piece by piece.
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "runtime/messages.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::size_t kBatchBytes = 56 << 10;   // of log lines in a message, which has 64 KiB
constexpr std::size_t kCutBytes = 8 << 10;      // what is shown of a line that doesn't fit one alone: escaped it may be six times as long
constexpr int kLinesLookedAt = 4096;            // in one go, however few of them are wanted

json line_json(const LogLine& line) {
  json out = {{"node", line.node}, {"number", line.number}, {"stream", line.stream}, {"time_ns", line.time_ns}, {"text", line.text}};
  if (!line.level.empty()) out["level"] = line.level;
  if (text_of(out).size() > kBatchBytes) {
    out["text"] = line.text.substr(0, kCutBytes);
    out["cut"] = true;
  }
  return out;
}

}  // namespace

// A session works without it, and says so.
void Session::open_control() {
  try {
    if (!folder_) make_folder();
    control_ = std::make_unique<Control>(loop_, folder_->path() / kControlSocket, [this](Control::Client& client, const json& request) { on_request(client, request); });
  } catch (const Error& error) {
    emit("notice", "", {{"text", std::string("no command will find this session: ") + error.what()}});
  }
}

void Session::on_request(Control::Client& client, const json& request) {
  const std::string type = request["type"];
  if (type == "logs") return answer_logs(client, request);
  if (type == "tap") return answer_tap(client, request);
  if (type == "restart") return answer_restart(client, request);
  if (type == "replace") return answer_replace(client, request);
  if (type == "stop") {
    if (request.value("now", false)) kill_all();
    else request_stop();
  }
  if (type == "session" || type == "status") client.send(session_status());
  if (type == "status") {
    for (const auto& node : nodes_) client.send(node_status(*node));
    for (const auto& edge : edges_) client.send(edge_status(*edge));
  }
  if (type == "inspect") {
    const std::string id = request.value("node", "");
    if (!id.empty() && find_node(client, id) == nullptr) return;
    for (const auto& node : nodes_)
      if (id.empty() || node->id == id) answer_inspect(client, *node);
  }
  client.end();
}

// Null: there is none, and the client knows.
Session::NodeRun* Session::find_node(Control::Client& client, const std::string& id) {
  std::vector<std::string> ids;
  for (const auto& node : nodes_) {
    if (node->id == id) return node.get();
    ids.push_back(node->id);
  }
  std::string all;
  for (const auto& each : ids) all += (all.empty() ? "" : ", ") + each;
  const std::string near = nearest(id, ids);
  client.fail(pipeline_.name + " has no node '" + strip_control(id) + "'", near.empty() ? "it has: " + all : "did you mean '" + near + "'?");
  return nullptr;
}

json Session::session_status() const {
  std::size_t nodes = 0, running = 0;
  unsigned restarts = 0;
  json busy = json::object();
  for (const auto& node : nodes_) {
    if (node->spec == nullptr) continue;
    ++nodes;
    restarts += node->attempt - 1;
    if (node->state == State::running || node->state == State::finishing) ++running;
    if (const std::int64_t ns = busy_ns(*node); ns > busy.value("busy_ns", std::int64_t{0})) busy = {{"node", node->id}, {"busy_ns", ns}};
  }
  json out = {{"type", "session"},
          {"id", id_},
          {"pipeline", pipeline_.name},
          {"file", pipeline_.file.string()},
          {"pid", ::getpid()},
          {"state", stopping_ ? "stopping" : started_ ? "running" : "starting"},
          {"nodes", nodes},
          {"running", running},
          {"restarts", restarts},
          {"uptime_ns", plane::monotonic_ns() - begun_ns_},
          {"monotonic_ns", plane::monotonic_ns()}};  // when these counts were taken: two answers give a rate
  if (!busy.empty()) out["busy"] = busy;
  return out;
}

json Session::node_status(const NodeRun& node) const {
  json out = node_summary(node);
  out["type"] = "node";
  if (node.spec != nullptr && node.spec->limits.cpus) out["cpu_limit"] = *node.spec->limits.cpus;
  return out;
}

json Session::edge_status(const EdgeRun& edge) const {
  json out = edge_summary(edge);
  out["frame_type"] = out["type"];
  out["type"] = "edge";
  out["queue"] = edge.spec->queue;
  out["when_full"] = name_of(edge.spec->when_full);
  return out;
}

void Session::answer_logs(Control::Client& client, const json& request) {
  const std::string node = request.value("node", "");
  if (!node.empty() && find_node(client, node) == nullptr) return;
  client.go_on([this, &client, node, since_ns = request.value("since_ns", std::int64_t{0}), follow = request.value("follow", false), at = std::uint64_t{0},
                over = false]() mutable {
    if (over) return false;
    json lines = json::array();
    const LogLine* line = nullptr;
    std::size_t bytes = 0;
    for (int looked_at = 0; looked_at < kLinesLookedAt && (line = log_.after(at)) != nullptr; ++looked_at) {
      if ((node.empty() || line->node == node) && line->time_ns >= since_ns) {
        json one = line_json(*line);
        bytes += text_of(one).size() + 1;
        if (bytes > kBatchBytes && !lines.empty()) break;  // the next message begins with it
        lines.push_back(std::move(one));
      }
      at = line->id;
    }
    if (!lines.empty()) client.send({{"type", "lines"}, {"lines", std::move(lines)}});
    if (line != nullptr) return true;
    if (follow) return false;
    over = true;
    client.end();
    return false;
  });
}

// Whether a node can be started again at all; else the client is told why not.
bool Session::may_start_again(Control::Client& client, const NodeRun& node) const {
  if (node.spec == nullptr)
    client.fail(node.id + " is the program that embeds this pipeline", "only that program can start itself again");
  else if (stopping_)
    client.fail("the session is stopping");
  else if (node.state == State::ended || node.state == State::failed || node.finished)
    client.fail(node.id + " is " + (node.finished ? "finishing" : to_string(node.state)) + ": nothing is left for another one to do", "start the pipeline again");
  else
    return true;
  return false;
}

void Session::answer_restart(Control::Client& client, const json& request) {
  NodeRun* node = find_node(client, request["node"]);
  if (node == nullptr || !may_start_again(client, *node)) return;
  if (node->spec->executor == pipeline::ExecutorKind::thread)
    return client.fail(node->id + " runs as a thread of the runtime, which can't be ended alone", "let it hand over to another one: hawse replace " + node->id);
  if (!start_again(*node, "somebody asked for it")) return client.fail(node->id + " is still " + to_string(node->state), "try again once it runs");
  client.end();
}

}  // namespace hawse::runtime
