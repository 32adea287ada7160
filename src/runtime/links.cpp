// SPDX-License-Identifier: Apache-2.0
//
// Links and arenas: which descriptor goes to whom, and when (docs/protocol.md, "Order that both sides rely on").
#include <algorithm>

#include "base/text.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

const char* name_of(plane::WhenFull when_full) {
  switch (when_full) {
    case plane::WhenFull::block: return "block";
    case plane::WhenFull::drop_oldest: return "drop_oldest";
    case plane::WhenFull::drop_newest: return "drop_newest";
    case plane::WhenFull::latest: return "latest";
  }
  return "";
}

}  // namespace

void Session::make_link(EdgeRun& edge) {
  std::uint32_t backlog = 0;  // what a dead reader may have held: at most all that its writer has
  for (const Arena& arena : nodes_[edge.writer]->outputs[edge.output].arenas) backlog += arena.slots;
  edge.link.reset(plane::create_link(edge.spec->queue, edge.spec->when_full, backlog));
  if (!edge.link) throw Error::from_errno("connect " + edge.spec->from.node + " to " + edge.spec->to.node, "shared memory");
  if (plane::LinkView::map(edge.link.get(), &edge.view) != plane::Status::ok)
    throw Error::from_errno("connect " + edge.spec->from.node + " to " + edge.spec->to.node, "map the link");
}

void Session::send_output_link(EdgeRun& edge) {
  send(*nodes_[edge.writer],
       {{"type", "output_link"}, {"port", edge.output}, {"index", edge.link_index}, {"queue", edge.spec->queue}, {"when_full", name_of(edge.spec->when_full)}},
       {edge.link.get(), nodes_[edge.reader]->doorbell.get()});
}

void Session::send_input_link(EdgeRun& edge) {
  send(*nodes_[edge.reader], {{"type", "input_link"}, {"link", edge.link_number}}, {edge.link.get(), nodes_[edge.writer]->doorbell.get()});
  send_input_arenas(edge);
}

void Session::send_input_arenas(EdgeRun& edge) {
  for (const auto& arena : nodes_[edge.writer]->outputs[edge.output].arenas) {
    if (!arena.sealed) continue;
    send(*nodes_[edge.reader],
         {{"type", "input_arena"}, {"link", edge.link_number}, {"arena", arena.id}, {"slot_bytes", arena.slot_bytes}, {"slots", arena.slots}},
         {arena.fd.get()});
  }
}

void Session::on_grow(NodeRun& node, const json& message) {
  const std::size_t port = message["port"];
  const std::uint64_t slot_bytes = message["slot_bytes"];
  const std::uint64_t slots = message["slots"];
  if (port >= node.outputs.size()) return break_off(node, "broke the control protocol: no port " + std::to_string(port));
  OutputUse& output = node.outputs[port];
  const auto refuse = [&](const std::string& reason) { send(node, {{"type", "arena_refused"}, {"port", port}, {"reason", reason}}); };

  std::uint64_t slots_before = 0, bytes_before = 0;
  for (const auto& arena : output.arenas) slots_before += arena.slots;
  for (const auto& use : node.outputs)
    for (const auto& arena : use.arenas) bytes_before += arena.slot_bytes * arena.slots;
  const std::uint64_t limit_bytes = node.spec != nullptr ? node.spec->limits.arena_bytes : pipeline::Limits{}.arena_bytes;
  if (slot_bytes < plane::kCacheLine || slot_bytes % plane::kCacheLine != 0 || slot_bytes > plane::kMaxFrameBytes || slots == 0 ||
      slots > plane::kMaxSlots - slots_before || output.arenas.size() >= plane::kMaxArenas)
    return refuse("port " + output.port + " of " + node.id + " can't have " + std::to_string(slots) + " more slots of " + format_bytes(slot_bytes));
  if (slot_bytes * slots > limit_bytes || bytes_before > limit_bytes - slot_bytes * slots)
    return refuse("port " + output.port + " of " + node.id + " needs " + format_bytes(slot_bytes * slots) + " more for its frames and has " +
                  format_bytes(bytes_before) + " of at most " + format_bytes(limit_bytes) + " (limits: {arena: ...})");
  Arena arena;
  arena.id = static_cast<std::uint32_t>(output.arenas.size());
  arena.slot_bytes = slot_bytes;
  arena.slots = static_cast<std::uint32_t>(slots);
  arena.fd.reset(plane::create_arena(slot_bytes, arena.slots));
  if (!arena.fd) return refuse("the machine has no " + format_bytes(slot_bytes * slots) + " of shared memory left for port " + output.port + " of " + node.id);
  send(node, {{"type", "arena"}, {"port", port}, {"arena", arena.id}, {"slot_bytes", slot_bytes}, {"slots", slots}}, {arena.fd.get()});
  output.arenas.push_back(std::move(arena));
}

void Session::on_mapped(NodeRun& node, const json& message) {
  const std::size_t port = message["port"], id = message["arena"];
  if (port >= node.outputs.size() || id >= node.outputs[port].arenas.size() || node.outputs[port].arenas[id].sealed)
    return break_off(node, "broke the control protocol: mapped what it was not given");
  OutputUse& output = node.outputs[port];
  Arena& arena = output.arenas[id];
  if (plane::seal_arena(arena.fd.get()) != 0) return break_off(node, "its arena could not be sealed");
  arena.sealed = true;
  for (const std::size_t edge : output.edges) {
    NodeRun& reader = *nodes_[edges_[edge]->reader];
    if (reader.configured && reader.control)
      send(reader, {{"type", "input_arena"}, {"link", edges_[edge]->link_number}, {"arena", arena.id}, {"slot_bytes", arena.slot_bytes}, {"slots", arena.slots}},
           {arena.fd.get()});
  }
  send(node, {{"type", "arena_ready"}, {"port", port}, {"arena", arena.id}});
}

// The counts of a link that is about to be replaced stay in the edge's.
void Session::keep_counts(EdgeRun& edge) {
  const auto add = [&](const char* name, std::uint64_t value) { edge.before[name] = edge.before.value(name, std::uint64_t{0}) + value; };
  const auto& writer = edge.view.writer();
  const auto& reader = edge.view.reader();
  add("frames", writer.frames.load(std::memory_order_relaxed));
  add("bytes", writer.bytes.load(std::memory_order_relaxed));
  add("copies", writer.copies.load(std::memory_order_relaxed));
  add("dropped", writer.dropped.load(std::memory_order_relaxed));
  add("given_again", writer.given_again.load(std::memory_order_relaxed));
  add("flushed", writer.flushed.load(std::memory_order_relaxed) + reader.flushed.load(std::memory_order_relaxed));
  add("unmatched", reader.unmatched.load(std::memory_order_relaxed));
  add("received", reader.frames.load(std::memory_order_relaxed));
  edge.before["last_sequence"] = std::max(edge.before.value("last_sequence", std::uint64_t{0}), writer.last_sequence.load(std::memory_order_relaxed));
  if (!edge.latency) edge.latency = std::make_unique<plane::Histogram>();
  const auto plus = [](auto& sum, const auto& value) { sum.store(sum.load(std::memory_order_relaxed) + value.load(std::memory_order_relaxed), std::memory_order_relaxed); };
  plus(edge.latency->count, reader.latency.count);
  plus(edge.latency->sum_ns, reader.latency.sum_ns);
  for (std::uint32_t i = 0; i < plane::kHistogramBuckets; ++i) plus(edge.latency->buckets[i], reader.latency.buckets[i]);
}

// A node is started again: new links to all its neighbours, except from a writer that is over (what it had sent is in the old link).
void Session::replace_links(NodeRun& node) {
  const auto over = [](const NodeRun& other) { return other.state == State::ended || other.state == State::failed; };
  for (auto& output : node.outputs) output.arenas.clear();
  for (auto& edge : edges_) {
    const bool writes = edge->writer == node.index, reads = edge->reader == node.index;
    if (!writes && !reads) continue;
    NodeRun& peer = *nodes_[writes ? edge->reader : edge->writer];
    if (reads && !writes && over(peer)) continue;
    keep_counts(*edge);
    make_link(*edge);
    if (writes && over(peer)) edge->view.end_for_reader(plane::LinkState::ended);
    if (!peer.configured || !peer.control || &peer == &node) continue;  // it gets them when it is configured
    if (writes) send_input_link(*edge);
    else send_output_link(*edge);
  }
}

void Session::close_links(NodeRun& node, bool failed) {
  for (auto& edge : edges_) {
    if (edge->writer == node.index) {
      edge->view.end_for_writer(failed ? plane::LinkState::failed : plane::LinkState::ended);
      nodes_[edge->reader]->bell.ring();
    }
    if (edge->reader == node.index) {
      edge->view.end_for_reader(failed ? plane::LinkState::failed : plane::LinkState::ended);
      nodes_[edge->writer]->bell.ring();
    }
  }
}

}  // namespace hawse::runtime
