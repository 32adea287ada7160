// SPDX-License-Identifier: Apache-2.0
//
// The report as one HTML page: assets/page.html with its places filled. Tables, keys and lists are made here and stand without JavaScript; the plots
// are drawn by assets/page.js from the data at the page's end. Every text passes to_html(), data passes embedded().
#include <algorithm>
#include <string_view>

#include <fmt/core.h>

#include "bench/report/assets.hpp"
#include "bench/report/findings.hpp"
#include "bench/report/format.hpp"
#include "bench/report/plots.hpp"
#include "bench/report/report.hpp"
#include "bench/report/words.hpp"

namespace hawse::bench {
namespace {

std::string to_html(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '&': safe += "&amp;"; break;
      case '"': safe += "&quot;"; break;
      case '\'': safe += "&#39;"; break;
      default: safe += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return safe;
}

// JSON inside a script element: nothing in it can end the element.
std::string embedded(const nlohmann::json& data) {
  std::string text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), safe;
  for (const char c : text) c == '<' ? safe += "\\u003c" : safe += c;
  return safe;
}

// <tag class="...">text</tag>, or nothing where there is no text.
std::string span(std::string_view css, std::string_view text) {
  return text.empty() ? "" : fmt::format("<span class=\"{}\">{}</span>", css, to_html(text));
}

std::string anchor_of(const Row& row) {
  std::string anchor = "row-";
  for (const char c : row.id) anchor += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
  return anchor;
}

const char* css_of(Met met) { return met == Met::met ? "met" : met == Met::missed ? "missed" : "unknown"; }

// ---- the table ----

std::string cell(const Line& line, const RowView& row, const Palette& palette) {
  const Cell cell = cell_of(line, row);
  const bool better = std::any_of(row.wins.begin(), row.wins.end(), [&](const PeerWin& win) { return win.peer == line.from || win.peer == line.to; });
  std::string text = fmt::format("<div class=\"cell c-{}\">", palette.colour_of(*line.from)) + span("label", cell.label);
  if (!cell.missing.empty()) return text + "<span class=\"none\">no figure</span>" + span("note", cell.missing) + "</div>";
  text += span(line.to != nullptr ? "figure growth" : "figure", cell.figure) + span("interval", cell.interval) + span("note", cell.tail) +
          span("tag", cell.placement);
  return text + (better ? "<span class=\"badge better\">better</span></div>" : "</div>");
}

std::string column(std::string_view name, const std::vector<Line>& lines, const RowView& row, const Palette& palette, std::string text = "") {
  for (const Line& line : lines) text += cell(line, row, palette);
  return fmt::format("<td role=\"cell\" data-column=\"{}\"{}>{}</td>", name, text.empty() ? " class=\"empty\"" : "", text.empty() ? "–" : text);
}

std::string target_list(const RowView& row) {
  std::string text;
  for (const TargetView& target : row.targets)
    text += fmt::format("<div class=\"target\"><span class=\"badge {}\">{}</span> <span class=\"asked\">{}</span>{}</div>",
                        css_of(target.judgement.met), name_of(target.judgement.met), to_html(target.target->text), span("note", value_of(target)));
  return text;
}

std::string headline(const RowView& row, const Palette& palette) {
  std::string text =
      fmt::format("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><a href=\"#{}\">{}</a>", anchor_of(*row.row), to_html(row.row->title));
  text += span("tag", name_of(row.placement));
  text += span("note", kind_of(row)) + "</th>";
  if (!row.has_figure() && !row.row->missing.empty())
    return text + fmt::format("<td role=\"cell\" colspan=\"4\" data-column=\"Figure\"><span class=\"none\">no figure</span>{}</td>{}</tr>",
                              span("note", row.row->missing), column("Target", {}, row, palette, target_list(row)));
  std::string peers;
  for (const Line& line : row.peers) peers += cell(line, row, palette);
  if (row.further_peers > 0) peers += span("note", fmt::format("and {} more", row.further_peers));
  text += column("Native", row.native, row, palette, span("figure facts", facts_cell(*row.row, false)));
  text += column("Container", row.container, row, palette, span("figure facts", facts_cell(*row.row, true)));
  return text + column("Best peer", {}, row, palette, peers) + column("Floor", row.floors, row, palette) +
         column("Target", {}, row, palette, target_list(row)) + "</tr>";
}

std::string table(const RunView& view, const Palette& palette) {
  std::string text;
  for (const GroupView& group : view.groups) {
    text +=
        fmt::format("<tbody role=\"rowgroup\"><tr role=\"row\" class=\"group\"><th role=\"rowheader\" scope=\"rowgroup\" colspan=\"6\">{}</th></tr>",
                    to_html(group.name));
    for (const RowView& row : group.rows) text += headline(row, palette);
    text += "</tbody>\n";
  }
  return text;
}

// ---- lists ----

std::string list(const std::vector<Finding>& found, std::string_view when_empty) {
  if (found.empty()) return fmt::format("<p class=\"quiet\">{}</p>", to_html(when_empty));
  std::string text = "<ul>";
  for (const Finding& finding : found)
    text += fmt::format("<li><a href=\"#{}\">{}</a> {}</li>", anchor_of(*finding.row->row), to_html(finding.row->row->title), to_html(finding.text));
  return text + "</ul>";
}

std::string pairs(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string text;
  for (const auto& [name, value] : facts) text += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", to_html(name), to_html(value));
  return text;
}

// ---- every row ----

std::string scroller(const std::string& label, const std::string& table) {
  return fmt::format("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\"><table class=\"plain\">{}</table></div>", to_html(label),
                     table);
}

// Columns that no series fills are left out.
std::string series_table(const RowView& row, const Palette& palette, bool open) {
  if (row.series.empty()) return "";
  const auto all = details_of(row);
  const bool p99 = std::any_of(all.begin(), all.end(), [](const Detail&d) { return !d.p99.empty(); }),
             p999 = std::any_of(all.begin(), all.end(), [](const Detail&d) { return !d.p999.empty(); });
  const auto heading = [](std::string_view text, bool shown = true) { return shown ? fmt::format("<th scope=\"col\">{}</th>", text) : ""; };
  const auto figure = [](std::string_view text, bool shown = true) { return shown ? fmt::format("<td>{}</td>", to_html(text)) : ""; };
  std::string body;
  for (const Detail& one : all) {
    body += fmt::format("<tr><th scope=\"row\"><i class=\"dot c-{}\"></i>{}{}{}</th>", palette.colour_of(*one.series), to_html(one.name),
                        span("tag", one.placement), span("note", row.kinds_differ ? one.kind : ""));
    if (!one.missing.empty()) {
      body +=
          fmt::format("<td colspan=\"{}\" class=\"text\"><span class=\"none\">no figure</span> {}</td></tr>", 5 + p99 + p999, to_html(one.missing));
      continue;
    }
    body += fmt::format("<td class=\"main\">{}{}</td>", to_html(one.median), span("note", one.interval)) + figure(one.mean) + figure(one.p99, p99) +
            figure(one.p999, p999) + figure(one.range);
    body += fmt::format("<td>{}{}</td>", to_html(one.samples), span("note", one.about_samples)) + figure(one.outliers) + "</tr>";
  }
  const std::string head = heading("Series") + heading("Median, 95 % CI") + heading("Mean") + heading("p99", p99) + heading("p99.9", p999) +
                           heading("Least–most") + heading("Passes × samples") + heading("Outliers (Tukey)");
  return fmt::format("<details{}><summary>All figures: {} series</summary>{}</details>", open ? " open" : "", row.series.size(),
                     scroller("Series of " + row.row->title, "<thead><tr>" + head + "</tr></thead><tbody>" + body + "</tbody>"));
}

std::string phase_tables(const RowView& row, const Palette& palette) {
  std::string text;
  for (const Phases& phases : row.phases) {
    const std::string& name = phases.total->spec().key;
    std::string body;
    std::size_t at = 0;
    for (const SeriesView* part : phases.parts) {
      body += fmt::format("<tr><th scope=\"row\"><i class=\"dot c-{}\" style=\"opacity:{:.2f}\"></i>{}</th><td>{}</td></tr>",
                          palette.colour_of(*phases.total), phase_opacity(at++, phases.parts.size()), to_html(phase_label(part->spec())),
                          to_html(part->figure() == nullptr ? "no figure" : format_value(part->figure()->median, part->spec().unit)));
    }
    body += fmt::format("<tr class=\"sum\"><th scope=\"row\">sum of the phases</th><td>{}</td></tr>", to_html(sum_of(phases)));
    text += scroller("Phases of " + name, fmt::format("<caption>{}</caption><tbody>{}</tbody>", to_html(name), body));
  }
  return text.empty() ? "" : "<div class=\"side-by-side\">" + text + "</div>";
}

std::string fact_table(const Row& row) {
  if (row.facts.empty()) return "";
  std::string body;
  for (const Fact& fact : row.facts)
    body += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td class=\"text\">{}</td><td class=\"text\">{}</td></tr>",
                        to_html(fact.what), to_html(fact.variant), to_html(fact.seen),
                        !fact.ok   ? "<span class=\"note\">for information</span>"
                        : *fact.ok ? "<span class=\"badge met\">as it should</span>"
                                   : "<span class=\"badge missed\">NOT as it should</span>");
  return scroller("What was seen: " + row.title,
                  "<thead><tr><th scope=\"col\">What</th><th scope=\"col\" class=\"text\">Where</th><th scope=\"col\" class=\"text\">Seen</th><th "
                  "scope=\"col\" class=\"text\">Judged</th></tr></thead><tbody>" +
                      body + "</tbody>");
}

std::string figure(const Plot& plot, std::size_t number) {
  std::string keys;
  for (const PlotKey& key : plot.keys)
    keys += fmt::format(
        "<li class=\"c-{}\"><svg width=\"26\" height=\"10\" aria-hidden=\"true\"><line x1=\"1\" x2=\"25\" y1=\"5\" y2=\"5\" "
        "stroke-dasharray=\"{}\"/></svg>{} <b>{}</b></li>",
        key.colour, key.dash, to_html(key.name), to_html(key.value));
  return fmt::format("<figure class=\"plot\" data-plot=\"{}\"><figcaption>{}</figcaption><div class=\"canvas\"></div>{}</figure>", number,
                     to_html(plot.title), keys.empty() ? "" : "<ul class=\"keys\">" + keys + "</ul>");
}

std::string details(const RowView& row, const Palette& palette, nlohmann::json& data) {
  std::string figures;
  for (Plot& plot : plots_of(row, palette)) {
    plot.data["description"] = plot.description;
    figures += figure(plot, data.size());
    data.push_back(std::move(plot.data));
  }
  const std::string shown = (figures.empty() ? "" : "<div class=\"plots\">" + figures + "</div>") + phase_tables(row, palette) + fact_table(*row.row);
  std::string about = fmt::format("<h4>{}</h4><p class=\"measured\">{}</p>", to_html(row.row->title), to_html(row.row->measured));
  if (!row.row->missing.empty()) about += fmt::format("<p><span class=\"none\">no figure</span> {}</p>", to_html(row.row->missing));
  if (!kind_of(row).empty()) about += fmt::format("<p class=\"measured\">{}{}</p>", to_html(kind_of(row)), span("tag", name_of(row.placement)));
  about += target_list(row) + fmt::format("<p class=\"measured\"><code>{}</code></p>", to_html(row.row->id));
  return fmt::format("<article id=\"{}\"><div class=\"about\">{}</div><div class=\"shown\">{}{}</div></article>\n", anchor_of(*row.row), about, shown,
                     series_table(row, palette, shown.empty()));
}

std::string groups(const RunView& view, const Palette& palette, nlohmann::json& data) {
  std::string text;
  for (const GroupView& group : view.groups) {
    text += fmt::format("<h3>{}</h3>\n", to_html(group.name));
    for (const RowView& row : group.rows) text += details(row, palette, data);
  }
  return text;
}

template <class Number>
std::string tile(std::string_view css, const Number& number, std::string_view what) {
  return fmt::format("<div class=\"tile {}\"><b>{}</b> {}</div>", css, number, what);
}

std::string tiles(const RunView& view, const Findings& found) {
  std::string text = tile("met", view.met, "targets met") + tile(view.missed > 0 ? "missed" : "", view.missed, "missed") +
                     tile(view.unknown > 0 ? "unknown" : "", view.unknown, "without a figure");
  if (const std::size_t probed = view.facts_as_expected + view.facts_not; probed > 0)
    text += tile(view.facts_not > 0 ? "missed" : "met", fmt::format("{}/{}", view.facts_as_expected, probed), "probes as they should be");
  return text + tile("", found.wins.size(), "where a peer is better");
}

// {{name}} in the template, filled in one go: what is put in is not searched again.
std::string filled(std::string_view page, const std::map<std::string_view, std::string>& parts) {
  std::string text;
  for (auto open = page.find("{{"); open != std::string_view::npos; open = page.find("{{")) {
    const auto close = page.find("}}", open);
    text += page.substr(0, open);
    text += parts.at(page.substr(open + 2, close - open - 2));
    page.remove_prefix(close + 2);
  }
  return text += page;
}

}  // namespace

std::string to_html(const Run& run) {
  const RunView view = view_of(run);
  const Palette palette(view);
  const Findings found = findings_of(view);
  nlohmann::json data = nlohmann::json::array();
  const std::string every = groups(view, palette, data);
  const auto text_of = [](std::string_view asset) { return std::string(asset); };
  return filled(assets::page_html(), {{"css", text_of(assets::page_css())},
                                      {"js", text_of(assets::page_js())},
                                      {"d3", text_of(assets::d3_js())},
                                      {"plot", text_of(assets::plot_js())},
                                      {"licences", to_html(fmt::format("D3\n\n{}\nObservable Plot\n\n{}\n{}", assets::d3_licence(),
                                                                       assets::plot_licence(), assets::bundled_licences()))},
                                      {"what", to_html(kWhatItIs)},
                                      {"provenance", to_html(provenance_of(run))},
                                      {"command", to_html(run.command)},
                                      {"tiles", tiles(view, found)},
                                      {"explain_cell", to_html(kExplainCell)},
                                      {"explain_roles", to_html(kExplainRoles)},
                                      {"explain_placement", to_html(explain_placement(run))},
                                      {"table", table(view, palette)},
                                      {"wins", list(found.wins, no_wins(view))},
                                      {"missed", list(found.missed, "Nothing.")},
                                      {"unknown", list(found.unknown, "Nothing.")},
                                      {"groups", every},
                                      {"facts", pairs(facts_of(run))},
                                      {"data", embedded(data)}});
}

}  // namespace hawse::bench
