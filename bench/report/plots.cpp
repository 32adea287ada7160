// SPDX-License-Identifier: Apache-2.0
#include "bench/report/plots.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/core.h>

#include "bench/report/format.hpp"
#include "bench/report/words.hpp"

namespace hawse::bench {
namespace {

using nlohmann::json;

constexpr std::size_t kPeerColours = 6;      // as assets/page.css has them
constexpr std::size_t kSamplesForPlot = 20;  // of fewer, a distribution says nothing
constexpr double kSameScale = 8;             // bars that differ by more get a plot of their own

// Four digits are more than a plot shows.
double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double unit = std::pow(10., std::floor(std::log10(std::abs(value))) - 3);
  return std::round(value / unit) * unit;
}

// Plots a kind each: what is compared does the same, and has one unit.
using Kind = std::pair<std::string, std::string>;
std::vector<std::pair<Kind, std::vector<const SeriesView*>>> by_kind(const RowView& row, const std::function<bool(const SeriesView&)>& wanted) {
  std::vector<std::pair<Kind, std::vector<const SeriesView*>>> kinds;
  for (const SeriesView& series : row.series) {
    if (!wanted(series)) continue;
    const Kind kind{kind_of(series.spec()), series.spec().unit};
    auto found = std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) { return k.first == kind; });
    if (found == kinds.end()) found = kinds.insert(kinds.end(), {kind, {}});
    found->second.push_back(&series);
  }
  return kinds;
}

std::string qualified(const std::string& what, const std::string& kind, Placement placement) {
  std::string text = what;
  if (!kind.empty()) text += ", " + kind;
  return *name_of(placement) == '\0' ? text : fmt::format("{}, {}", text, name_of(placement));
}

void add_key(Plot& plot, PlotKey key) {
  static constexpr const char* kDashes[] = {"", "6 3", "2 3", "8 3 2 3"};
  const auto same = std::count_if(plot.keys.begin(), plot.keys.end(), [&](const PlotKey& k) { return k.colour == key.colour; });
  key.dash = kDashes[static_cast<std::size_t>(same) % std::size(kDashes)];
  plot.keys.push_back(std::move(key));
}

json line_of(const PlotKey& key, json points) {
  return {{"name", key.name}, {"colour", key.colour}, {"dash", key.dash}, {"points", std::move(points)}};
}

// Quantiles at equal steps of the logit, so that both tails have points enough; all samples where there are few. Sample i of n is at (i + 1/2) / n.
json quantiles_of(const SeriesView& series) {
  std::vector<float> sorted;
  for (const auto pass : passes_of(*series.series, *series.shown)) sorted.insert(sorted.end(), pass.begin(), pass.end());
  std::sort(sorted.begin(), sorted.end());
  const auto count = static_cast<double>(sorted.size());
  const double last = std::log(2 * count - 1);  // the logit of the largest sample's place, 1 - 1/(2n)
  json points = json::array();
  const std::size_t wanted = std::min(kQuantiles, sorted.size());
  for (std::size_t i = 0; i < wanted; ++i) {
    const double p = sorted.size() <= kQuantiles ? (static_cast<double>(i) + 0.5) / count
                                                 : 1 / (1 + std::exp(last - 2 * last * static_cast<double>(i) / static_cast<double>(wanted - 1)));
    points.push_back({rounded(percentile(sorted, 100 * (p * count - 0.5) / (count - 1))), rounded(std::log(p / (1 - p)))});
  }
  return points;
}

void add_distributions(std::vector<Plot>& plots, const RowView& row, const Palette& palette) {
  const auto wanted = [&](const SeriesView& s) {
    return !is_growth(s.spec()) && s.spec().phase_of.empty() && s.spec().unit == "ns" && s.shown == row.placement && s.figure() != nullptr &&
           s.figure()->samples >= kSamplesForPlot;
  };
  for (const auto& [kind, all] : by_kind(row, wanted)) {
    Plot plot{.title = qualified("How long samples took", kind.first, row.placement),
              .description = {},
              .keys = {},
              .data = {{"kind", "distribution"}, {"unit", kind.second}, {"lines", json::array()}}};
    plot.description = fmt::format("Distribution of {}.", row.row->title);
    for (const SeriesView* series : all) {
      add_key(plot, {series->spec().key, format_value(series->figure()->median, kind.second), palette.colour_of(*series), {}});
      plot.description +=
          fmt::format(" {}: median {}, p99 {}.", series->spec().key, plot.keys.back().value, format_value(series->figure()->p99, kind.second));
      plot.data["lines"].push_back(line_of(plot.keys.back(), quantiles_of(*series)));
    }
    plots.push_back(std::move(plot));
  }
}

json growth_points(const std::vector<const SeriesView*>& curve) {
  json points = json::array();
  for (const SeriesView* series : curve) {
    const Summary& summary = *series->figure();
    points.push_back({*series->spec().x, rounded(summary.median), rounded(summary.median_interval.low), rounded(summary.median_interval.high),
                      format_x(*series->spec().x, series->spec().x_name)});
  }
  return points;
}

void add_growth(std::vector<Plot>& plots, const RowView& row, const Palette& palette) {
  const auto wanted = [&](const SeriesView& s) { return is_growth(s.spec()) && s.spec().phase_of.empty() && s.shown == row.placement; };
  for (auto& [kind, all] : by_kind(row, wanted)) {
    const std::string& x_name = all.front()->spec().x_name;
    Plot plot{.title = qualified("By " + x_name, kind.first, row.placement),
              .description = {},
              .keys = {},
              .data = {{"kind", "growth"}, {"unit", kind.second}, {"x_name", x_name}, {"lines", json::array()}}};
    plot.description = fmt::format("{} by {}.", row.row->title, x_name);
    std::stable_sort(all.begin(), all.end(), [](const SeriesView* a, const SeriesView* b) { return *a->spec().x < *b->spec().x; });
    std::vector<std::string> variants;  // in the order declared
    for (const SeriesView& series : row.series)
      if (std::find(all.begin(), all.end(), &series) != all.end() &&
          std::find(variants.begin(), variants.end(), variant_of(series.spec())) == variants.end())
        variants.push_back(variant_of(series.spec()));
    for (const std::string& variant : variants) {
      std::vector<const SeriesView*> curve;
      std::copy_if(all.begin(), all.end(), std::back_inserter(curve), [&](const SeriesView* s) { return variant_of(s->spec()) == variant; });
      const std::string ends = cell_of({"", curve.front(), curve.back()}, row).figure;
      add_key(plot, {variant, ends, palette.colour_of(*curve.front()), {}});
      plot.description += fmt::format(" {}: {}.", variant, ends);
      plot.data["lines"].push_back(line_of(plot.keys.back(), growth_points(curve)));
    }
    plots.push_back(std::move(plot));
  }
}

Plot phases_plot(const RowView& row) {
  return {.title = "Phases of the start",
          .description = fmt::format("Phases of {}.", row.row->title),
          .keys = {},
          .data = {{"kind", "phases"}, {"unit", "ns"}, {"bars", json::array()}}};
}

void add_bar(Plot& plot, const Phases& phases, const Palette& palette) {
  const std::string& unit = phases.total->spec().unit;
  json parts = json::array();
  plot.description += fmt::format(" {}, {}:", phases.total->spec().key, sum_of(phases));
  std::size_t at = 0;
  for (const SeriesView* part : phases.parts) {
    const double opacity = phase_opacity(at++, phases.parts.size()), median = part->figure() == nullptr ? 0 : part->figure()->median;
    parts.push_back({{"name", phase_label(part->spec())}, {"value", rounded(median)}, {"opacity", opacity}});
    plot.description += fmt::format(" {} {}{}", phase_label(part->spec()), format_value(median, unit), at == phases.parts.size() ? "." : ",");
  }
  plot.data["unit"] = unit;
  plot.data["bars"].push_back({{"name", phases.total->spec().key},
                               {"total", phases.total->figure() == nullptr ? json() : json(rounded(phases.total->figure()->median))},
                               {"colour", palette.colour_of(*phases.total)},
                               {"parts", parts}});
}

void add_phases(std::vector<Plot>& plots, const RowView& row, const Palette& palette) {
  std::vector<const Phases*> all;
  for (const Phases& phases : row.phases)
    if (phases.sum() > 0) all.push_back(&phases);
  std::stable_sort(all.begin(), all.end(), [](const Phases* a, const Phases* b) { return a->sum() > b->sum(); });
  double largest = 0;
  for (const Phases* phases : all) {
    if (largest == 0 || phases->sum() * kSameScale < largest) {
      plots.push_back(phases_plot(row));
      largest = phases->sum();
    }
    add_bar(plots.back(), *phases, palette);
  }
}

}  // namespace

double phase_opacity(std::size_t at, std::size_t count) { return count < 2 ? 1 : 1 - 0.6 * static_cast<double>(at) / static_cast<double>(count - 1); }

Palette::Palette(const RunView& view) {
  for (const GroupView& group : view.groups)
    for (const RowView& row : group.rows)
      for (const SeriesView& series : row.series)
        if (series.spec().role == Role::peer) peers_.emplace(system_of(series.spec()), 0);
  std::size_t next = 0;
  for (auto& [name, colour] : peers_) colour = next++ % kPeerColours;
}

std::string Palette::colour_of(const SeriesView& series) const {
  if (series.spec().role == Role::floor) return "floor";
  if (series.spec().role == Role::peer) return fmt::format("peer-{}", peers_.at(system_of(series.spec())) + 1);
  return series.container ? "container" : series.spec().key.starts_with("thread") ? "thread" : "native";
}

std::vector<Plot> plots_of(const RowView& row, const Palette& palette) {
  std::vector<Plot> plots;
  add_phases(plots, row, palette);
  add_growth(plots, row, palette);
  add_distributions(plots, row, palette);
  return plots;
}

}  // namespace hawse::bench
