// SPDX-License-Identifier: Apache-2.0
#include "cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

std::string count(const json& value) { return value.is_number() ? fmt::format("{}", value.get<std::uint64_t>()) : "-"; }
std::string bytes(const json& value) { return value.is_number() ? format_bytes(value.get<std::uint64_t>()) : "-"; }
std::string time_of(const json& quantiles, const char* which) {
  return quantiles.is_object() ? format_duration_ns(quantiles[which].get<std::int64_t>()) : "-";
}

std::string memory(const json& node) {
  if (!node["memory_peak_bytes"].is_number()) return "-";
  std::string text = bytes(node["memory_peak_bytes"]);
  if (node.contains("memory_limit_bytes")) text += " of " + bytes(node["memory_limit_bytes"]);
  return text;
}

// What holds its limits, and what of them it met and lived on with.
std::string limits(const json& node) {
  std::string text = node.value("limits_by", "");
  if (node.contains("held_back_s")) text += ", CPU held back " + format_duration_ns(static_cast<std::int64_t>(node["held_back_s"].get<double>() * 1e9));
  if (node.contains("pids_refused")) text += ", " + count(node["pids_refused"]) + " processes refused";
  return text;
}

// What most runs have none of has a column where a run has some.
void add_column_if_any(std::vector<std::vector<std::string>>& rows, const json& values, const char* name) {
  if (std::ranges::none_of(values, [&](const json& value) { return value.value(name, std::uint64_t{0}) != 0; })) return;
  rows[0].emplace_back(name);
  for (std::size_t i = 0; i < values.size(); ++i) rows[i + 1].push_back(count(values[i].value(name, std::uint64_t{0})));
}

}  // namespace

std::string align(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i != 0) line += "  ";
      line += right[i] ? fmt::format("{:>{}}", row[i], widths[i]) : fmt::format("{:<{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string summary_table(const json& summary) {
  std::vector<std::vector<std::string>> nodes = {{"node", "where", "runs", "in", "out", "p50 a frame", "p99", "memory peak", "restarts", "state"}};
  for (const auto& node : summary["nodes"]) {
    const std::string where = node["where"].get<std::string>();
    nodes.push_back({node["node"], where.empty() ? node["executor"].get<std::string>() : where, node["language"], count(node["frames_in"]),
                     count(node["frames_out"]), time_of(node["processing_ns"], "p50"), time_of(node["processing_ns"], "p99"), memory(node),
                     count(node["restarts"]), node["state"]});
  }
  if (std::ranges::any_of(summary["nodes"], [](const json& node) { return !limits(node).empty(); })) {
    nodes[0].emplace_back("limits by");
    for (std::size_t i = 0; i < summary["nodes"].size(); ++i) nodes[i + 1].push_back(limits(summary["nodes"][i]));
  }
  std::vector<std::vector<std::string>> edges = {{"edge", "type", "frames", "bytes", "copies", "drops", "latency p50", "p99"}};
  for (const auto& edge : summary["edges"])
    edges.push_back({edge["from"].get<std::string>() + " -> " + edge["to"].get<std::string>(), edge["type"], count(edge["frames"]), bytes(edge["bytes"]),
                     count(edge["copies"]), count(edge["dropped"]), time_of(edge["latency_ns"], "p50"), time_of(edge["latency_ns"], "p99")});
  for (const char* rare : {"given_again", "set_aside", "flushed", "unmatched", "rejected"}) add_column_if_any(edges, summary["edges"], rare);
  std::string out = align(nodes, {false, false, false, true, true, true, true, true, true, false, false}) + "\n" +
                    align(edges, {false, false, true, true, true, true, true, true, true, true, true, true});
  if (summary.contains("start_ms"))
    out += fmt::format("\nstarted in {:.0f} ms, ran {}\n", summary["start_ms"].get<double>(),
                       format_duration_ns(static_cast<std::int64_t>(summary["run_ms"].get<double>() * 1e6)));
  return out;
}

}  // namespace hawse::cli
