// SPDX-License-Identifier: Apache-2.0
//
// A running node hands over: it comes to the end of the frame in its hands, takes no more, and goes. What it hasn't returned and what it hasn't taken yet is
// given to its replacement (links.cpp), so that no frame is lost, and none that it was through with comes twice.
//
// Its replacement's place is made while it still runs. Where that fails, nothing has happened; where the replacement doesn't become ready in a new place, the
// node goes back to where it was. One that doesn't come to the end of its frame within the grace period is killed, and that frame given again; a thread can't
// be killed: it is waited for.
#include <algorithm>

#include "runtime/endings.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

using pipeline::ExecutorKind;

constexpr std::int64_t kChangeSettlesNs = 100'000'000;

}  // namespace

// The answer comes when the replacement runs, or doesn't.
void Session::answer_replace(Control::Client& client, const json& request) {
  NodeRun* node = find_node(client, request["node"]);
  if (node == nullptr || !may_start_again(client, *node)) return;
  if (node->moving || node->asked_by != nullptr || node->state == State::handing_over) return client.fail(node->id + " is being replaced already");
  if (node->state != State::running && node->state != State::backing_off)
    return client.fail(node->id + " is still " + to_string(node->state), "try again once it runs");
  const std::string text = request.value("executor", pipeline::to_string(node->spec->executor));
  const auto kind = pipeline::executor_kind(text);
  if (!kind) return client.fail("there is no executor '" + text + "'", "it is one of thread, process, container");
  const bool moves = *kind != node->spec->executor;
  if (moves && !options_.moved) return client.fail("the nodes of this session stay where they are", "only those of `hawse run` can move");
  node->asked_by = &client;
  client.when_gone([node, asked_by = &client] {
    if (node->asked_by == asked_by) node->asked_by = nullptr;
  });
  if (moves) move(*node, *kind);
  else replace(*node, "somebody asked for it");
}

void Session::move(NodeRun& node, ExecutorKind kind) {
  node.moving = true;
  work([this, &node, kind] {
    std::string why = "can't be moved", hint;
    try {
      loop_.post([this, &node, place = std::make_shared<Place>(make_place(node, kind))] { on_moved(node, std::move(*place)); });
      return;
    } catch (const Error& error) {
      why += ": " + error.operation() + ": " + error.context();
      hint = error.hint();
    } catch (const std::exception& error) {
      why += std::string(": ") + error.what();
    }
    loop_.post([this, &node, why, hint] {
      node.moving = false;
      not_replaced(node, why, hint);
    });
  });
}

// On a worker's thread.
Session::Place Session::make_place(NodeRun& node, ExecutorKind kind) {
  Place place;
  const auto pipeline = std::make_shared<const pipeline::Pipeline>(options_.moved(node.id, kind));
  place.pipeline = pipeline;
  place.spec = pipeline->find(node.id);
  const auto ends_of = [](const pipeline::Pipeline& of) {
    std::vector<std::string> ends;
    for (const auto& edge : of.edges) ends.push_back(edge.from.node + "." + edge.from.port + " -> " + edge.to.node + "." + edge.to.port);
    return ends;
  };
  if (place.spec == nullptr || ends_of(*pipeline) != ends_of(pipeline_))
    throw Error(ErrorCode::usage, "read " + pipeline_.file.string(), "its edges have changed since the start of this session", "start the pipeline again");
  place.prepared = executors_.of(kind).prepare(*place.spec, report_for(node));
  return place;
}

void Session::on_moved(NodeRun& node, Place place) {
  node.moving = false;
  if (stopping_) return not_replaced(node, "is not moved: the session is stopping", "");
  try {
    if (!folder_) make_folder();
    if (place.spec->executor == ExecutorKind::container && !listener_) listen();
  } catch (const Error& error) {
    return not_replaced(node, std::string("can't be moved: ") + error.what(), error.hint());
  }
  const std::string where = pipeline::to_string(place.spec->executor);
  node.next = std::move(place);
  if (replace(node, "somebody moves it to a " + where)) return;
  node.next.reset();
  not_replaced(node, std::string("is meanwhile ") + to_string(node.state), "try again once it runs");
}

// False: it has not come so far, or it is over.
bool Session::replace(NodeRun& node, std::string why) {
  if (node.state == State::backing_off) return start_again(node, std::move(why));
  if (node.state != State::running) return false;
  node.restart_why = std::move(why);
  set_state(node, State::handing_over);
  send(node, {{"type", "hand_over"}});
  if (node.spec->executor == ExecutorKind::thread) return true;
  node.timer = loop_.after(pipeline_.grace_ns, [this, &node] {
    emit("notice", node.id, {{"text", "did not come to the end of its frame within the grace period: it is killed, and the next one is given that frame again"}});
    if (node.instance) kill_instance(node);
  });
  return true;
}

// No instance of it runs.
void Session::swap_place(NodeRun& node, Place place) {
  node.before = Place{node.spec, std::move(node.moved), std::move(node.prepared)};
  node.spec = place.spec;
  node.moved = std::move(place.pipeline);
  node.prepared = std::move(place.prepared);
  node.where.clear();
  node.limits_by.clear();
}

// It did not become ready in its new place.
void Session::move_back(NodeRun& node, json failure) {
  const std::string text = failure["text"];
  not_replaced(node, "is back where it was: " + text, failure.value("hint", ""));
  failure["attempt"] = failure["attempts"] = 1;
  failure["restarting"] = true;
  failure["tail"] = tail_of(node.tail);
  emit("failure", node.id, std::move(failure));
  swap_place(node, *std::exchange(node.before, std::nullopt));
  node.before.reset();
  node.restart_why = "it goes back to where it was";
  restart_asked(node);
}

void Session::replaced(NodeRun& node) {
  node.before.reset();
  Control::Client* client = std::exchange(node.asked_by, nullptr);
  if (client == nullptr) return;
  client->send({{"type", "replaced"}, {"node", node.id}, {"executor", pipeline::to_string(node.spec->executor)}, {"where", node.where}, {"phases_ms", node.phases}});
  client->end();
}

void Session::not_replaced(NodeRun& node, const std::string& why, const std::string& hint) {
  if (Control::Client* client = std::exchange(node.asked_by, nullptr)) client->fail(node.id + " " + why, hint);
}

void Session::watch_files() {
  files_ = std::make_unique<FileWatch>(loop_, [this](const std::filesystem::path& file) {
    for (auto& node : nodes_)
      if (node->spec != nullptr && std::ranges::find(node->spec->code_files, file) != node->spec->code_files.end()) on_changed(*node, file.filename().string());
  });
  for (const auto& node : pipeline_.nodes) {
    for (const auto& file : node.code_files) files_->add(file);
    if (!node.module.empty())
      emit("notice", node.id, {{"text", "isn't watched: where " + node.module + " lies its own Python alone knows"}, {"hint", "`hawse replace` takes what has changed"}});
  }
}

// An editor may write a file in several steps, and a node may be just starting: both are waited for.
void Session::on_changed(NodeRun& node, const std::string& file) {
  node.change_timer = loop_.after(kChangeSettlesNs, [this, &node, file] {
    if (stopping_ || node.state == State::ended || node.state == State::failed) return;
    const std::string why = file + " has changed";
    const bool done = node.state == State::running ? replace(node, why) : node.state != State::handing_over && start_again(node, why);
    if (!done) on_changed(node, file);
  });
}

}  // namespace hawse::runtime
