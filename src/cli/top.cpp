// SPDX-License-Identifier: Apache-2.0
//
// `hawse top`: how the nodes of a running session fare, again and again. Rates and CPU time come from two answers of the session, so the first table takes
// one interval.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/sessions.hpp"
#include "cli/table.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

struct Options : SessionOptions {
  bool once = false, edges = false;
  std::string interval = "1s";
  std::int64_t interval_ns = 0;
};

// One answer of the session, by name.
struct Snapshot {
  json session;
  std::map<std::string, json> nodes, edges;
  std::vector<std::string> node_order, edge_order;
};

std::optional<Snapshot> look(SessionSocket& socket) {
  auto messages = socket.answer({{"type", "status"}});
  if (!messages) return std::nullopt;
  Snapshot snapshot;
  for (auto& message : *messages) {
    const std::string type = message["type"];
    message.erase("type");
    if (type == "session") snapshot.session = std::move(message);
    if (type == "node") {
      snapshot.node_order.push_back(message["node"]);
      snapshot.nodes[snapshot.node_order.back()] = std::move(message);
    }
    if (type == "edge") {
      message["type"] = message["frame_type"];
      message.erase("frame_type");
      snapshot.edge_order.push_back(message["from"].get<std::string>() + " -> " + message["to"].get<std::string>());
      snapshot.edges[snapshot.edge_order.back()] = std::move(message);
    }
  }
  return snapshot;
}

double number(const json& of, const char* key) {
  const auto found = of.find(key);
  return found != of.end() && found->is_number() ? found->get<double>() : 0;
}

// A count's growth a second. A node that was started again has counts that begin anew: then what it has is what grew.
double rate(const json& before, const json& now, const char* key, double seconds) {
  const double grown = number(now, key) - number(before, key);
  return std::max(grown < 0 ? number(now, key) : grown, 0.0) / seconds;
}

// Puts into `now` what only the two together tell, and for each node what its input edges tell.
void compare(const Snapshot& before, Snapshot& now) {
  const double seconds = std::max((number(now.session, "monotonic_ns") - number(before.session, "monotonic_ns")) / 1e9, 1e-6);
  const json nothing = json::object();
  const auto earlier = [&](const auto& of, const std::string& name) -> const json& {
    const auto found = of.find(name);
    return found == of.end() ? nothing : found->second;
  };
  for (auto& [name, edge] : now.edges) {
    edge["frames_per_s"] = rate(earlier(before.edges, name), edge, "frames", seconds);
    edge["bytes_per_s"] = rate(earlier(before.edges, name), edge, "bytes", seconds);
  }
  for (auto& [name, node] : now.nodes) {
    const json& was = earlier(before.nodes, name);
    node["in_per_s"] = rate(was, node, "frames_in", seconds);
    node["out_per_s"] = rate(was, node, "frames_out", seconds);
    node["cpu_percent"] = node.contains("cpu_s") && was.contains("cpu_s") ? json(100 * rate(was, node, "cpu_s", seconds)) : json();
    std::uint64_t queued = 0, dropped = 0;
    json slowest;
    for (const auto& [edge_name, edge] : now.edges) {
      if (edge["from"].get<std::string>().starts_with(name + ".")) dropped += edge["dropped"].get<std::uint64_t>();
      if (!edge["to"].get<std::string>().starts_with(name + ".")) continue;
      queued += edge["waiting"].get<std::uint64_t>();
      const json& latency = edge["latency_ns"];
      if (latency.is_object() && (slowest.is_null() || latency["p99"] > slowest["p99"])) slowest = latency;
    }
    node["queued"] = queued;
    node["dropped"] = dropped;
    node["latency_ns"] = slowest;
  }
}

std::string per_second(const json& value) {
  const double rate = value.get<double>();
  return rate >= 100'000 ? fmt::format("{:.0f}k", rate / 1000) : fmt::format("{:.{}f}", rate, rate < 100 && rate > 0 ? 1 : 0);
}
std::string quantile(const json& of, const char* which) { return of.is_object() ? format_duration_ns(of[which].get<std::int64_t>()) : "-"; }
std::string count(const json& of, const char* key) { return fmt::format("{:.0f}", number(of, key)); }

std::string cpu(const json& node) {
  if (!node["cpu_percent"].is_number()) return "-";
  std::string text = fmt::format("{:.1f}", node["cpu_percent"].get<double>());
  if (node.contains("cpu_limit")) text += fmt::format(" of {:.0f}", 100 * node["cpu_limit"].get<double>());
  return text;
}

std::string memory(const json& node) {
  if (!node.contains("memory_bytes")) return "-";
  std::string text = format_bytes(node["memory_bytes"]);
  if (node.contains("memory_limit_bytes")) text += " of " + format_bytes(node["memory_limit_bytes"]);
  return text;
}

std::string state(const json& node) {
  const std::string text = node["state"];
  return node.contains("busy_ns") ? text + ", busy " + duration_in_words(node["busy_ns"].get<std::int64_t>()) : text;
}

std::string table(const Snapshot& now, bool edges) {
  const json& session = now.session;
  std::string out = fmt::format("{} ({})  {}  {} of {} nodes run  up {}\n\n", session["id"].get<std::string>(), strip_control(session["pipeline"].get<std::string>()),
                                session["state"].get<std::string>(), session["running"].get<int>(), session["nodes"].get<int>(),
                                duration_in_words(session["uptime_ns"].get<std::int64_t>()));
  std::vector<std::vector<std::string>> rows = {
      {"node", "state", "where", "in/s", "out/s", "queued", "edge p50", "p99", "frame p50", "p99", "cpu %", "memory", "drops", "restarts", "lines left out"}};
  for (const auto& name : now.node_order) {
    const json& node = now.nodes.at(name);
    rows.push_back({name, state(node), node["where"], per_second(node["in_per_s"]), per_second(node["out_per_s"]), count(node, "queued"),
                    quantile(node["latency_ns"], "p50"), quantile(node["latency_ns"], "p99"), quantile(node["processing_ns"], "p50"),
                    quantile(node["processing_ns"], "p99"), cpu(node), memory(node), count(node, "dropped"), count(node, "restarts"), count(node, "lines_left_out")});
  }
  out += align(rows, {false, false, false, true, true, true, true, true, true, true, true, true, true, true, true});
  if (!edges) return out;
  rows = {{"edge", "type", "frames/s", "bytes/s", "queued", "of", "when full", "drops", "copies", "p50", "p99"}};
  for (const auto& name : now.edge_order) {
    const json& edge = now.edges.at(name);
    rows.push_back({name, edge["type"], per_second(edge["frames_per_s"]), format_bytes(static_cast<std::uint64_t>(edge["bytes_per_s"].get<double>())),
                    count(edge, "waiting"), count(edge, "queue"), edge["when_full"], count(edge, "dropped"), count(edge, "copies"),
                    quantile(edge["latency_ns"], "p50"), quantile(edge["latency_ns"], "p99")});
  }
  return out + "\n" + align(rows, {false, false, true, true, true, true, false, true, true, true, true});
}

json to_json(Snapshot& now) {
  json out = std::move(now.session);
  json nodes = json::array(), edges = json::array();
  for (const auto& name : now.node_order) nodes.push_back(std::move(now.nodes.at(name)));
  for (const auto& name : now.edge_order) edges.push_back(std::move(now.edges.at(name)));
  out["node_list"] = std::move(nodes);
  out["edge_list"] = std::move(edges);
  return out;
}

// On a terminal one table takes the place of the last; what doesn't fit is cut, so that nothing scrolls.
std::string screen(const std::string& text) {
  winsize size{};
  if (::ioctl(1, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return text;
  std::string out = "\033[H";
  std::size_t at = 0;
  for (unsigned line = 1; at < text.size() && line < size.ws_row; ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += text.substr(at, std::min<std::size_t>(end - at, size.ws_col)) + "\033[K\n";
    at = end + 1;
  }
  return out + "\033[J";
}

void top(const Options& options) {
  auto socket = SessionSocket::find(options.session);
  const bool terminal = !options.json && ::isatty(1) == 1;
  const bool once = options.once || (!terminal && !options.json);
  if (terminal && !once) fmt::print("\033[H\033[J");
  std::optional<Snapshot> before = look(socket), now;
  while (before) {
    ::usleep(static_cast<useconds_t>(options.interval_ns / 1000));
    now = look(socket);
    if (!now) break;
    Snapshot shown = *now;
    compare(*before, shown);
    if (options.json) fmt::print("{}\n", to_line(to_json(shown)));
    else fmt::print("{}", once ? table(shown, options.edges) : screen(table(shown, options.edges)));
    std::fflush(stdout);
    if (once) return;
    before = std::move(now);
  }
  if (once) throw Error(ErrorCode::system, "look at " + socket.name(), "it has just ended");
  if (!options.json) fmt::print("{} has ended\n", socket.name());
}

}  // namespace

void add_top(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("top", "Watch the nodes of a running session: rates, queues, latency, CPU, memory");
  command->footer("Examples:\n  hawse top\n  hawse top 3f2a --once --edges\n  hawse top --json --interval 5s\nOnce, too, where its output is no terminal, unless --json asks for a line an interval. "
                  "Latencies are of the whole run; a node's edge is that of its inputs with the largest p99.");
  auto options = std::make_shared<Options>();
  options->add_to(*command);
  command->add_flag("--once", options->once, "One table, and end");
  command->add_flag("--edges", options->edges, "A table of the edges, too");
  command->add_option("--interval", options->interval, "Time between two looks")->type_name("DURATION")->capture_default_str();
  command->callback([options] {
    const auto interval_ns = parse_duration_ns(options->interval);
    if (!interval_ns || *interval_ns < 10'000'000 || *interval_ns > 3'600'000'000'000)
      throw Error(ErrorCode::usage, "--interval", "'" + strip_control(options->interval) + "' is none", "write 10ms to 1h");
    options->interval_ns = *interval_ns;
    top(*options);
  });
}

}  // namespace hawse::cli
