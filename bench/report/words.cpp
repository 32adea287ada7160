// SPDX-License-Identifier: Apache-2.0
#include "bench/report/words.hpp"

#include <map>

#include <fmt/core.h>

#include "bench/report/format.hpp"

namespace hawse::bench {
namespace {

bool shows_percentiles(const SeriesSpec& spec) { return spec.unit == "ns" && spec.phase_of.empty(); }

std::string figure_at(const SeriesView& series) {
  const Summary* summary = series.figure();
  return fmt::format("{} at {}", summary == nullptr ? "no figure" : format_value(summary->median, series.spec().unit),
                     format_x(*series.spec().x, series.spec().x_name));
}

std::string p99_of(const SeriesView& series, const Summary& summary) {
  return shows_percentiles(series.spec()) && summary.samples >= kSamplesForP99 ? format_value(summary.p99, series.spec().unit) : "";
}

std::string p999_of(const SeriesView& series, const Summary& summary) {
  return shows_percentiles(series.spec()) && summary.samples >= kSamplesForP999 ? format_value(summary.p999, series.spec().unit) : "";
}

// "1.2 µs at 1 → 1.3 µs at 64 readers"; of bytes, the unit says it.
std::string growth_of(const Line& line) {
  const std::string& name = line.to->spec().x_name;
  const std::string ends = line.from == line.to ? figure_at(*line.to) : fmt::format("{} → {}", figure_at(*line.from), figure_at(*line.to));
  return name.find("byte") == std::string::npos ? ends + " " + name : ends;
}

std::string samples_of(const Summary& summary) {
  const bool even = summary.passes > 0 && summary.samples % summary.passes == 0;
  return even ? fmt::format("{} × {}", summary.passes, format_count(summary.samples / summary.passes))
              : fmt::format("{} in {}", format_count(summary.samples), plural(summary.passes, "pass"));
}

std::string about_samples(const SeriesView& series) {
  const std::uint32_t operations = series.spec().operations_per_sample;
  std::string text = operations > 1 ? fmt::format("of {} each", plural(operations, "operation")) : "";
  return series.moved == 0 ? text : text + fmt::format("{}{} more while the cores moved", text.empty() ? "" : "; ", format_count(series.moved));
}

std::string outliers_of(const Outliers& outliers) {
  const std::size_t mild = outliers.low_mild + outliers.high_mild, severe = outliers.low_severe + outliers.high_severe;
  return mild + severe == 0 ? "none" : fmt::format("{} mild, {} severe", format_count(mild), format_count(severe));
}

std::string why_missing(const SeriesView& series, const RowView& row) {
  if (!series.series->missing.empty()) return series.series->missing;
  if (!row.row->missing.empty()) return row.row->missing;
  return series.moved > 0 ? "the cores' placement changed during every sample" : "not measured in this run";
}

}  // namespace

const char* name_of(Placement placement) {
  switch (placement) {
    case Placement::near: return "NEAR";
    case Placement::far: return "FAR";
    case Placement::moved: return "moved";
    case Placement::any: break;
  }
  return "";
}

const char* name_of(Wait wait) {
  switch (wait) {
    case Wait::polling: return "polling";
    case Wait::sleeping: return "sleeping";
    case Wait::adaptive: return "adaptive spin";
    case Wait::none: break;
  }
  return "";
}

const char* name_of(Payload payload) {
  return payload == Payload::untouched ? "untouched" : payload == Payload::written_and_read ? "written and read" : "";
}

const char* name_of(Role role) { return role == Role::ours ? "Hawsepipe" : role == Role::peer ? "peer" : "floor"; }

const char* name_of(Met met) { return met == Met::met ? "met" : met == Met::missed ? "MISSED" : "no figure"; }

std::string kind_of(const SeriesSpec& spec) {
  const std::string wait = name_of(spec.wait), payload = name_of(spec.payload);
  return wait + (wait.empty() || payload.empty() ? "" : ", ") + payload;
}

std::string kind_of(const RowView& row) { return row.kinds_differ || row.series.empty() ? "" : kind_of(row.series.front().spec()); }

std::string phase_label(const SeriesSpec& spec) {
  if (!spec.key.starts_with(spec.phase_of) || spec.key.size() == spec.phase_of.size()) return spec.key;
  const auto start = spec.key.find_first_not_of(" :/.-", spec.phase_of.size());
  return start == std::string::npos ? spec.key : spec.key.substr(start);
}

Cell cell_of(const Line& line, const RowView& row) {
  Cell cell{.label = line.label, .figure = {}, .interval = {}, .tail = {}, .placement = {}, .missing = {}};
  if (row.kinds_differ && !kind_of(line.from->spec()).empty()) cell.label += (cell.label.empty() ? "" : ", ") + kind_of(line.from->spec());
  const SeriesView& end = line.to != nullptr ? *line.to : *line.from;
  const Summary* summary = end.figure();
  if (summary == nullptr && line.from->figure() == nullptr) {
    cell.missing = why_missing(end, row);
    return cell;
  }
  if (line.to != nullptr) {
    cell.figure = growth_of(line);
    if (summary == nullptr) return cell;
  } else {
    cell.figure = format_value(summary->median, end.spec().unit);
    cell.interval = format_interval(summary->median_interval, summary->median, end.spec().unit);
    if (const auto p99 = p99_of(end, *summary); !p99.empty()) cell.tail = "p99 " + p99;
    if (const auto p999 = p999_of(end, *summary); !p999.empty()) cell.tail += ", p99.9 " + p999;
  }
  if (*end.shown != row.placement) cell.placement = name_of(*end.shown);
  return cell;
}

std::vector<Detail> details_of(const RowView& row) {
  std::vector<Detail> details;
  for (const SeriesView& series : row.series) {
    Detail detail;
    detail.series = &series;
    detail.name = series.spec().key + (series.series->version.empty() ? "" : " " + series.series->version);
    detail.kind = kind_of(series.spec());
    if (series.figures.empty()) {
      detail.missing = why_missing(series, row);
      details.push_back(detail);
    }
    for (const auto& [placement, summary] : series.figures) {
      Detail& one = details.emplace_back(detail);
      const std::string& unit = series.spec().unit;
      one.placement = name_of(placement);
      one.samples = samples_of(summary);
      one.about_samples = about_samples(series);
      one.median = format_value(summary.median, unit);
      one.interval = format_interval(summary.median_interval, summary.median, unit);
      one.mean = format_value(summary.mean, unit);
      one.range = format_interval({summary.min, summary.max}, summary.median, unit);
      one.p99 = p99_of(series, summary);
      one.p999 = p999_of(series, summary);
      one.outliers = outliers_of(summary.outliers);
    }
  }
  return details;
}

std::string value_of(const TargetView& target) {
  const Judgement& judged = target.judgement;
  if (!judged.value) return judged.why.empty() ? "not measured" : judged.why;
  const bool within = target.target->relation == Target::Relation::within;
  // A ratio that is to be 1 says its news in the fourth digit; and a figure that misses its target doesn't read as if it met it.
  const bool looks_met = judged.met == Met::missed && format_value(*judged.value, target.unit) == format_value(target.target->limit, target.unit);
  std::string text = format_value(*judged.value, target.unit, within || looks_met ? 4 : 3) + (target.unit == "ratio" && !within ? " ×" : "");
  if (judged.interval) text += fmt::format(" ({})", format_interval(*judged.interval, *judged.value, target.unit));
  return text;
}

std::string sum_of(const Phases& phases) {
  const std::string& unit = phases.total->spec().unit;
  const Summary* total = phases.total->figure();
  return format_value(phases.sum(), unit) + (total == nullptr ? "" : fmt::format(", of {} in all", format_value(total->median, unit)));
}

std::string facts_cell(const Row& row, bool container) {
  std::size_t judged = 0, good = 0;
  for (const Fact& fact : row.facts) {
    if (!fact.ok || (fact.variant.find("container") != std::string::npos) != container) continue;
    ++judged;
    good += *fact.ok;
  }
  return judged == 0 ? "" : fmt::format("{} of {} as it should be", good, judged);
}

std::string verdict_of(const RunView& view) {
  const std::size_t all = view.met + view.missed + view.unknown, probed = view.facts_as_expected + view.facts_not;
  std::string text = fmt::format("{} of {} met", view.met, plural(all, "target"));
  if (view.missed > 0) text += fmt::format(", {} missed", view.missed);
  if (view.unknown > 0) text += fmt::format(", {} without a figure", view.unknown);
  if (probed > 0) text += fmt::format("; {} of {} as it should be", view.facts_as_expected, plural(probed, "probe"));
  return text;
}

std::string provenance_of(const Run& run) {
  std::string text = fmt::format("Hawsepipe {}{}", run.version, run.commit.empty() ? "" : fmt::format(" ({})", run.commit));
  return text + fmt::format(", {} run of {} on {}", run.effort, format_duration(run.seconds), format_date(run.started_s));
}

std::vector<std::pair<std::string, std::string>> facts_of(const Run& run) {
  const Machine& machine = run.machine;
  std::vector<std::pair<std::string, std::string>> facts = {
      {"command", run.command},
      {"effort", run.effort},
      {"taken", fmt::format("{}, in {}", format_date(run.started_s), format_duration(run.seconds))},
      {"Hawsepipe", run.version},
      {"commit", run.commit.ends_with("+") ? run.commit + ", with changes" : run.commit},
      {"processor", machine.cpu},
      {"cores", std::to_string(machine.cores)},
      {"memory", machine.memory},
      {"system", machine.os},
      {"kernel", machine.kernel},
      {"container engine", machine.engine},
      {"compiler", machine.compiler},
      {"Python", machine.python}};
  facts.insert(facts.end(), machine.more.begin(), machine.more.end());
  std::map<std::string, std::string> peers;
  for (const Row& row : run.rows)
    for (const Series& series : row.series)
      if (series.spec.role == Role::peer && !series.version.empty()) peers.emplace(system_of(series.spec), series.version);
  facts.insert(facts.end(), peers.begin(), peers.end());
  std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
  return facts;
}

std::string explain_placement(const Run& run) {
  std::string seen;
  if (run.near_ns > 0) seen = fmt::format("{} in NEAR", format_value(run.near_ns, "ns"));
  if (run.far_ns > 0) seen += fmt::format("{}{} in FAR", seen.empty() ? "" : ", ", format_value(run.far_ns, "ns"));
  std::string text =
      "A machine's two cores can be NEAR (they share a cache) or FAR, and a virtual machine moves between the two by itself; everything between "
      "cores then "
      "takes several times as long. Each latency sample is tagged with the placement found before and after it, and only samples of the same "
      "placement are compared.";
  return seen.empty() ? text : text + fmt::format(" In this run one cache line went there and back in {}.", seen);
}

}  // namespace hawse::bench
