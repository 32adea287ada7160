// SPDX-License-Identifier: Apache-2.0
//
// Links and arenas: which descriptor goes to whom, and when (docs/protocol.md, "Order that both sides rely on").
//
// An edge outlives its ends. Its links, oldest first, are EdgeRun::earlier and then the one that its writer fills now. An earlier one is
//   left      by a writer that died: kept, with that writer's arenas, until its reader has taken and returned all of it;
//   replaced  because its reader died: kept until its writer says that a later one is `adopted`, which then has all that this one held. A reader isn't
//             told of it. It takes nothing out of a link that isn't adopted yet, so that nothing is lost or read twice if that never comes about.
// Left ones come before replaced ones: those belong to the writer of now.
//
//   what happens                                  which links there are then                         what the reader reads
//   the reader dies                               left..., replaced, new                              left..., new
//     again, before `new` is adopted              left..., replaced, replaced, new                    left..., new
//     and its writer is over                      left..., last: nothing is replaced                  left..., last
//   the writer dies                               left..., left (the last adopted), new               it goes on: left..., left, new
//     and stays down                              left..., last (the last adopted), which has ended   it goes on: left..., last
//   the reader, then the writer before `new`      left..., left (what was replaced), new              left..., left: its leases say what the dead
//     is adopted                                                                                      reader held; new
//   the reader, then the writer after that        left..., left (the reader's new one), new           left..., left, new
//   the writer, then the reader; both at once     as above, in the order in which they are started again
//   either of them while it is being set up       as above: it hasn't touched its links, or has and adopted them
//   a reader that is over, or has finished        current, which its end has closed                   nothing
//
// A reader has at most kMaxTold links open at a time, and is told of the next when it is through with one. An end that would add to kMaxEarlier links of
// its own kind isn't started again until the other end has come along: that is told.
#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "runtime/messages.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::size_t kMaxTold = 8;  // well within what a reader can have open (plane's InputLink)
constexpr std::size_t kMaxEarlier = 64;
constexpr std::int64_t kTidyNs = 100'000'000;

}  // namespace

// backlog: what a dead reader may have held.
std::pair<UniqueFd, plane::LinkView> Session::make_link(const EdgeRun& edge, std::uint32_t backlog) {
  const std::string what = "connect " + edge.spec->from.node + " to " + edge.spec->to.node;
  std::pair<UniqueFd, plane::LinkView> made;
  made.first.reset(plane::create_link(edge.spec->queue, edge.spec->when_full, backlog));
  if (!made.first) throw Error::from_errno(what, "shared memory");
  if (plane::LinkView::map(made.first.get(), &made.second) != plane::Status::ok) throw Error::from_errno(what, "map the link");
  return made;
}

void Session::send_output_link(EdgeRun& edge) {
  json message = {{"type", "output_link"}, {"port", edge.output}, {"index", edge.link_index}, {"queue", edge.spec->queue}, {"when_full", name_of(edge.spec->when_full)}};
  if (edge.set_aside != 0) message["set_aside"] = edge.set_aside;
  send(*nodes_[edge.writer], message, {edge.link.get(), nodes_[edge.reader]->doorbell.get()});
}

void Session::send_input_link(EdgeRun& edge, const UniqueFd& link, const std::vector<Arena>& arenas) {
  json message = {{"type", "input_link"}, {"link", edge.link_number}};
  if (edge.set_aside != 0) message["set_aside"] = edge.set_aside;
  send(*nodes_[edge.reader], message, {link.get(), nodes_[edge.writer]->doorbell.get()});
  for (const Arena& arena : arenas) {
    if (!arena.sealed) continue;
    send(*nodes_[edge.reader],
         {{"type", "input_arena"}, {"link", edge.link_number}, {"arena", arena.id}, {"slot_bytes", arena.slot_bytes}, {"slots", arena.slots}},
         {arena.fd.get()});
  }
}

// Of the links that it is to read and hasn't been told of, as many as it may have open.
void Session::tell_reader(EdgeRun& edge) {
  NodeRun& reader = *nodes_[edge.reader];
  if (!reader.configured || !reader.control || reader.finished) return;
  auto open = static_cast<std::size_t>(std::ranges::count_if(edge.earlier, &EarlierLink::told));
  for (EarlierLink& link : edge.earlier) {
    if (link.told || !link.arenas) continue;
    if (open++ >= kMaxTold) return;
    link.told = true;
    send_input_link(edge, link.fd, *link.arenas);
  }
  if (edge.told || open >= kMaxTold) return;
  edge.told = true;
  send_input_link(edge, edge.link, nodes_[edge.writer]->outputs[edge.output].arenas);
}

Session::Arena* Session::find_arena(OutputUse& output, std::uint64_t id) noexcept {
  const auto found = std::ranges::find(output.arenas, id, &Arena::id);
  return found == output.arenas.end() ? nullptr : &*found;
}

void Session::on_grow(NodeRun& node, const json& message) {
  const std::size_t port = message["port"];
  const std::uint64_t slot_bytes = message["slot_bytes"];
  const std::uint64_t slots = message["slots"];
  if (port >= node.outputs.size()) return break_off(node, "broke the control protocol: no port " + std::to_string(port));
  OutputUse& output = node.outputs[port];
  const auto refuse = [&](const std::string& reason) { send(node, {{"type", "arena_refused"}, {"port", port}, {"reason", reason}}); };

  std::uint64_t slots_before = 0, bytes_before = 0, bytes_leaving = 0;
  for (const auto& arena : output.arenas) slots_before += arena.slots;
  for (const auto& use : node.outputs) {
    for (const auto& arena : use.arenas) bytes_before += arena.slot_bytes * arena.slots;
    for (const auto& arena : use.leaving) bytes_leaving += arena.slot_bytes * arena.slots;
  }
  bytes_before += bytes_leaving;
  const std::uint64_t limit_bytes = node.spec != nullptr ? node.spec->limits.arena_bytes : pipeline::Limits{}.arena_bytes;
  if (slot_bytes < plane::kCacheLine || slot_bytes % plane::kCacheLine != 0 || slot_bytes > plane::kMaxFrameBytes || slots == 0 ||
      slots > plane::kMaxSlots - slots_before || output.arenas.size() + output.leaving.size() >= plane::kMaxArenas)
    return refuse("port " + output.port + " of " + node.id + " can't have " + std::to_string(slots) + " more slots of " + format_bytes(slot_bytes));
  if (slot_bytes * slots > limit_bytes || bytes_before > limit_bytes - slot_bytes * slots)
    return refuse("port " + output.port + " of " + node.id + " needs " + format_bytes(slot_bytes * slots) + " more for its frames and has " +
                  format_bytes(bytes_before) + (bytes_leaving == 0 ? "" : " (" + format_bytes(bytes_leaving) + " of it was given back, and a reader still has it)") + " of at most " +
                  format_bytes(limit_bytes) + " (limits: {arena: ...})");
  Arena arena;
  do arena.id = output.next_arena++;
  while (find_arena(output, arena.id) != nullptr || std::ranges::find(output.leaving, arena.id, &Arena::id) != output.leaving.end());
  arena.slot_bytes = slot_bytes;
  arena.slots = static_cast<std::uint32_t>(slots);
  arena.fd.reset(plane::create_arena(slot_bytes, arena.slots));
  if (!arena.fd) return refuse("the machine has no " + format_bytes(slot_bytes * slots) + " of shared memory left for port " + output.port + " of " + node.id);
  send(node, {{"type", "arena"}, {"port", port}, {"arena", arena.id}, {"slot_bytes", slot_bytes}, {"slots", slots}}, {arena.fd.get()});
  output.arenas.push_back(std::move(arena));
}

void Session::on_mapped(NodeRun& node, const json& message) {
  const std::size_t port = message["port"];
  Arena* const found = port < node.outputs.size() ? find_arena(node.outputs[port], message["arena"]) : nullptr;
  if (found == nullptr || found->sealed) return break_off(node, "broke the control protocol: mapped what it was not given");
  OutputUse& output = node.outputs[port];
  Arena& arena = *found;
  if (plane::seal_arena(arena.fd.get()) != 0) return break_off(node, "its arena could not be sealed");
  arena.sealed = true;
  for (const std::size_t edge : output.edges) {
    NodeRun& reader = *nodes_[edges_[edge]->reader];
    if (reader.configured && reader.control && edges_[edge]->told)
      send(reader, {{"type", "input_arena"}, {"link", edges_[edge]->link_number}, {"arena", arena.id}, {"slot_bytes", arena.slot_bytes}, {"slots", arena.slots}},
           {arena.fd.get()});
  }
  for (const auto& tap : taps_)
    if (tap->writer == node.index && tap->output == port) send_tap_arena(*tap, arena);
  send(node, {{"type", "arena_ready"}, {"port", port}, {"arena", arena.id}});
}

// Whether it was its to give, its readers judge: one that still has a frame of it closes its link. It counts until the kernel says that nobody has it.
void Session::on_give_back(NodeRun& node, const json& message) {
  const std::size_t port = message["port"];
  const std::uint64_t id = message["arena"];
  Arena* const arena = port < node.outputs.size() ? find_arena(node.outputs[port], id) : nullptr;
  if (arena == nullptr || !arena->sealed) return break_off(node, "broke the control protocol: gave back what it does not have");
  OutputUse& output = node.outputs[port];
  for (const std::size_t edge : output.edges) {
    NodeRun& reader = *nodes_[edges_[edge]->reader];
    if (reader.configured && reader.control && edges_[edge]->told) send(reader, {{"type", "drop_arena"}, {"link", edges_[edge]->link_number}, {"arena", id}});
  }
  for (const auto& tap : taps_)
    if (tap->writer == node.index && tap->output == port) tap->client->send({{"type", "drop_arena"}, {"link", 0}, {"arena", id}});
  memory_.add(arena->fd.get(), [this, &node, port, id, attempt = node.attempt] {
    if (node.attempt != attempt) return;
    std::erase_if(node.outputs[port].leaving, [id](const Arena& other) { return other.id == id; });
    send(node, {{"type", "arena_gone"}, {"port", port}, {"arena", id}});
  });
  arena->fd.reset();
  output.leaving.push_back(std::move(*arena));
  output.arenas.erase(output.arenas.begin() + (arena - output.arenas.data()));
}

void Session::drop(EdgeRun& edge, std::size_t earlier) {
  keep_counts(edge, edge.earlier[earlier].view);
  edge.earlier.erase(edge.earlier.begin() + static_cast<std::ptrdiff_t>(earlier));
}

// The writer is dead. Of its links only the last adopted one counts, or the first, where it came to adopt none: the later ones never carried a frame, and
// what the ones before it held stands in it.
void Session::find_last_adopted(EdgeRun& edge) {
  const auto is_replaced = [&] { return !edge.earlier.empty() && !edge.earlier.back().arenas; };
  while (!edge.view.adopted() && is_replaced()) {
    keep_counts(edge, edge.view);
    EarlierLink& before = edge.earlier.back();
    edge.link = std::move(before.fd);
    edge.view = std::move(before.view);
    edge.told = false;
    edge.earlier.pop_back();
  }
  while (is_replaced()) drop(edge, edge.earlier.size() - 1);
}

// Lets go of earlier links that nobody needs any more.
void Session::tidy(EdgeRun& edge) {
  bool adopted = edge.view.adopted();  // by the writer of now: a later one than the one that is looked at
  for (std::size_t i = edge.earlier.size(); i-- > 0;) {
    const EarlierLink& link = edge.earlier[i];
    const bool left = link.arenas != nullptr;
    const bool adopted_too = link.view.adopted();
    const bool over = left ? !adopted_too || (link.view.unread() == 0 && link.view.leased() == 0) : adopted;
    if (over) drop(edge, i);
    adopted = adopted || adopted_too;
  }
}

// While some edge has earlier links, whether their ends have come along. An edge without has no cost.
void Session::tidy_later() {
  if (tidy_timer_ || std::ranges::all_of(edges_, [](const auto& edge) { return edge->earlier.empty(); })) return;
  tidy_timer_ = loop_.after(kTidyNs, [this] {
    tidy_timer_.reset();
    for (auto& edge : edges_) {
      if (edge->earlier.empty()) continue;
      tidy(*edge);
      tell_reader(*edge);
    }
    tidy_later();
  });
}

// An edge on which the other end must come along before this node is started again; null: none.
const Session::EdgeRun* Session::crowded(const NodeRun& node) const {
  const auto is_crowded = [&](const auto& edge) {
    const bool writes = edge->writer == node.index;
    if (!writes && edge->reader != node.index) return false;
    return std::ranges::count_if(edge->earlier, [&](const EarlierLink& link) { return (link.arenas != nullptr) == writes; }) >= std::ptrdiff_t{kMaxEarlier};
  };
  const auto found = std::ranges::find_if(edges_, is_crowded);
  return found == edges_.end() ? nullptr : found->get();
}

// A node is started again: new links to all its neighbours, except from a writer that is over. Where there is no memory for them, nothing has happened.
void Session::replace_links(NodeRun& node) {
  const auto over = [](const NodeRun& other) { return other.state == State::ended || other.state == State::failed; };
  struct Replaced {
    EdgeRun& edge;
    std::pair<UniqueFd, plane::LinkView> by;
  };
  std::vector<Replaced> all;
  end_taps_of(node);
  for (auto& edge : edges_) {
    const bool writes = edge->writer == node.index, reads = edge->reader == node.index;
    if (!writes && (!reads || over(*nodes_[edge->writer]))) continue;
    std::uint32_t backlog = 0;  // at most all that a living writer has
    if (!writes)
      for (const Arena& arena : nodes_[edge->writer]->outputs[edge->output].arenas) backlog += arena.slots;
    all.push_back({*edge, make_link(*edge, backlog)});
  }

  for (const std::size_t number : node.links) {
    EdgeRun& edge = *edges_[number];
    const bool read_on = over(*nodes_[edge.writer]);
    std::uint64_t held = edge.told && read_on ? edge.view.leased() : 0;  // given again by nobody who could count it
    for (EarlierLink& link : edge.earlier) held += std::exchange(link.told, false) ? link.view.leased() : 0;
    edge.told = false;
    edge.before["given_again"] = edge.before.value("given_again", std::uint64_t{0}) + held;
  }
  std::vector<std::shared_ptr<const std::vector<Arena>>> arenas;
  for (auto& output : node.outputs) {
    arenas.push_back(std::make_shared<const std::vector<Arena>>(std::exchange(output.arenas, {})));
    output.leaving.clear();
    output.next_arena = 0;
  }
  for (auto& [edge, by] : all) {
    const bool writes = edge.writer == node.index;
    NodeRun& peer = *nodes_[writes ? edge.reader : edge.writer];
    if (writes) find_last_adopted(edge);
    edge.earlier.push_back({std::exchange(edge.link, std::move(by.first)), std::exchange(edge.view, std::move(by.second)), writes ? arenas[edge.output] : nullptr,
                            std::exchange(edge.told, false)});
    if (writes && (over(peer) || peer.finished)) {
      edge.view.end_for_reader(plane::LinkState::ended);
      while (!edge.earlier.empty()) drop(edge, 0);
    }
    tidy(edge);
    if (&peer == &node) continue;  // it gets them when it is configured
    if (writes) tell_reader(edge);
    else if (peer.configured) send_output_link(edge);
  }
  tidy_later();
}

// The end of a link wakes the other end; but a hostile one may have seen to it that it doesn't.
void Session::tell_to_look(NodeRun& node) {
  if (node.configured) send(node, {{"type", "look"}});
}

// A node is over for good.
void Session::close_links(NodeRun& node, bool failed) {
  const auto how = failed ? plane::LinkState::failed : plane::LinkState::ended;
  for (auto& tap : taps_) {
    if (tap->writer != node.index) continue;
    tap->view.end_for_writer(how);
    tap->client->send({{"type", "look"}});
  }
  for (auto& edge : edges_) {
    if (edge->reader == node.index) {
      while (!edge->earlier.empty()) drop(*edge, 0);
      edge->view.end_for_reader(how);
      tell_to_look(*nodes_[edge->writer]);
    }
    if (edge->writer == node.index) {
      find_last_adopted(*edge);
      edge->view.end_for_writer(how);
      tell_reader(*edge);
      tell_to_look(*nodes_[edge->reader]);
    }
  }
}

}  // namespace hawse::runtime
