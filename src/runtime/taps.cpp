// SPDX-License-Identifier: Apache-2.0
#include "runtime/taps.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "runtime/messages.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::uint64_t kMaxQueue = 64;
constexpr std::int64_t kTapLookNs = 500'000'000;
constexpr std::int64_t kStandsStillNs = 3'000'000'000;

}  // namespace

void Session::answer_tap(Control::Client& client, const json& request) {
  NodeRun* node = find_node(client, request["node"]);
  if (node == nullptr) return;
  const std::string port = request["port"];
  auto output = std::ranges::find(node->outputs, port, &OutputUse::port);
  if (port.empty() && node->outputs.size() == 1) output = node->outputs.begin();
  if (output == node->outputs.end()) {
    std::string all;
    for (const auto& each : node->outputs) all += (all.empty() ? "" : ", ") + each.port;
    return client.fail(node->id + " sends nothing on " + (port.empty() ? "an output that is meant by no name" : "'" + strip_control(port) + "'"),
                       all.empty() ? "none of its outputs has an edge" : "outputs with an edge: " + all);
  }
  if (!node->configured || !node->control) return client.fail(node->id + " is " + to_string(node->state), "try again once it runs");
  try {
    start_tap(client, *node, static_cast<std::uint32_t>(output - node->outputs.begin()), static_cast<std::uint32_t>(std::clamp<std::uint64_t>(request.value("queue", std::uint64_t{1}), 1, kMaxQueue)));
  } catch (const Error& error) {
    client.fail(error.what());
  }
}

void Session::start_tap(Control::Client& client, NodeRun& node, std::uint32_t output, std::uint32_t queue) {
  auto tap = std::make_unique<Tap>();
  tap->client = &client;
  tap->writer = node.index;
  tap->output = output;
  tap->queue = queue;
  tap->when_full = queue == 1 ? plane::WhenFull::latest : plane::WhenFull::drop_oldest;
  tap->index = static_cast<std::uint32_t>(node.outputs[output].edges.size());
  const auto taken = [&](const auto& other) { return other->writer == tap->writer && other->output == output && other->index == tap->index; };
  while (std::ranges::any_of(taps_, taken)) ++tap->index;
  if (tap->index >= plane::kMaxLinks) throw Error(ErrorCode::system, "tap " + node.id, "it has as many readers as an output may have");
  tap->link.reset(plane::create_link(queue, tap->when_full));
  tap->doorbell.reset(plane::create_doorbell());
  tap->page.reset(plane::create_node_page());
  if (!tap->link || !tap->doorbell || !tap->page) throw Error::from_errno("tap " + node.id, "shared memory");
  if (plane::LinkView::map(tap->link.get(), &tap->view) != plane::Status::ok) throw Error::from_errno("tap " + node.id, "map shared memory");

  const OutputUse& use = node.outputs[output];
  const auto type = edges_[use.edges.front()]->spec->type;
  client.stop_listening();
  client.when_gone([this, &client] { end_tap(client); });
  client.send({{"type", "tapped"}, {"node", node.id}, {"port", use.port}, {"queue", queue}, {"when_full", name_of(tap->when_full)}});
  client.send({{"type", "configure"}, {"node", "tap"}, {"pipeline", pipeline_.name}, {"entry", {{"kind", "application"}}}, {"executor", "application"},
               {"inputs", {{{"port", use.port}, {"type", name_of(type)}}}}, {"outputs", json::array()}, {"links", {{{"input", 0}, {"queue", queue}, {"feedback", false}}}},
               {"first_sequence", json::object()}, {"attempt", 1}, {"spin_ns", 0}, {"log_level", "error"}},
              {tap->doorbell.get(), tap->page.get()});
  client.send({{"type", "input_link"}, {"link", 0}}, {tap->link.get(), node.doorbell.get()});
  for (const auto& arena : use.arenas)
    if (arena.sealed) send_tap_arena(*tap, arena);
  client.send({{"type", "begin"}});
  client.send({{"type", "start"}});
  send(node, {{"type", "output_link"}, {"port", output}, {"index", tap->index}, {"queue", queue}, {"when_full", name_of(tap->when_full)}},
       {tap->link.get(), tap->doorbell.get()});
  tap->moved_ns = plane::monotonic_ns();
  taps_.push_back(std::move(tap));
  look_at_tap(*taps_.back());
}

void Session::send_tap_arena(Tap& tap, const Arena& arena) {
  tap.client->send({{"type", "input_arena"}, {"link", 0}, {"arena", arena.id}, {"slot_bytes", arena.slot_bytes}, {"slots", arena.slots}}, {arena.fd.get()});
}

// A command that was stopped, or waits for a terminal, must not keep the writer's slots.
void Session::look_at_tap(Tap& tap) {
  tap.watch = loop_.after(kTapLookNs, [this, &tap] {
    const std::int64_t now_ns = plane::monotonic_ns();
    const std::uint64_t received = tap.view.reader().frames.load(std::memory_order_relaxed);
    const bool has_nothing = tap.view.unread() == 0 && tap.view.leased() == 0;
    if (has_nothing || received != tap.received) tap.moved_ns = now_ns;
    tap.received = received;
    if (now_ns - tap.moved_ns < kStandsStillNs) return look_at_tap(tap);
    emit("notice", nodes_[tap.writer]->id, {{"text", "a tap of it stands still, and was taken away"}});
    tap.client->hang_up();
  });
}

void Session::end_tap(const Control::Client& client) {
  const auto found = std::ranges::find(taps_, &client, [](const auto& tap) { return tap->client; });
  if (found == taps_.end()) return;
  const auto tap = std::move(*found);
  taps_.erase(found);
  tap->view.end_for_reader(plane::LinkState::ended);
  tell_to_look(*nodes_[tap->writer]);
}

// Its writer is about to be another process: the command sees that its session hung up, and asks again.
void Session::end_taps_of(const NodeRun& node) {
  std::vector<Control::Client*> clients;
  for (const auto& tap : taps_)
    if (tap->writer == node.index) clients.push_back(tap->client);
  for (auto* client : clients) client->hang_up();
}

}  // namespace hawse::runtime
