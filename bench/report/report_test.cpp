// SPDX-License-Identifier: Apache-2.0
#include "bench/report/report.hpp"

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "bench/report/assets.hpp"
#include "bench/report/findings.hpp"
#include "bench/report/plots.hpp"
#include "bench/report/sample_run.hpp"
#include "bench/report/words.hpp"

namespace hawse::bench {
namespace {

using testing::HasSubstr;

const Run& sample() {
  static const Run run = sample_run();
  return run;
}
const std::string& html() {
  static const std::string page = to_html(sample());
  return page;
}
const std::string& markdown() {
  static const std::string page = to_markdown(sample());
  return page;
}

// Without the libraries, which aren't ours to judge.
std::string own_html() {
  std::string page = html();
  for (const std::string_view library : {assets::d3_js(), assets::plot_js()}) page.erase(page.find(library), library.size());
  return page;
}

// gMock would print the whole page.
testing::AssertionResult holds(const std::string& report, const std::string& text) {
  return report.find(text) != std::string::npos ? testing::AssertionSuccess() : testing::AssertionFailure() << "not in the report: " << text;
}

std::string html_escaped(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  for (const auto& [from, to] : {std::pair{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}})
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + 1)) text.replace(at, 1, to);
  return text;
}

std::string markdown_escaped(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  const std::string marked = std::regex_replace(text, std::regex(R"([\\|*_`\[\]~])"), "\\$&");
  return std::regex_replace(std::regex_replace(marked, std::regex("&"), "&amp;"), std::regex("<"), "&lt;");
}

// Words one after another, so that wrapping doesn't matter; a long word may be cut.
std::string squeezed(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

const Row& row(const Run& run, const std::string& id) {
  return *std::find_if(run.rows.begin(), run.rows.end(), [&](const Row& r) { return r.id == id; });
}

Run only(const std::string& id) {
  bench::Run run = sample();
  run.rows = {row(sample(), id)};
  return run;
}

TEST(Report, shows_every_row_with_what_it_measures_and_its_targets) {
  for (const Row& r : sample().rows) {
    for (const std::string* text : {&r.title, &r.measured, &r.id}) {
      EXPECT_TRUE(holds(html(), html_escaped(*text)));
      EXPECT_TRUE(holds(markdown(), markdown_escaped(*text)));
    }
    for (const Target& target : r.targets) {
      EXPECT_TRUE(holds(html(), html_escaped(target.text)));
      EXPECT_TRUE(holds(markdown(), markdown_escaped(target.text)));
    }
  }
}

TEST(Report, shows_every_series_with_its_version_or_why_it_has_no_figure) {
  for (const Row& r : sample().rows) {
    for (const Series& series : r.series) {
      EXPECT_TRUE(holds(html(), html_escaped(series.spec.key)));
      EXPECT_TRUE(holds(markdown(), markdown_escaped(series.spec.key)));
      EXPECT_TRUE(holds(markdown(), markdown_escaped(series.missing)));
      EXPECT_TRUE(holds(html(), html_escaped(series.missing)));
    }
    EXPECT_TRUE(holds(html(), html_escaped(r.missing)));
    EXPECT_TRUE(holds(markdown(), markdown_escaped(r.missing)));
  }
  EXPECT_TRUE(holds(html(), "iceoryx2 0.7.0"));
  EXPECT_TRUE(holds(markdown(), "iceoryx2 0.7.0"));
}

TEST(Report, shows_every_fact) {
  for (const Row& r : sample().rows) {
    for (const Fact& fact : r.facts) {
      for (const std::string* text : {&fact.what, &fact.seen}) {
        EXPECT_TRUE(holds(html(), html_escaped(*text)));
        EXPECT_TRUE(holds(markdown(), markdown_escaped(*text)));
      }
    }
  }
}

TEST(Report, shows_the_machine_the_command_and_the_calibration) {
  for (const auto& [name, value] : facts_of(sample())) {
    EXPECT_TRUE(holds(html(), html_escaped(name)));
    EXPECT_TRUE(holds(html(), html_escaped(value)));
    EXPECT_TRUE(holds(markdown(), markdown_escaped(value)));
  }
  for (const std::string& report : {html(), markdown()}) EXPECT_TRUE(holds(report, "98.0 ns in NEAR, 402 ns in FAR"));
}

TEST(Report, says_which_targets_are_met_which_missed_and_which_have_no_figure) {
  const RunView view = view_of(sample());
  EXPECT_GT(view.met, 0u);
  EXPECT_GT(view.missed, 0u);
  EXPECT_GT(view.unknown, 0u);
  std::size_t targets = 0;
  for (const Row& r : sample().rows) targets += r.targets.size();
  EXPECT_EQ(view.met + view.missed + view.unknown, targets);
}

TEST(Report, marks_a_missed_target_in_each_form) {
  const bench::Run run = only("python/round-trip");
  EXPECT_TRUE(holds(to_text(run, false, 120), "MISSED ≤ iceoryx2"));
  EXPECT_TRUE(holds(to_markdown(run), "≤ iceoryx2: **MISSED**"));
  EXPECT_TRUE(holds(to_html(run), "<span class=\"badge missed\">MISSED</span> <span class=\"asked\">≤ iceoryx2"));
  EXPECT_FALSE(holds(to_text(only("start/session"), false, 120), "MISSED"));
}

TEST(Report, lists_where_a_peer_is_better_and_only_that) {
  const bench::Run run = sample();
  const RunView view = view_of(run);
  std::set<std::string> rows;
  for (const Finding& win : findings_of(view).wins) rows.insert(win.row->row->id);
  EXPECT_EQ(rows, (std::set<std::string>{"start/container-cold", "python/round-trip", "plane/hostile"}));
  EXPECT_TRUE(holds(to_markdown(only("python/round-trip")), "iceoryx2's wheel 3."));
  EXPECT_TRUE(holds(to_markdown(only("plane/latency-polling")), "In nothing that this run measured of both."));
  EXPECT_TRUE(holds(to_markdown(only("start/session")), "No peer was measured in this run."));
}

TEST(Report, takes_more_for_better_where_the_row_says_so) {
  bench::Run run = only("plane/rate");
  for (Series& series : run.rows[0].series) series.spec.role = series.spec.key == "bare ring" ? Role::peer : series.spec.role;
  const RunView view = view_of(run);
  const Findings found = findings_of(view);
  ASSERT_EQ(found.wins.size(), 1u);
  EXPECT_THAT(found.wins[0].text, HasSubstr("bare ring 154 M/s"));
}

TEST(Report, compares_a_peer_with_what_does_the_same_work) {
  bench::Run run = only("plane/edge");
  Row& edge = run.rows[0];
  const auto add = [&](const char* key, Role role, std::size_t like) {
    Series copy = edge.series[like];
    copy.spec.key = key;
    copy.spec.role = role;
    edge.series.push_back(copy);
  };
  add("process, two cores", Role::ours, 1);   // as slow as the peer
  add("iceoryx2, two cores", Role::peer, 0);  // as fast as ours, but to be held against "process, two cores" only
  const RunView view = view_of(run);
  const RowView& shown = view.groups[0].rows[0];
  ASSERT_EQ(shown.wins.size(), 1u);
  EXPECT_EQ(shown.wins[0].ours->spec().key, "process, two cores");
  EXPECT_EQ(shown.wins[0].peer->spec().key, "iceoryx2, two cores");
  EXPECT_EQ(shown.native[1].label, "two cores");
  EXPECT_EQ(Palette(view).colour_of(shown.series[1]), Palette(view).colour_of(shown.series[3]));
}

TEST(Report, puts_native_and_container_side_by_side) {
  const bench::Run run = only("memory/node");
  const RunView view = view_of(run);
  const RowView& memory = view.groups[0].rows[0];
  ASSERT_EQ(memory.native.size(), 1u);
  ASSERT_EQ(memory.container.size(), 1u);
  EXPECT_EQ(memory.native[0].from->spec().key, "process");
  EXPECT_EQ(memory.container[0].from->spec().key, "container");
}

TEST(Report, compares_and_shows_figures_of_one_placement_only) {
  bench::Run run = only("plane/latency-polling");
  Row& polling = run.rows[0];
  const auto without = [](Series& series, Placement placement) {
    std::erase_if(series.batches, [&](const Batch& batch) { return batch.placement == placement; });
  };
  without(polling.series[1], Placement::near);
  without(polling.series[3], Placement::far);  // as many series in the one as in the other, and more samples in NEAR
  const RunView view = view_of(run);
  const RowView& shown = view.groups[0].rows[0];
  EXPECT_EQ(shown.placement, Placement::near);
  EXPECT_EQ(shown.series[0].shown, Placement::near);
  EXPECT_EQ(shown.series[1].shown, Placement::far);
  EXPECT_EQ(cell_of(shown.native[0], shown).placement, "");
  EXPECT_EQ(cell_of(shown.container[0], shown).placement, "FAR");
}

TEST(Report, shows_percentiles_only_of_samples_enough) {
  const bench::Run run = only("start/python-native");
  const RunView view = view_of(run);
  for (const Detail& detail : details_of(view.groups[0].rows[0])) {
    EXPECT_EQ(detail.p99.empty(), detail.series->figure()->samples < kSamplesForP99) << detail.name;
    EXPECT_EQ(detail.p999, "") << detail.name;
  }
}

TEST(Report, gives_phases_in_their_order_with_their_sum) {
  const bench::Run run = only("start/container-cold");
  const RunView view = view_of(run);
  const auto& phases = view.groups[0].rows[0].phases;
  ASSERT_EQ(phases.size(), 2u);
  std::vector<std::string> names;
  for (const SeriesView* part : phases[0].parts) names.push_back(phase_label(part->spec()));
  EXPECT_EQ(names, (std::vector<std::string>{"create", "namespaces and layers", "interpreter", "imports", "setup()"}));
  EXPECT_THAT(sum_of(phases[0]), HasSubstr(" in all"));
  EXPECT_NEAR(phases[0].sum(), 257e6, 10e6);
}

TEST(Report, holds_an_empty_run) {
  const bench::Run run;
  EXPECT_TRUE(holds(to_text(run, true, 80), "0 of 0 targets met"));
  EXPECT_TRUE(holds(to_markdown(run), "0 of 0 targets met"));
  EXPECT_TRUE(holds(to_html(run), "</html>"));
}

TEST(Html, lets_nothing_of_a_run_become_markup) {
  EXPECT_FALSE(holds(html(), "<script>alert"));
  EXPECT_FALSE(holds(html(), "<img"));
  EXPECT_FALSE(holds(html(), "<b>is</b>"));
  EXPECT_TRUE(holds(html(), "&lt;script&gt;alert(&#39;title&#39;)&lt;/script&gt;"));
  // The page's own: data, two libraries, the script. What a run says in the data can't end its element.
  const std::string own = own_html();
  const std::regex closing("</script>");
  EXPECT_EQ(std::distance(std::sregex_iterator(own.begin(), own.end(), closing), std::sregex_iterator()), 4);
}

TEST(Html, needs_no_network) {
  const std::string own = own_html();
  EXPECT_FALSE(std::regex_search(own, std::regex(R"((src|href|action)\s*=\s*["']?\s*(https?:|//))", std::regex::icase)));
  EXPECT_FALSE(std::regex_search(own, std::regex(R"(@import|url\(\s*["']?\s*(https?:|//))", std::regex::icase)));
  EXPECT_TRUE(holds(own, "Content-Security-Policy\" content=\"default-src 'none'"));
}

TEST(Html, stays_small) { EXPECT_LT(html().size(), 2'000'000u); }

TEST(Html, links_lead_to_rows_that_exist) {
  const std::string own = own_html();
  const std::regex link("href=\"#([^\"]+)\"");
  std::size_t links = 0;
  for (std::sregex_iterator found(own.begin(), own.end(), link); found != std::sregex_iterator(); ++found, ++links)
    EXPECT_TRUE(holds(own, "id=\"" + (*found)[1].str() + "\""));
  EXPECT_GE(links, sample().rows.size());
}

TEST(Html, carries_the_licences_of_its_libraries) {
  for (const char* holder : {"Mike Bostock", "Observable, Inc.", "Mikola Lysenko"}) EXPECT_TRUE(holds(own_html(), holder));
}

TEST(Html, thins_distributions_and_keeps_their_ends) {
  bench::Run run = only("plane/latency-polling");
  const RunView view = view_of(run);
  const RowView& polling = view.groups[0].rows[0];
  const auto plots = plots_of(polling, Palette(view));
  ASSERT_EQ(plots.size(), 1u);
  const auto& points = plots[0].data["lines"][0]["points"];
  ASSERT_EQ(points.size(), kQuantiles);
  const Summary& summary = *polling.series[0].figure();
  EXPECT_NEAR(points.front()[0].get<double>(), summary.min, summary.min * 0.01);
  EXPECT_NEAR(points.back()[0].get<double>(), summary.max, summary.max * 0.01);
  EXPECT_TRUE(std::is_sorted(points.begin(), points.end(),
                             [](const auto& a, const auto& b) { return a[0].template get<double>() < b[0].template get<double>(); }));
}

TEST(Html, gives_a_thing_the_same_colour_everywhere) {
  const RunView view = view_of(sample());
  const Palette palette(view);
  std::map<std::string, std::set<std::string>> colours;
  for (const GroupView& group : view.groups)
    for (const RowView& r : group.rows)
      for (const SeriesView& series : r.series)
        if (series.spec().role == Role::peer) colours[variant_of(series.spec())].insert(palette.colour_of(series));
  for (const auto& [name, used] : colours) EXPECT_EQ(used.size(), 1u) << name;
  EXPECT_NE(colours["iceoryx2"], colours["ZeroMQ"]);
}

TEST(Markdown, has_as_many_cells_in_each_line_of_a_table) {
  std::istringstream lines(markdown());
  std::size_t columns = 0, tables = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("|")) {
      columns = 0;
      continue;
    }
    std::size_t bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i) bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    if (columns == 0) ++tables;
    if (columns == 0) columns = bars;
    EXPECT_EQ(bars, columns) << line;
  }
  EXPECT_GT(tables, 2 * 10u);
}

TEST(Markdown, lets_nothing_of_a_run_become_markup) {
  const std::string text = std::regex_replace(std::regex_replace(markdown(), std::regex("<br>"), ""), std::regex("<!-- Generated.*-->"), "");
  EXPECT_FALSE(holds(text, "<"));
  EXPECT_TRUE(holds(text, R"(a \`title\` of \*markup\*)"));
}

TEST(Markdown, begins_with_the_command_that_made_it) {
  bench::Run run = only("start/session");
  run.command = "hawse bench --peers -->";
  EXPECT_THAT(to_markdown(run), testing::StartsWith("<!-- Generated from run 7 of: hawse bench --peers --&gt; -->\n# Benchmarks\n"));
}

TEST(Text, shows_every_row_whatever_the_width) {
  for (const unsigned columns : {40u, 80u, 99u}) {
    const std::string text = squeezed(to_text(sample(), false, columns));
    for (const Row& r : sample().rows) {
      EXPECT_TRUE(holds(text, squeezed(r.title)));
      EXPECT_TRUE(holds(text, squeezed(r.missing)));
      for (const Target& target : r.targets) EXPECT_TRUE(holds(text, squeezed(target.text)));
    }
  }
}

TEST(Text, is_never_wider_than_the_terminal) {
  for (const unsigned columns : {40u, 80u, 100u, 133u, 160u}) {
    std::istringstream lines(to_text(sample(), false, columns));
    for (std::string line; std::getline(lines, line);) {
      const auto width = std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
      EXPECT_LE(width, columns) << line;
    }
  }
}

TEST(Text, sends_the_terminal_nothing_but_its_own_colours) {
  const std::string plain = to_text(sample(), false, 120), coloured = to_text(sample(), true, 120);
  EXPECT_TRUE(std::none_of(plain.begin(), plain.end(), [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\n') || c == '\x7f'; }));
  EXPECT_EQ(std::regex_replace(coloured, std::regex("\x1b\\[[0-9;]*m"), ""), plain);

  bench::Run hostile = only("start/session");
  hostile.rows[0].title =
      "a\x1b]0;title\x07 b\xc2\x9b"
      "31m c";
  EXPECT_TRUE(holds(to_text(hostile, false, 80), "a ]0;title b 31m c"));
}

}  // namespace
}  // namespace hawse::bench
