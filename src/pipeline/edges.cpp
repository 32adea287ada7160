// SPDX-License-Identifier: Apache-2.0
//
// Written edges into edges: nodes and ports looked up, ports that were left out chosen, types, duplicates and cycles checked, and at the
// end what should be connected and isn't.
#include "pipeline/edges.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "pipeline/wiring.hpp"

namespace hawse::pipeline {
namespace {

bool fits(const PortType& a, const PortType& b) {
  if (a.types.empty() || b.types.empty()) return true;
  return std::any_of(a.types.begin(), a.types.end(),
                     [&](plane::FrameType type) { return std::find(b.types.begin(), b.types.end(), type) != b.types.end(); });
}

plane::FrameType single(const PortType& a, const PortType& b) {
  std::vector<plane::FrameType> both;
  for (const plane::FrameType type : a.types.empty() ? b.types : a.types)
    if (a.types.empty() || b.types.empty() || std::find(b.types.begin(), b.types.end(), type) != b.types.end()) both.push_back(type);
  return both.size() == 1 ? both.front() : plane::FrameType::none;
}

std::vector<std::string> names_of(const std::vector<Port>& ports) {
  std::vector<std::string> names;
  for (const Port& port : ports) names.push_back(port.name);
  return names;
}

const Port* find_port(const std::vector<Port>& ports, const std::string& name) {
  for (const Port& port : ports)
    if (port.name == name) return &port;
  return nullptr;
}

std::string written(const WrittenEnd& end) { return end.port.empty() ? end.node : end.node + "." + end.port; }

enum class Side { from, to };

// One side of one edge: the ports that may be meant there. One: it is settled.
struct Choice {
  std::vector<Port> ports;
  bool settled() const { return ports.size() == 1; }
};

class Connector {
 public:
  Connector(Pipeline* pipeline, Context& context) : pipeline_(*pipeline), context_(context) {
    for (std::size_t i = 0; i < pipeline_.nodes.size(); ++i) index_.emplace(pipeline_.nodes[i].id, i);
    next_.resize(pipeline_.nodes.size());
  }

  void connect_all(const std::vector<WrittenEdge>& edges) {
    std::vector<std::pair<std::optional<Choice>, std::optional<Choice>>> choices;
    for (const WrittenEdge& edge : edges) {
      choices.emplace_back(ports_of(edge.from, Side::from), ports_of(edge.to, Side::to));
      auto& [from, to] = choices.back();
      if (from && from->settled()) use(edge.from.node, from->ports[0].name, Side::from);
      if (to && to->settled()) use(edge.to.node, to->ports[0].name, Side::to);
    }
    for (std::size_t i = 0; i < edges.size(); ++i) {
      auto& [from, to] = choices[i];
      if (!from || !to || !connect(edges[i], *from, *to)) {
        excused_.insert(edges[i].from.node);
        excused_.insert(edges[i].to.node);
      }
    }
  }

  void check_unconnected() {
    for (const Node& node : pipeline_.nodes) {
      if (excused_.contains(node.id)) continue;
      const Signature& signature = node.signature;
      const bool has_ports = !signature.inputs.empty() || !signature.outputs.empty();
      if (has_ports && !connected_.contains(node.id)) {
        context_.findings.add(node.at, "node '" + node.id + "' isn't connected to anything", "add an edge from or to it, or remove the node");
        continue;
      }
      for (const Port& input : signature.inputs)
        if (!input.optional && !used_.contains({node.id, input.name, Side::to}))
          context_.findings.add(node.at, "input '" + input.name + "' of node '" + node.id + "' isn't connected",
                                "add an edge to " + node.id + "." + input.name);
    }
  }

  void check_matches() {
    for (const Node& node : pipeline_.nodes) {
      if (!node.match) continue;
      std::set<std::string> ports;
      for (const Edge& edge : pipeline_.edges)
        if (edge.to.node == node.id) ports.insert(edge.to.port);
      if (node.signature.matched == false) {
        context_.findings.add(node.match_at, "node '" + node.id + "' takes one frame at a time: its inputs can't be matched", how_to_take_matched(node));
      } else if (ports.size() < 2) {
        context_.findings.add(node.match_at, "node '" + node.id + "' has " + (ports.empty() ? "no input" : "one input, '" + *ports.begin() + "'") + ": there is nothing to match it with",
                              "connect another input, or remove 'match'");
      }
    }
  }

  // Sources in the background, and what has no other inputs than such; edges from them into nodes that have others, too.
  void mark_background() {
    for (Node& node : pipeline_.nodes) node.background = node.signature.background;
    const auto in_background = [&](const Edge& edge) { return edge.from.node != kApplication && pipeline_.nodes[index_.at(edge.from.node)].background; };
    for (bool changed = true; std::exchange(changed, false);)
      for (Node& node : pipeline_.nodes) {
        bool any = false, all = true;
        for (const Edge& edge : pipeline_.edges) {
          if (edge.to.node != node.id || edge.feedback) continue;
          any = true;
          all = all && in_background(edge);
        }
        if (any && all && !node.background) node.background = changed = true;
      }
    for (Edge& edge : pipeline_.edges)
      edge.background = in_background(edge) && (edge.to.node == kApplication || !pipeline_.nodes[index_.at(edge.to.node)].background);
  }

 private:
  static std::string how_to_take_matched(const Node& node) {
    switch (node.kind) {
      case NodeKind::stock: return "stock nodes do; remove 'match'";
      case NodeKind::python: return "give its process() a parameter for each input: def process(self, audio: hawse.Audio, video: hawse.Video)";
      case NodeKind::program: break;
    }
    return "give it a process_matched(), and its signature \"matched\": true";
  }

  using PortKey = std::tuple<std::string, std::string, Side>;

  void use(const std::string& node, const std::string& port, Side side) {
    used_.insert({node, port, side});
    connected_.insert(node);
  }

  // The ports that this end may mean; nullopt after a finding.
  std::optional<Choice> ports_of(const WrittenEnd& end, Side side) {
    if (end.application) return Choice{{Port{end.port, {}, true}}};
    if (end.node == kApplication) {
      context_.findings.add(end.at, "'application' can't stand in an edge", "declare its streams under inputs: and outputs:");
      return std::nullopt;
    }
    const auto found = index_.find(end.node);
    if (found == index_.end()) {
      std::vector<std::string> ids;
      for (const Node& node : pipeline_.nodes) ids.push_back(node.id);
      context_.findings.add(end.at, "there is no node '" + shortened(end.node) + "'", did_you_mean_or_list(end.node, ids, "nodes"));
      return std::nullopt;
    }
    const Signature& signature = pipeline_.nodes[found->second].signature;
    const bool from = side == Side::from;
    const std::vector<Port>& ports = from ? signature.outputs : signature.inputs;
    const bool open = from ? signature.any_outputs : signature.any_inputs;
    if (!end.port.empty() && !(end.middle && belongs_to_other_side(end, side, signature))) return named_port(end, side, ports, open);
    if (!ports.empty()) return Choice{ports};
    if (open) return Choice{{Port{from ? "out" : "in", {}, true}}};
    context_.findings.add(end.at, "node '" + end.node + "' has no " + (from ? "outputs" : "inputs"),
                          from ? "it can only stand at the end of an edge" : "it can only stand at the start of an edge");
    return std::nullopt;
  }

  static bool belongs_to_other_side(const WrittenEnd& end, Side side, const Signature& signature) {
    const bool in_inputs = find_port(signature.inputs, end.port) != nullptr, in_outputs = find_port(signature.outputs, end.port) != nullptr;
    if (side == Side::from) return !in_outputs && (in_inputs || signature.any_inputs);
    return !in_inputs && (in_outputs || (!signature.any_inputs && signature.any_outputs));
  }

  std::optional<Choice> named_port(const WrittenEnd& end, Side side, const std::vector<Port>& ports, bool open) {
    if (const Port* port = find_port(ports, end.port)) return Choice{{*port}};
    if (open) return Choice{{Port{end.port, {}, true}}};
    const char* what = side == Side::from ? "output" : "input";
    context_.findings.add(end.at, "node '" + end.node + "' has no " + what + " '" + shortened(end.port) + "'",
                          did_you_mean_or_list(end.port, names_of(ports), std::string(what) + "s"));
    return std::nullopt;
  }

  // Of several ports the one that fits the other end; of several that fit, the one that nothing uses yet.
  const Port* choose(const WrittenEnd& end, Side side, const Choice& choice, const Choice& other, const WrittenEdge& edge) {
    if (choice.settled()) return &choice.ports[0];
    std::vector<const Port*> fitting, unused;
    for (const Port& port : choice.ports) {
      if (std::none_of(other.ports.begin(), other.ports.end(), [&](const Port& o) { return fits(port.type, o.type); })) continue;
      fitting.push_back(&port);
      if (!used_.contains({end.node, port.name, side})) unused.push_back(&port);
    }
    if (fitting.size() == 1) return fitting[0];
    if (unused.size() == 1) return unused[0];
    const std::string what = side == Side::from ? "outputs" : "inputs";
    if (fitting.empty()) {
      context_.findings.add(edge.at,
                            "no " + what.substr(0, what.size() - 1) + " of node '" + end.node + "' fits the other end of " + written(edge.from) +
                                " -> " + written(edge.to),
                            what + ": " + typed(choice.ports));
    } else {
      context_.findings.add(end.at, "node '" + end.node + "' has several " + what + " that fit",
                            "name one: " + end.node + "." + join(names_of(choice.ports), ", " + end.node + "."));
    }
    return nullptr;
  }

  static std::string typed(const std::vector<Port>& ports) {
    std::vector<std::string> words;
    for (const Port& port : ports) words.push_back(port.name + " (" + to_string(port.type) + ")");
    return join(words);
  }

  bool connect(const WrittenEdge& edge, const Choice& from_choice, const Choice& to_choice) {
    const Port* from = choose(edge.from, Side::from, from_choice, to_choice, edge);
    const Port* to = from == nullptr ? nullptr : choose(edge.to, Side::to, to_choice, Choice{{*from}}, edge);
    if (to == nullptr) return false;
    const End source{edge.from.node, from->name}, target{edge.to.node, to->name};
    use(source.node, source.port, Side::from);
    use(target.node, target.port, Side::to);
    const std::string text = source.node + "." + source.port + " -> " + target.node + "." + target.port;
    if (!fits(from->type, to->type)) {
      context_.findings.add(edge.at, text + ": gives " + to_string(from->type) + ", takes " + to_string(to->type),
                            "put a node between that converts, or connect other ports");
      return true;
    }
    if (!seen_.insert(text).second) {
      context_.findings.add(edge.at, "the edge " + text + " stands here a second time", "remove one of them");
      return true;
    }
    pipeline_.edges.push_back({source, target, single(from->type, to->type), edge.queue, edge.when_full, edge.feedback, false, edge.at});
    if (!edge.feedback && source.node != kApplication && target.node != kApplication)
      check_cycle(edge, index_.at(source.node), index_.at(target.node));
    return true;
  }

  // Edges come one by one; one that closes a cycle isn't followed from then on, so every cycle is reported once, at the edge that closes it.
  void check_cycle(const WrittenEdge& edge, std::size_t from, std::size_t to) {
    const std::vector<std::size_t> path = path_between(to, from);
    if (path.empty()) {
      next_[from].push_back(to);
      return;
    }
    std::string text = pipeline_.nodes[from].id;
    for (const std::size_t node : path) text += " -> " + pipeline_.nodes[node].id;
    context_.findings.add(
        edge.at, "the edges form a cycle: " + text,
        "if that is meant, write the edge that leads back as {from: " + written(edge.from) + ", to: " + written(edge.to) + ", feedback: true}");
  }

  std::vector<std::size_t> path_between(std::size_t start, std::size_t goal) const {
    std::unordered_map<std::size_t, std::size_t> before = {{start, start}};
    std::vector<std::size_t> queue = {start};
    for (std::size_t at = 0; at < queue.size() && !before.contains(goal); ++at)
      for (const std::size_t next : next_[queue[at]])
        if (before.emplace(next, queue[at]).second) queue.push_back(next);
    if (!before.contains(goal)) return {};
    std::vector<std::size_t> path = {goal};
    while (path.back() != start) path.push_back(before.at(path.back()));
    std::reverse(path.begin(), path.end());
    return path;
  }

  Pipeline& pipeline_;
  Context& context_;
  std::map<std::string, std::size_t> index_;
  std::vector<std::vector<std::size_t>> next_;  // by node: where its edges lead
  std::set<PortKey> used_;
  std::set<std::string> connected_, excused_, seen_;
};

}  // namespace

void read_edges(const Fields& top, Pipeline* pipeline, Context& context) {
  pipeline->inputs = application_ports(top, "inputs");
  pipeline->outputs = application_ports(top, "outputs");
  Connector connector(pipeline, context);
  const std::size_t before = context.findings.size();
  const std::vector<WrittenEdge> edges = read_wiring(top, context.findings);
  const bool all_read = context.findings.size() == before;
  connector.connect_all(edges);
  if (all_read) {  // what an edge that can't be read would connect isn't known
    connector.check_unconnected();
    connector.check_matches();
  }
  connector.mark_background();
}

}  // namespace hawse::pipeline
