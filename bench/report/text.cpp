// SPDX-License-Identifier: Apache-2.0
//
// The report in a terminal: the table, then what was missed, what has no figure and where a peer is better. The samples' details are for the other
// forms. Widths count characters, not bytes; control characters of a Run never reach the terminal.
#include <algorithm>
#include <string_view>

#include <fmt/core.h>

#include "bench/report/findings.hpp"
#include "bench/report/report.hpp"
#include "bench/report/words.hpp"

namespace hawse::bench {
namespace {

constexpr unsigned kTableFrom = 100, kWidest = 160;

struct Piece {
  std::string text;
  const char* style = "";  // an SGR sequence
};
constexpr const char *kBold = "\x1b[1m", *kDim = "\x1b[2m", *kGreen = "\x1b[32m", *kRed = "\x1b[1;31m", *kYellow = "\x1b[33m";

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

std::size_t width_of(std::string_view text) { return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character)); }

// A C1 control is U+0080 to U+009F: 0xC2 and a byte below 0xA0.
std::string printable(std::string_view text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    safe += byte < ' ' || byte == 0x7F || c1 ? ' ' : text[i];
    i += c1;
  }
  return safe;
}

// Broken at spaces into lines of at most `width`; a word that is longer is cut.
std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  const auto put = [&](std::string_view word) {
    if (!lines.back().empty() && width_of(lines.back()) + 1 + width_of(word) > width) lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    for (const char c : word) {
      if (starts_character(c) && width_of(lines.back()) == width) lines.emplace_back();
      lines.back() += c;
    }
  };
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) put(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

class Terminal {
 public:
  Terminal(bool colour, unsigned columns) : colour_(colour), columns_(std::clamp(columns, 40u, kWidest)) {}

  unsigned columns() const { return columns_; }
  void line(const std::string& text = "") { out_ += text + '\n'; }

  // Wrapped, with the same indent for every line but the first's own lead.
  void paragraph(const Piece& piece, std::string_view lead = "", std::string_view indent = "") {
    std::string_view before = lead;
    for (const std::string& part : wrap(printable(piece.text), columns_ - width_of(indent))) {
      out_ += std::string(before) + styled(part, piece.style) + '\n';
      before = indent;
    }
  }

  // Cells side by side, each of several pieces one below the other.
  void cells(const std::vector<std::vector<Piece>>& cells, const std::vector<std::size_t>& widths) {
    std::vector<std::vector<Piece>> lines(cells.size());
    std::size_t height = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      for (const Piece& piece : cells[i])
        for (std::string& part : wrap(printable(piece.text), widths[i] - 2)) lines[i].push_back({std::move(part), piece.style});
      height = std::max(height, lines[i].size());
    }
    for (std::size_t at = 0; at < height; ++at) {
      std::string text;
      for (std::size_t i = 0; i < lines.size(); ++i) {
        const Piece piece = at < lines[i].size() ? lines[i][at] : Piece{};
        text += styled(piece.text, piece.style) + std::string(i + 1 < lines.size() ? widths[i] - width_of(piece.text) : 0, ' ');
      }
      text.erase(text.find_last_not_of(' ') + 1);
      line(text);
    }
  }

  std::string styled(const std::string& text, const char* style) const {
    return colour_ && *style != '\0' && !text.empty() ? style + text + "\x1b[0m" : text;
  }
  std::string take() { return std::move(out_); }

 private:
  bool colour_;
  unsigned columns_;
  std::string out_;
};

std::string one_line(const Cell& cell, bool with_tail) {
  std::string text = cell.label.empty() ? "" : cell.label + ": ";
  if (!cell.missing.empty()) return text + "no figure: " + cell.missing;
  text += cell.figure;
  if (!cell.interval.empty()) text += fmt::format(" ({})", cell.interval);
  if (with_tail && !cell.tail.empty()) text += ", " + cell.tail;
  return cell.placement.empty() ? text : text + ", " + cell.placement;
}

std::vector<Piece> column(const std::vector<Line>& lines, const RowView& row, const std::string& facts) {
  std::vector<Piece> pieces;
  if (!facts.empty()) pieces.push_back({facts});
  for (const Line& line : lines) {
    const Cell cell = cell_of(line, row);
    pieces.push_back({one_line(cell, false), cell.missing.empty() ? "" : kDim});
    if (!cell.tail.empty()) pieces.push_back({cell.tail, kDim});
  }
  if (pieces.empty()) pieces.push_back({"–", kDim});
  return pieces;
}

const char* style_of(Met met) { return met == Met::met ? kGreen : met == Met::missed ? kRed : kYellow; }

Piece target_of(const TargetView& target) {
  return {fmt::format("{} {}: {}", name_of(target.judgement.met), target.target->text, value_of(target)), style_of(target.judgement.met)};
}

std::string beside(const RowView& row) {
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : " · ") + what; };
  for (const Line& line : row.peers) add(one_line(cell_of(line, row), true));
  if (row.further_peers > 0) add(fmt::format("{} more", row.further_peers));
  for (const Line& line : row.floors) add("floor " + one_line(cell_of(line, row), true));
  return text;
}

std::string title_of(const RowView& row) {
  return row.row->title + (row.placement == Placement::any ? "" : fmt::format(" · {}", name_of(row.placement)));
}

void as_table(Terminal& out, const RowView& row) {
  const std::size_t each = (out.columns() - 2) / 4, last = out.columns() - 2 - 3 * each;
  std::vector<Piece> targets;
  for (const TargetView& target : row.targets) targets.push_back(target_of(target));
  auto native = column(row.native, row, facts_cell(*row.row, false));
  if (!row.row->missing.empty()) native = {{"no figure: " + row.row->missing, kDim}};
  std::vector<Piece> title = {{title_of(row), kBold}};
  if (!kind_of(row).empty()) title.push_back({kind_of(row), kDim});
  out.cells({title, native, column(row.container, row, facts_cell(*row.row, true)), targets}, {each, each, each, last});
}

void as_lines(Terminal& out, const RowView& row) {
  out.paragraph({title_of(row), kBold}, "", "  ");
  if (!kind_of(row).empty()) out.paragraph({kind_of(row), kDim}, "  ", "    ");
  if (!row.row->missing.empty()) out.paragraph({"no figure: " + row.row->missing, kDim}, "  ", "    ");
  const auto show = [&](const char* name, const std::vector<Line>& lines, const std::string& facts) {
    if (!facts.empty()) out.paragraph({fmt::format("{} {}", name, facts)}, "  ", "    ");
    for (const Line& line : lines) out.paragraph({fmt::format("{} {}", name, one_line(cell_of(line, row), true))}, "  ", "    ");
  };
  show("native", row.native, facts_cell(*row.row, false));
  show("container", row.container, facts_cell(*row.row, true));
  for (const TargetView& target : row.targets) out.paragraph(target_of(target), "  ", "    ");
}

void list(Terminal& out, const char* title, const std::vector<Finding>& found, const char* style) {
  if (found.empty()) return;
  out.line();
  out.line(out.styled(title, kBold));
  for (const Finding& finding : found) out.paragraph({fmt::format("{}: {}", finding.row->row->title, finding.text), style}, "  ", "    ");
}

}  // namespace

std::string to_text(const Run& run, bool colour, unsigned columns) {
  const RunView view = view_of(run);
  const bool table = columns >= kTableFrom;
  Terminal out(colour, columns);
  for (const GroupView& group : view.groups) {
    out.line(out.styled(printable(group.name), "\x1b[1;4m"));
    for (const RowView& row : group.rows) {
      table ? as_table(out, row) : as_lines(out, row);
      if (const std::string text = beside(row); !text.empty()) out.paragraph({text, kDim}, "  ", "    ");
    }
    out.line();
  }
  out.paragraph({kExplainCell, kDim});
  out.paragraph({explain_placement(run), kDim});
  const Findings found = findings_of(view);
  list(out, "Where a peer is better", found.wins, "");
  list(out, "Without a figure", found.unknown, kYellow);
  list(out, "Missed", found.missed, kRed);
  out.line();
  out.paragraph({provenance_of(run), ""});
  out.paragraph({verdict_of(view), view.missed + view.facts_not > 0 ? kRed : kGreen});
  return out.take();
}

}  // namespace hawse::bench
