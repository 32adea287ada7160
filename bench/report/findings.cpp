// SPDX-License-Identifier: Apache-2.0
#include "bench/report/findings.hpp"

#include <algorithm>
#include <map>

#include <fmt/core.h>

#include "bench/report/format.hpp"
#include "bench/report/words.hpp"

namespace hawse::bench {
namespace {

double factor_of(const PeerWin& win, Better better) { return better == Better::less ? win.ratio.value : 1 / win.ratio.value; }

std::string figure_of(const SeriesView& series, Placement placement) { return format_value(series.in(placement)->median, series.spec().unit); }

std::string where_of(const PeerWin& win) {
  const SeriesSpec &ours = win.ours->spec(), &peer = win.peer->spec();
  std::string where = kind_of(ours);
  if (ours.wait != peer.wait) where = fmt::format("{}; ours {}", kind_of(peer), name_of(ours.wait));
  const std::string placement = name_of(win.ratio.placement);
  where += (where.empty() || placement.empty() ? "" : ", ") + placement;
  return where.empty() ? "" : fmt::format(" ({})", where);
}

// "iceoryx2 3.33 µs, ours 3.94 µs (process): 1.18 × better": of several wins of one peer the largest, and how many there are.
std::string sentence_of(const std::vector<const PeerWin*>& wins, const RowView& row) {
  const auto by_factor = [&](const PeerWin* a, const PeerWin* b) { return factor_of(*a, row.row->better) < factor_of(*b, row.row->better); };
  const PeerWin& win = **std::max_element(wins.begin(), wins.end(), by_factor);
  const SeriesSpec& peer = win.peer->spec();
  std::string text = variant_of(peer);
  if (is_growth(peer))
    text += fmt::format(" at {}{}", format_x(*peer.x, peer.x_name), peer.x_name.find("byte") == std::string::npos ? " " + peer.x_name : "");
  text += fmt::format(" {}, ours {} ({}){}: {} × better", figure_of(*win.peer, win.ratio.placement), figure_of(*win.ours, win.ratio.placement),
                      variant_of(win.ours->spec()), where_of(win), format_value(factor_of(win, row.row->better), "ratio"));
  if (!win.clear) text += ", within the noise of this run";
  return wins.size() == 1 ? text : text + fmt::format("; the largest of {} such comparisons", wins.size());
}

void add_wins(std::vector<Finding>& found, const RowView& row) {
  std::map<std::pair<std::string, std::string>, std::vector<const PeerWin*>> by_peer;
  for (const PeerWin& win : row.wins) by_peer[{variant_of(win.peer->spec()), kind_of(win.peer->spec())}].push_back(&win);
  for (const auto& [peer, wins] : by_peer) found.push_back({&row, sentence_of(wins, row)});
}

void add(Findings& found, const RowView& row) {
  add_wins(found.wins, row);
  for (const TargetView& target : row.targets) {
    if (target.judgement.met == Met::met) continue;
    (target.judgement.met == Met::missed ? found.missed : found.unknown)
        .push_back({&row, fmt::format("{}: {}", target.target->text, value_of(target))});
  }
  for (const Fact& fact : row.row->facts)
    if (fact.ok == false) found.missed.push_back({&row, fmt::format("{}{}{}: {}", fact.what, fact.variant.empty() ? "" : ", ", fact.variant, fact.seen)});
  if (row.targets.empty() && !row.row->missing.empty()) found.unknown.push_back({&row, row.row->missing});
}

}  // namespace

Findings findings_of(const RunView& view) {
  Findings found;
  for (const GroupView& group : view.groups)
    for (const RowView& row : group.rows) add(found, row);
  return found;
}

const char* no_wins(const RunView& view) {
  for (const GroupView& group : view.groups)
    for (const RowView& row : group.rows)
      for (const Line& peer : row.peers)
        if (peer.from->figure() != nullptr) return "In nothing that this run measured of both.";
  return "No peer was measured in this run.";
}

}  // namespace hawse::bench
