// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/report.hpp"

#include <fmt/format.h>

#include <sstream>

#include "base/text.hpp"

namespace hawse::bench::advise {
namespace {

using nlohmann::json;

constexpr std::size_t kColumns = 110;

std::string shown_time(double ns) { return ns > 0 ? format_duration_ns(static_cast<std::int64_t>(ns)) : "-"; }
std::string bytes(std::uint64_t value) { return value != 0 ? format_bytes(value) : "-"; }

// "78 / 263 ms": as a process / in a container.
template <class Show>
std::string pair(const NodeComparison& node, Show show) {
  if (!node.process.ran() && !node.container.ran()) return "-";
  return (node.process.ran() ? show(node.process) : "-") + " / " + (node.container.ran() ? show(node.container) : "-");
}

std::string limits_of(const NodeComparison& node) {
  std::string text;
  if (node.facts.memory_limit_bytes) text = format_bytes(*node.facts.memory_limit_bytes) + " (set)";
  else if (node.advice.memory_limit_bytes) text = format_bytes(*node.advice.memory_limit_bytes);
  if (node.facts.cpus_limit) text += fmt::format("{}{} cpus (set)", text.empty() ? "" : ", ", *node.facts.cpus_limit);
  else if (node.advice.cpus_limit) text += fmt::format("{}{} cpus", text.empty() ? "" : ", ", *node.advice.cpus_limit);
  return text.empty() ? "-" : text;
}

// Words broken at blanks; the first line begins with `first`, the others with as many blanks.
std::string wrapped(const std::string& text, const std::string& first) {
  std::string out, line = first;
  bool empty = true;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!empty && line.size() + 1 + word.size() > kColumns) {
      out += line + "\n";
      line = std::string(first.size(), ' ');
      empty = true;
    }
    line += (empty ? "" : " ") + word;
    empty = false;
  }
  return out + line + "\n";
}

json figures(const NodeFigures& f) {
  if (!f.ran()) return f.why_not.empty() ? json() : json{{"why_not", f.why_not}};
  const auto seen = [](double value) { return value > 0 ? json(value) : json(); };
  return {{"runs", f.runs}, {"seconds", f.seconds}, {"start_ms", f.start_ms}, {"frames", f.frames}, {"starts", f.starts},
          {"processing_ns", {{"p50", seen(f.work_p50_ns)}, {"p99", seen(f.work_p99_ns)}, {"spread", f.spread}}},
          {"latency_ns", {{"p50", seen(f.wait_p50_ns)}, {"p99", seen(f.wait_p99_ns)}}},
          {"memory_peak_bytes", f.memory_peak_bytes != 0 ? json(f.memory_peak_bytes) : json()},
          {"cpus", seen(f.cpus)}, {"cpus_peak", seen(f.cpus_peak)}, {"life_s", seen(f.life_s)}, {"environment", f.environment}, {"failure", f.failure}};
}

template <class T>
json maybe(const std::optional<T>& value) { return value ? json(*value) : json(); }

std::string manifest_lines(const Comparison& comparison) {
  const auto changes = changes_of(comparison);
  std::string text;
  for (const auto& change : changes) {
    text += fmt::format("  {}:\n", change.node);
    if (change.executor) text += fmt::format("    executor: {}\n", to_string(*change.executor));
    if (change.memory_bytes) text += fmt::format("    limits: {{memory: {}}}\n", size_in_manifest(*change.memory_bytes));
  }
  return text.empty() ? "Nothing is to be changed in the manifest.\n" : "For the manifest, under nodes: (--write puts it there)\n" + text;
}

std::string conflicts_in_words(const Comparison& comparison) {
  std::string text;
  for (const auto& conflict : comparison.conflicts) {
    std::string line = conflict.what + ":";
    for (const auto& [node, value] : conflict.values) line += fmt::format("{} {} ({})", line.ends_with(':') ? "" : ",", value, node);
    if (!conflict.one_for_all.empty()) line += "; uv: " + conflict.one_for_all;
    text += wrapped(line, "  ");
  }
  return text.empty() ? "" : "Between the environments of its nodes\n" + text + "\n";
}

std::string kept_away(const Comparison& comparison) {
  std::string text;
  for (const auto& one : comparison.redirected)
    text += wrapped(fmt::format("{} wrote to a temporary file instead of {} ({})", one.node, one.from, one.name), "  ");
  for (const auto& one : comparison.changed) text += wrapped("changed while this measured, by its node or by somebody else: " + one, "  ");
  return text.empty() ? "" : "Your files\n" + text + "\n";
}

}  // namespace

std::vector<NodeChange> changes_of(const Comparison& comparison) {
  std::vector<NodeChange> changes;
  for (const auto& node : comparison.nodes) {
    if (!node.advice.decided || !node.advice.firm) continue;
    NodeChange change{.node = node.facts.id, .executor = {}, .memory_bytes = {}};
    if (node.advice.executor != node.facts.now) change.executor = node.advice.executor;
    if (node.advice.executor == ExecutorKind::container) change.memory_bytes = node.advice.memory_limit_bytes;
    if (change.executor || change.memory_bytes) changes.push_back(change);
  }
  return changes;
}

json to_json(const Comparison& comparison) {
  json nodes = json::array(), conflicts = json::array(), redirected = json::array(), manifest = json::array();
  for (const auto& [facts, process, container, advice] : comparison.nodes)
    nodes.push_back({{"node", facts.id}, {"reference", facts.reference}, {"now", to_string(facts.now)}, {"advice", to_string(advice.executor)},
                     {"decided", advice.decided}, {"firm", advice.firm}, {"rule", advice.rule}, {"overruled", advice.overruled}, {"reasons", advice.reasons},
                     {"limits", {{"memory_bytes", maybe(advice.memory_limit_bytes)}, {"cpus", maybe(advice.cpus_limit)}}},
                     {"live", facts.live}, {"audio", facts.audio}, {"only_container", facts.only_container},
                     {"process", figures(process)}, {"container", figures(container)}});
  for (const auto& conflict : comparison.conflicts) conflicts.push_back({{"what", conflict.what}, {"values", conflict.values}, {"one_for_all", conflict.one_for_all}});
  for (const auto& one : comparison.redirected) redirected.push_back({{"node", one.node}, {"name", one.name}, {"from", one.from}});
  for (const auto& change : changes_of(comparison))
    manifest.push_back({{"node", change.node}, {"executor", change.executor ? json(to_string(*change.executor)) : json()},
                        {"memory", change.memory_bytes ? json(size_in_manifest(*change.memory_bytes)) : json()}});
  return {{"pipeline", comparison.pipeline}, {"file", comparison.file}, {"seconds_a_run", comparison.seconds}, {"nodes", nodes}, {"conflicts", conflicts},
          {"redirected", redirected}, {"changed", comparison.changed}, {"no_engine", comparison.no_engine}, {"manifest", manifest}};
}

std::vector<std::vector<std::string>> table_of(const Comparison& comparison) {
  std::vector<std::vector<std::string>> rows = {{"node", "now", "advice", "start, ms", "a frame, p50", "edge latency, p50", "memory peak", "cores", "limits"}};
  for (const auto& node : comparison.nodes) {
    rows.push_back({node.facts.id, to_string(node.facts.now), node.advice.decided ? to_string(node.advice.executor) : "?",
                    pair(node, [](const NodeFigures& f) { return fmt::format("{:.0f}", f.start_ms); }),
                    pair(node, [](const NodeFigures& f) { return shown_time(f.work_p50_ns); }), pair(node, [](const NodeFigures& f) { return shown_time(f.wait_p50_ns); }),
                    pair(node, [](const NodeFigures& f) { return bytes(f.memory_peak_bytes); }),
                    pair(node, [](const NodeFigures& f) { return f.cpus > 0 ? fmt::format("{:.1f}", f.cpus) : "-"; }), limits_of(node)});
  }
  return rows;
}

std::string reasons_of(const Comparison& comparison) {
  std::string text;
  for (const auto& node : comparison.nodes) {
    text += fmt::format("{}: {}\n", node.facts.id, node.advice.decided ? to_string(node.advice.executor) : "no advice");
    for (const auto& reason : node.advice.reasons) text += wrapped(reason, "  - ");
    if (!node.advice.firm && node.advice.decided) text += wrapped("--write leaves it: it rests on what this machine lacks", "  - ");
  }
  return text + "\n" + conflicts_in_words(comparison) + kept_away(comparison) + manifest_lines(comparison);
}

}  // namespace hawse::bench::advise
