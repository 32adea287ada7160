// SPDX-License-Identifier: Apache-2.0
#include "bench/report/view.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace hawse::bench {
namespace {

constexpr Placement kComparable[] = {Placement::near, Placement::far, Placement::any};

std::size_t count_of(const Series& series, Placement placement) {
  std::size_t count = 0;
  for (const Batch& batch : series.batches) count += batch.placement == placement ? batch.values.size() : 0;
  return count;
}

// The placement that most series of the row have; of several such, the one with the most samples, near first.
Placement placement_of(const Row& row) {
  std::pair<std::size_t, std::size_t> best{0, 0};
  Placement chosen = Placement::any;
  for (const Placement placement : kComparable) {
    std::pair<std::size_t, std::size_t> have{0, 0};
    for (const Series& series : row.series) {
      const std::size_t samples = count_of(series, placement);
      have.first += samples > 0;
      have.second += samples;
    }
    if (have > best) std::tie(best, chosen) = std::pair(have, placement);
  }
  return chosen;
}

bool in_container(const Row& row, const SeriesSpec& spec) {
  const auto speaks_of_it = [](const std::string& text) { return text.find("container") != std::string::npos; };
  if (speaks_of_it(spec.key) || speaks_of_it(variant_of(spec))) return true;
  const auto native = [](const std::string& text) { return text.find("process") != std::string::npos || text.find("native") != std::string::npos; };
  return speaks_of_it(row.id) && !native(variant_of(spec));
}

SeriesView view_of(const Row& row, const Series& series, Placement of_row) {
  SeriesView view{
      .series = &series, .figures = {}, .shown = {}, .container = in_container(row, series.spec), .moved = count_of(series, Placement::moved)};
  for (const Placement placement : kComparable)
    if (count_of(series, placement) > 0) view.figures.emplace_back(placement, summarise(passes_of(series, placement)));
  view.shown = view.in(of_row) != nullptr ? of_row : pick_placement(series);
  return view;
}

// The column says whether it is a container, and that it is ours; the label is what remains of the key.
std::string label_of(std::string key) {
  for (const std::string_view word : {"process", "container", "native", "ours", "hawse"}) {
    if (!key.starts_with(word) || (key.size() > word.size() && std::string_view(" ,:").find(key[word.size()]) == std::string_view::npos)) continue;
    key.erase(0, key.find_first_not_of(" ,:", word.size()));
    break;
  }
  return key;
}

// Single series as they are; of each growth curve, its two ends.
std::vector<Line> lines_of(const std::vector<const SeriesView*>& series, bool shorten) {
  std::vector<Line> lines;
  std::map<std::string, std::size_t> curves;
  for (const SeriesView* one : series) {
    const SeriesSpec& spec = one->spec();
    const std::string& name = is_growth(spec) ? variant_of(spec) : spec.key;
    const auto curve = is_growth(spec) ? curves.find(name) : curves.end();
    if (curve == curves.end()) {
      if (is_growth(spec)) curves.emplace(name, lines.size());
      lines.push_back({shorten ? label_of(name) : name, one, is_growth(spec) ? one : nullptr});
      continue;
    }
    Line& line = lines[curve->second];
    if (*spec.x < *line.from->spec().x) line.from = one;
    if (*spec.x > *line.to->spec().x) line.to = one;
  }
  return lines;
}

bool better(const Row& row, double a, double b) { return row.better == Better::less ? a < b : a > b; }

bool same_kind(const SeriesSpec& a, const SeriesSpec& b) { return a.wait == b.wait && a.payload == b.payload && a.unit == b.unit; }

// Of each kind the peer with the best figure, in the order of the series.
std::vector<Line> best_of(const Row& row, std::vector<Line> lines) {
  std::vector<Line> best;
  for (const Line& line : lines) {
    const SeriesView& end = line.to != nullptr ? *line.to : *line.from;
    const auto rival = std::find_if(best.begin(), best.end(), [&](const Line& l) { return same_kind(l.from->spec(), line.from->spec()); });
    if (rival == best.end()) {
      best.push_back(line);
      continue;
    }
    const Summary* now = (rival->to != nullptr ? *rival->to : *rival->from).figure();
    if (end.figure() != nullptr && (now == nullptr || better(row, end.figure()->median, now->median))) *rival = line;
  }
  return best;
}

// "two cores" of "ours, two cores": what sets it apart from the plain case, beside what its kind says anyway.
std::string qualifier_of(const SeriesSpec& spec) {
  std::string qualifier;
  const std::string& name = variant_of(spec);
  for (auto comma = name.find(", "); comma != std::string::npos;) {
    const auto next = name.find(", ", comma + 2);
    const std::string word = name.substr(comma + 2, next == std::string::npos ? next : next - comma - 2);
    if (word != "polling" && word != "sleeping" && word != "written" && word != "untouched") qualifier += (qualifier.empty() ? "" : ", ") + word;
    comma = next;
  }
  return qualifier;
}

// The same kind; where none of ours waits as the peer does, whatever ours does instead.
bool same_kind_or_nearest(const RowView& row, const SeriesSpec& ours, const SeriesSpec& peer) {
  if (same_kind(ours, peer)) return true;
  SeriesSpec as_peer = ours;
  as_peer.wait = peer.wait;
  const auto waits_so = [&](const SeriesView& s) { return s.spec().role == Role::ours && same_kind(s.spec(), peer) && s.figure() != nullptr; };
  return same_kind(as_peer, peer) && std::none_of(row.series.begin(), row.series.end(), waits_so);
}

// The same work. A peer's own configuration ("dora, larger pool") stands against our plain case.
bool comparable(const RowView& row, const SeriesSpec& ours, const SeriesSpec& peer) {
  if (ours.role != Role::ours || peer.role != Role::peer || ours.x != peer.x || !ours.phase_of.empty() || !peer.phase_of.empty() ||
      !same_kind_or_nearest(row, ours, peer))
    return false;
  const std::string a = qualifier_of(ours), b = qualifier_of(peer);
  const auto has_it = [&](const SeriesView& s) { return s.spec().role == Role::ours && qualifier_of(s.spec()) == b; };
  return a == b || (a.empty() && std::none_of(row.series.begin(), row.series.end(), has_it));
}

std::vector<PeerWin> wins_of(const RowView& view) {
  std::vector<PeerWin> wins;
  for (const SeriesView& ours : view.series) {
    for (const SeriesView& peer : view.series) {
      if (!comparable(view, ours.spec(), peer.spec())) continue;
      const auto found = ratio(*ours.series, *peer.series, Statistic::median);
      if (!found || !better(*view.row, 1, found->value)) continue;
      wins.push_back({&ours, &peer, *found, better(*view.row, 1, view.row->better == Better::less ? found->interval.low : found->interval.high)});
    }
  }
  return wins;
}

std::vector<Phases> phases_of(const RowView& view) {
  std::vector<Phases> all;
  for (const SeriesView& total : view.series) {
    Phases phases{&total, {}};
    for (const SeriesView& part : view.series)
      if (!part.spec().phase_of.empty() && part.spec().phase_of == total.spec().key) phases.parts.push_back(&part);
    if (!phases.parts.empty()) all.push_back(std::move(phases));
  }
  return all;
}

bool kinds_differ(const Row& row) {
  return std::any_of(row.series.begin(), row.series.end(),
                     [&](const Series& s) { return s.spec.role == Role::ours && !same_kind(s.spec, row.series.front().spec); });
}

void fill_lines(RowView& view) {
  std::vector<const SeriesView*> native, container, peers, floors;
  for (const SeriesView& series : view.series) {
    const SeriesSpec& spec = series.spec();
    if (!spec.phase_of.empty()) continue;
    auto& column = spec.role == Role::peer ? peers : spec.role == Role::floor ? floors : series.container ? container : native;
    column.push_back(&series);
  }
  view.native = lines_of(native, true);
  view.container = lines_of(container, true);
  const auto all = lines_of(peers, false);
  view.peers = best_of(*view.row, all);
  view.further_peers = all.size() - view.peers.size();
  view.floors = lines_of(floors, false);
}

void fill(RowView& view, const Row& row) {
  view.row = &row;
  view.placement = placement_of(row);
  view.kinds_differ = kinds_differ(row);
  view.series.reserve(row.series.size());  // the rest points into it
  for (const Series& series : row.series) view.series.push_back(view_of(row, series, view.placement));
  fill_lines(view);
  view.wins = wins_of(view);
  view.phases = phases_of(view);
  for (const Target& target : row.targets) {
    const auto of = std::find_if(row.series.begin(), row.series.end(), [&](const Series& s) { return s.spec.key == target.of; });
    view.targets.push_back({&target, judge(row, target), !target.against.empty() || of == row.series.end() ? "ratio" : of->spec.unit});
  }
}

}  // namespace

const Summary* SeriesView::in(Placement placement) const {
  for (const auto& [where, summary] : figures)
    if (where == placement) return &summary;
  return nullptr;
}

double Phases::sum() const {
  double sum = 0;
  for (const SeriesView* part : parts) sum += part->figure() != nullptr ? part->figure()->median : 0;
  return sum;
}

bool RowView::has_figure() const {
  return std::any_of(series.begin(), series.end(), [](const SeriesView& s) { return s.figure() != nullptr; });
}

bool is_growth(const SeriesSpec& spec) { return spec.x.has_value(); }

const std::string& variant_of(const SeriesSpec& spec) { return spec.variant.empty() ? spec.key : spec.variant; }

std::string system_of(const SeriesSpec& spec) { return variant_of(spec).substr(0, variant_of(spec).find(", ")); }

RunView view_of(const Run& run) {
  RunView view;
  view.run = &run;
  for (const Row& row : run.rows) {
    auto group = std::find_if(view.groups.begin(), view.groups.end(), [&](const GroupView& g) { return g.name == row.group; });
    if (group == view.groups.end()) group = view.groups.insert(view.groups.end(), GroupView{row.group, {}});
    fill(group->rows.emplace_back(), row);
    for (const TargetView& target : group->rows.back().targets)
      ++(target.judgement.met == Met::met ? view.met : target.judgement.met == Met::missed ? view.missed : view.unknown);
    for (const Fact& fact : row.facts)
      if (fact.ok) ++(*fact.ok ? view.facts_as_expected : view.facts_not);
  }
  return view;
}

}  // namespace hawse::bench
