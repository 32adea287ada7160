// SPDX-License-Identifier: Apache-2.0
#include "bench/record/tables.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "bench/report/format.hpp"

namespace hawse::bench {
namespace {

using Cells = std::vector<std::string>;

std::size_t width(const std::string& text) {  // in characters of UTF-8
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// Columns as wide as their widest cell, two spaces apart; those from `first_right` to before `end_right` set right.
std::string aligned(const std::vector<Cells>& lines, std::size_t first_right, std::size_t end_right) {
  std::vector<std::size_t> widths;
  for (const Cells& cells : lines) {
    widths.resize(std::max(widths.size(), cells.size()));
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width(cells[i]));
  }
  std::string text;
  for (const Cells& cells : lines) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string space(widths[i] - width(cells[i]), ' ');
      line += (i ? "  " : "") + (i >= first_right && i < end_right ? space + cells[i] : cells[i] + space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

const char* verdict_words(Verdict verdict) {
  switch (verdict) {
    case Verdict::no_change: return "no change";
    case Verdict::improved: return "improved";
    case Verdict::regressed: return "REGRESSED";
    case Verdict::too_few: return "too few";
  }
  return "";
}

std::string on_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Cells line_of(const Comparison& comparison) {
  const Change& change = comparison.change;
  if (comparison.noise == 0) return {comparison.row, comparison.series, "", "", "", "", "", "too few: " + on_one_line(comparison.note)};
  const bool tested = change.verdict != Verdict::too_few;
  return {comparison.row,
          comparison.series + (change.placement == Placement::near  ? " (NEAR)"
                               : change.placement == Placement::far ? " (FAR)"
                                                                    : ""),
          format_value(change.before, comparison.unit),
          format_value(change.after, comparison.unit),
          format_change(change.relative),
          tested ? format_change(change.relative_interval.low) + " … " + format_change(change.relative_interval.high) : "",
          !tested                  ? ""
          : change.p_value < 0.001 ? "< 0.001"
                                   : fmt::format("{:.3f}", change.p_value),
          verdict_words(change.verdict) + (comparison.note.empty() ? "" : ": " + on_one_line(comparison.note))};
}

std::string name_of_run(const Run& run) {
  return fmt::format("{}, {}, {} {}{}", run.id ? "run " + std::to_string(run.id) : "a run that isn't kept", format_date(run.started_s), run.effort,
                     run.commit.substr(0, 12), run.commit.size() > 12 && run.commit.back() == '+' ? "+" : "");
}

}  // namespace

std::string comparison_table(const Run& before, const Run& after, const std::vector<Comparison>& comparisons, bool all) {
  std::string text = "before: " + name_of_run(before) + "\nafter:  " + name_of_run(after) + "\n";
  for (const std::string& different : circumstances(before, after)) text += "differs: " + different + "\n";
  std::vector<Cells> lines = {{"row", "series", "before", "after", "change", "95 % interval", "p", "verdict"}};
  for (const Comparison& comparison : comparisons) {
    const Verdict verdict = comparison.change.verdict;
    if (all || verdict == Verdict::improved || verdict == Verdict::regressed) lines.push_back(line_of(comparison));
  }
  if (lines.size() > 1) text += "\n" + aligned(lines, 2, 7);
  const Counts counts = count(comparisons);
  text += fmt::format("\n{} compared: {} no change, {} improved, {} regressed, {} too few\n", plural(comparisons.size(), "row"), counts.no_change,
                      counts.improved, counts.regressed, counts.too_few);
  return strip_control(text);
}

std::string history_table(const std::vector<RunSummary>& runs) {
  if (runs.empty()) return "no run was kept yet: `hawse bench` keeps each\n";
  std::vector<Cells> lines = {{"run", "rows", "series", "took", "started", "effort", "version", "commit", "baseline", "command"}};
  for (const RunSummary& run : runs) {
    std::string names;
    for (const std::string& name : run.baselines) names += (names.empty() ? "" : ", ") + name;
    lines.push_back({std::to_string(run.id), std::to_string(run.rows), std::to_string(run.series), format_duration(run.seconds),
                     format_date(run.started_s), run.effort, run.version,
                     run.commit.substr(0, 12) + (run.commit.size() > 12 && run.commit.back() == '+' ? "+" : ""), names, on_one_line(run.command)});
  }
  return strip_control(aligned(lines, 0, 4));
}

}  // namespace hawse::bench
