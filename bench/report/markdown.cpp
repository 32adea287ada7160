// SPDX-License-Identifier: Apache-2.0
//
// The report as Markdown: tables that a forge shows well. Every text passes escape(), so that no version or title makes markup.
#include <string_view>

#include <fmt/core.h>

#include "bench/report/findings.hpp"
#include "bench/report/report.hpp"
#include "bench/report/words.hpp"

namespace hawse::bench {
namespace {

std::string escape(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '<')
      safe += "&lt;";
    else if (c == '&')
      safe += "&amp;";
    else if (static_cast<unsigned char>(c) < ' ' || c == '\x7f')
      safe += ' ';
    else if (std::string_view("\\|*_`[]~").find(c) != std::string_view::npos)
      safe += {'\\', c};
    else
      safe += c;
  }
  return safe;
}

void add(std::string& text, std::string_view part, std::string_view separator) {
  if (part.empty()) return;
  if (!text.empty()) text += separator;
  text += part;
}

std::string cell(const Cell& cell) {
  const std::string label = cell.label.empty() ? "" : escape(cell.label) + ": ";
  if (!cell.missing.empty()) return fmt::format("{}no figure: {}", label, escape(cell.missing));
  std::string text = fmt::format("{}**{}**", label, escape(cell.figure));
  if (!cell.interval.empty()) text += fmt::format(" ({})", escape(cell.interval));
  add(text, escape(cell.tail), "<br>");
  add(text, cell.placement, ", ");
  return text;
}

std::string cells(const std::vector<Line>& lines, const RowView& row, std::string text = "") {
  for (const Line& line : lines) add(text, cell(cell_of(line, row)), "<br>");
  return text.empty() ? "–" : text;
}

std::string peers(const RowView& row) {
  std::string text = cells(row.peers, row);
  if (row.further_peers > 0) text += fmt::format("<br>and {} more below", row.further_peers);
  return text;
}

std::string targets(const RowView& row) {
  std::string text;
  for (const TargetView& target : row.targets)
    add(text,
        fmt::format("{}: {}, {}", escape(target.target->text), target.judgement.met == Met::missed ? "**MISSED**" : name_of(target.judgement.met),
                    escape(value_of(target))),
        "<br>");
  return text.empty() ? "–" : text;
}

std::string headline(const RowView& row) {
  const std::string title = escape(row.row->title) + (row.placement == Placement::any ? "" : fmt::format(" · {}", name_of(row.placement))) +
                            (kind_of(row).empty() ? "" : "<br>" + kind_of(row));
  if (!row.has_figure() && !row.row->missing.empty())
    return fmt::format("| {} | no figure: {} | – | – | – | {} |\n", title, escape(row.row->missing), targets(row));
  return fmt::format("| {} | {} | {} | {} | {} | {} |\n", title, cells(row.native, row, facts_cell(*row.row, false)),
                     cells(row.container, row, facts_cell(*row.row, true)), peers(row), cells(row.floors, row), targets(row));
}

std::string facts(const Row& row) {
  if (row.facts.empty()) return "";
  std::string text = "\n| what | where | seen | |\n| --- | --- | --- | --- |\n";
  for (const Fact& fact : row.facts)
    text += fmt::format("| {} | {} | {} | {} |\n", escape(fact.what), escape(fact.variant), escape(fact.seen),
                        fact.ok ? (*fact.ok ? "as it should" : "**NOT as it should**") : "for information");
  return text;
}

std::string phases(const RowView& row) {
  std::string text;
  for (const Phases& phases : row.phases) {
    text += fmt::format("\n| phase of {} | median |\n| --- | ---: |\n", escape(phases.total->spec().key));
    for (const SeriesView* part : phases.parts)
      text += fmt::format("| {} | {} |\n", escape(phase_label(part->spec())), escape(cell_of({"", part, nullptr}, row).figure));
    text += fmt::format("| sum of the phases | {} |\n", escape(sum_of(phases)));
  }
  return text;
}

std::string details(const RowView& row) {
  std::string text = fmt::format("\n#### {}\n\n{} · {}{}\n", escape(row.row->title), escape(row.row->id), escape(row.row->measured),
                                 kind_of(row).empty() ? "" : fmt::format(" ({})", kind_of(row)));
  if (!row.row->missing.empty()) text += fmt::format("\nNo figure: {}\n", escape(row.row->missing));
  if (!row.series.empty()) {
    text += "\n| series | median (95 % CI) | mean | p99 | p99.9 | passes × samples | outliers |\n| --- | --- | --- | --- | --- | --- | --- |\n";
    for (const Detail& one : details_of(row)) {
      std::string name = escape(one.name);
      add(name, row.kinds_differ ? one.kind : "", "<br>");
      add(name, one.placement, ", ");
      std::string samples = one.samples;
      add(samples, one.about_samples, "<br>");
      if (one.missing.empty())
        text += fmt::format("| {} | {} ({}) | {} | {} | {} | {} | {} |\n", name, escape(one.median), one.interval, escape(one.mean), one.p99,
                            one.p999, samples, one.outliers);
      else
        text += fmt::format("| {} | no figure: {} | | | | | |\n", name, escape(one.missing));
    }
  }
  return text + phases(row) + facts(*row.row);
}

std::string list(std::string_view title, const std::vector<Finding>& found, std::string_view when_empty) {
  std::string text = fmt::format("\n## {}\n\n", title);
  for (const Finding& finding : found) text += fmt::format("- **{}:** {}\n", escape(finding.row->row->title), escape(finding.text));
  return found.empty() ? text + fmt::format("{}\n", when_empty) : text;
}

std::string machine(const Run& run) {
  std::string text = "\n## The machine and the run\n\n| | |\n| --- | --- |\n";
  for (const auto& [name, value] : facts_of(run)) text += fmt::format("| {} | {} |\n", escape(name), escape(value));
  return text;
}

}  // namespace

std::string to_markdown(const Run& run) {
  const RunView view = view_of(run);
  std::string command;  // nothing but ">" could end the comment
  for (const char c : run.command) command += c == '>' ? "&gt;" : std::string(1, static_cast<unsigned char>(c) < ' ' ? ' ' : c);
  std::string text = fmt::format("<!-- Generated from run {} of: {} -->\n# Benchmarks\n\n{}\n\n**Does it keep its word? {}.** {}.\n\n", run.id,
                                 command, kWhatItIs, verdict_of(view), escape(provenance_of(run)));
  text += fmt::format("{}\n\n{}\n\n{}\n", kExplainCell, kExplainRoles, escape(explain_placement(run)));
  text += "\n## The table\n";
  for (const GroupView& group : view.groups) {
    text +=
        fmt::format("\n### {}\n\n| | native | container | best peer | floor | target |\n| --- | --- | --- | --- | --- | --- |\n", escape(group.name));
    for (const RowView& row : group.rows) text += headline(row);
  }
  const Findings found = findings_of(view);
  text += list("Where a peer is better", found.wins, no_wins(view)) + list("Missed", found.missed, "Nothing.") +
          list("Without a figure", found.unknown, "Nothing.");
  text += "\n## Every series\n";
  for (const GroupView& group : view.groups) {
    text += fmt::format("\n### {}: series\n", escape(group.name));
    for (const RowView& row : group.rows) text += details(row);
  }
  return text + machine(run);
}

}  // namespace hawse::bench
