// SPDX-License-Identifier: Apache-2.0
//
// What the HTML page draws of a row, as data for assets/page.js: distributions, growth curves, phases. The key and a description in words are
// made here, for readers who see no plot.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/report/view.hpp"

namespace hawse::bench {

// The same thing has the same colour all over the page: ours by where it runs, peers by name, floors grey. The value is a class of assets/page.css.
class Palette {
 public:
  explicit Palette(const RunView&);
  std::string colour_of(const SeriesView&) const;

 private:
  std::map<std::string, std::size_t> peers_;
};

struct PlotKey {
  std::string name, value;
  std::string colour;
  std::string dash;  // tells lines of one colour apart
};

struct Plot {
  std::string title;
  std::string description;
  std::vector<PlotKey> keys;
  nlohmann::json data;
};

// A phase is a tint of its series' colour.
double phase_opacity(std::size_t at, std::size_t count);

// At most this many points a line.
inline constexpr std::size_t kQuantiles = 500;

std::vector<Plot> plots_of(const RowView&, const Palette&);

}  // namespace hawse::bench
