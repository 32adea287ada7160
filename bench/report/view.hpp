// SPDX-License-Identifier: Apache-2.0
//
// What every form of the report shows of a Run, worked out once: which figure stands in which cell, which targets are met, where a peer is better.
//
// One row's figures are all of one placement wherever its series have that one, so that what stands side by side may be compared; the figures of
// other placements are kept beside. Owns its summaries; refers to the Run, which must outlive it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/core/result.hpp"
#include "bench/stats/stats.hpp"

namespace hawse::bench {

struct SeriesView {
  const Series* series = nullptr;
  std::vector<std::pair<Placement, Summary>> figures;  // never `moved`
  std::optional<Placement> shown;                      // the placement of the figure in the table
  bool container = false;                              // its column
  std::size_t moved = 0;                               // samples kept but used for nothing, because the placement changed

  const SeriesSpec& spec() const { return series->spec; }
  const Summary* figure() const { return shown ? in(*shown) : nullptr; }
  const Summary* in(Placement) const;
};

// A line of a cell. A growth curve is one line: from its smallest x to its largest.
struct Line {
  std::string label;  // "" where the column says it all
  const SeriesView* from = nullptr;
  const SeriesView* to = nullptr;  // growth only
};

struct TargetView {
  const Target* target = nullptr;
  Judgement judgement;
  std::string unit;  // of the judgement's value: "ratio" where it is one
};

struct PeerWin {
  const SeriesView* ours = nullptr;
  const SeriesView* peer = nullptr;
  Ratio ratio;         // ours to the peer's
  bool clear = false;  // the whole interval is on the peer's side
};

// A start-up of which the phases are known, in their order.
struct Phases {
  const SeriesView* total = nullptr;
  std::vector<const SeriesView*> parts;
  double sum() const;  // of the medians that there are
};

struct RowView {
  RowView() = default;
  RowView(RowView&&) = default;  // moves only: its parts point at its series
  RowView& operator=(RowView&&) = default;

  const Row* row = nullptr;
  Placement placement = Placement::any;
  std::vector<SeriesView> series;
  std::vector<Line> native, container, peers, floors;
  std::size_t further_peers = 0;  // not in `peers`, which has the best of each kind
  std::vector<TargetView> targets;
  std::vector<PeerWin> wins;
  std::vector<Phases> phases;
  bool kinds_differ = false;  // polling and sleeping, or untouched and written, in one row: lines then say which

  bool has_figure() const;
};

struct GroupView {
  std::string name;
  std::vector<RowView> rows;
};

struct RunView {
  const Run* run = nullptr;
  std::vector<GroupView> groups;                 // in the order in which the run has them
  std::size_t met = 0, missed = 0, unknown = 0;  // targets
  std::size_t facts_as_expected = 0, facts_not = 0;
};

RunView view_of(const Run&);
RunView view_of(Run&&) = delete;  // it must outlive the view

bool is_growth(const SeriesSpec&);
const std::string& variant_of(const SeriesSpec&);
std::string system_of(const SeriesSpec&);  // "iceoryx2" of "iceoryx2, two cores"

}  // namespace hawse::bench
