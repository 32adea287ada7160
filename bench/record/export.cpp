// SPDX-License-Identifier: Apache-2.0
#include "bench/record/export.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "bench/record/wording.hpp"
#include "bench/stats/stats.hpp"

namespace hawse::bench {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::pair<Placement, Summary>> summaries_of(const Series& series) {
  std::vector<std::pair<Placement, Summary>> all;
  for (const Placement placement : {Placement::any, Placement::near, Placement::far, Placement::moved})
    if (const Passes passes = passes_of(series, placement); !passes.empty()) all.emplace_back(placement, summarise(passes));
  return all;
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }
Json pair_of(const Interval& interval) { return {interval.low, interval.high}; }

// The shortest decimal that is this float again: 0.1 and not 0.10000000149011612.
double shortest(float value) {
  const std::string text = fmt::format("{}", value);
  double number = value;
  if (std::isfinite(value)) std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Json summary_json(Placement placement, const Summary& summary) {
  const Outliers& outliers = summary.outliers;
  return {{"placement", word_of(placement)},
          {"samples", summary.samples},
          {"passes", summary.passes},
          {"mean", summary.mean},
          {"median", summary.median},
          {"deviation", summary.deviation},
          {"min", summary.min},
          {"max", summary.max},
          {"p50", summary.p50},
          {"p90", summary.p90},
          {"p99", summary.p99},
          {"p999", summary.p999},
          {"mean_interval", pair_of(summary.mean_interval)},
          {"median_interval", pair_of(summary.median_interval)},
          {"outliers",
           {{"low_severe", outliers.low_severe},
            {"low_mild", outliers.low_mild},
            {"high_mild", outliers.high_mild},
            {"high_severe", outliers.high_severe}}}};
}

Json batches_json(const Series& series) {
  Json all = Json::array();
  for (const Batch& batch : series.batches) {
    Json values = Json::array();
    for (const float value : batch.values) values.push_back(shortest(value));
    all.push_back({{"pass", batch.pass}, {"placement", word_of(batch.placement)}, {"values", std::move(values)}});
  }
  return all;
}

Json series_json(const Series& series, bool with_samples) {
  const SeriesSpec& spec = series.spec;
  Json summaries = Json::array();
  for (const auto& [placement, summary] : summaries_of(series)) summaries.push_back(summary_json(placement, summary));
  Json object = {{"key", spec.key},
                 {"variant", spec.variant.empty() ? spec.key : spec.variant},
                 {"role", word_of(spec.role)},
                 {"unit", spec.unit},
                 {"wait", word_of(spec.wait)},
                 {"payload", word_of(spec.payload)},
                 {"x", spec.x ? Json(*spec.x) : Json()},
                 {"x_name", or_null(spec.x_name)},
                 {"phase_of", or_null(spec.phase_of)},
                 {"operations_per_sample", spec.operations_per_sample},
                 {"version", or_null(series.version)},
                 {"missing", or_null(series.missing)},
                 {"summaries", std::move(summaries)}};
  if (with_samples) object["batches"] = batches_json(series);
  return object;
}

Json target_json(const Row& row, const Target& target) {
  const Judgement judgement = judge(row, target);
  return {{"text", target.text},
          {"of", target.of},
          {"statistic", word_of(target.statistic)},
          {"relation", word_of(target.relation)},
          {"limit", target.limit},
          {"against", or_null(target.against)},
          {"judgement",
           {{"met", word_of(judgement.met)},
            {"value", judgement.value ? Json(*judgement.value) : Json()},
            {"interval", judgement.interval ? pair_of(*judgement.interval) : Json()},
            {"why", or_null(judgement.why)}}}};
}

Json row_json(const Row& row, bool with_samples) {
  Json targets = Json::array(), facts = Json::array(), series = Json::array();
  for (const Target& target : row.targets) targets.push_back(target_json(row, target));
  for (const Fact& fact : row.facts)
    facts.push_back({{"what", fact.what}, {"variant", fact.variant}, {"seen", fact.seen}, {"ok", fact.ok ? Json(*fact.ok) : Json()}});
  for (const Series& one : row.series) series.push_back(series_json(one, with_samples));
  return {{"id", row.id},
          {"group", row.group},
          {"title", row.title},
          {"measured", row.measured},
          {"better", word_of(row.better)},
          {"missing", or_null(row.missing)},
          {"targets", std::move(targets)},
          {"facts", std::move(facts)},
          {"series", std::move(series)}};
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + '"';
}

// A line, and its end.
void append(std::string& csv, const std::vector<std::string>& fields) {
  for (std::size_t i = 0; i < fields.size(); ++i) csv += (i ? "," : "") + quoted(fields[i]);
  csv += '\n';
}

std::vector<std::string> about(const Row& row, const Series& series) {
  const SeriesSpec& spec = series.spec;
  return {row.id,
          spec.key,
          spec.variant.empty() ? spec.key : spec.variant,
          word_of(spec.role),
          spec.unit,
          word_of(spec.wait),
          word_of(spec.payload),
          spec.x ? fmt::format("{}", *spec.x) : "",
          spec.x_name,
          series.version};
}

const std::vector<std::string> kColumns = {"row",     "series",    "variant", "role",   "unit",   "wait", "payload", "x",    "x_name",
                                           "version", "placement", "n",       "passes", "median", "low",  "high",    "mean", "deviation",
                                           "p50",     "p90",       "p99",     "p999",   "min",    "max",  "missing"};

void append_series(std::string& csv, const Row& row, const Series& series) {
  const auto summaries = summaries_of(series);
  for (const auto& [placement, summary] : summaries) {
    std::vector<std::string> fields = about(row, series);
    for (std::string field : {word_of(placement), std::to_string(summary.samples), std::to_string(summary.passes)})
      fields.push_back(std::move(field));
    for (const double figure : {summary.median, summary.median_interval.low, summary.median_interval.high, summary.mean, summary.deviation,
                                summary.p50, summary.p90, summary.p99, summary.p999, summary.min, summary.max})
      fields.push_back(fmt::format("{}", figure));
    fields.push_back(series.missing);
    append(csv, fields);
  }
  if (!summaries.empty()) return;
  std::vector<std::string> fields = about(row, series);
  fields.resize(kColumns.size());
  fields.back() = series.missing.empty() ? row.missing : series.missing;
  append(csv, fields);
}

}  // namespace

std::string to_json(const Run& run, bool with_samples) {
  Json rows = Json::array();
  for (const Row& row : run.rows) rows.push_back(row_json(row, with_samples));
  const Json whole = {
      {"format", "hawse-bench"},
      {"format_version", 1},
      {"run",
       {{"id", run.id},
        {"started_s", run.started_s},
        {"seconds", run.seconds},
        {"command", run.command},
        {"effort", run.effort},
        {"version", run.version},
        {"commit", run.commit}}},
      {"machine", json_of(run.machine)},
      {"calibration", {{"near_ns", run.near_ns > 0 ? Json(run.near_ns) : Json()}, {"far_ns", run.far_ns > 0 ? Json(run.far_ns) : Json()}}},
      {"rows", std::move(rows)}};
  return whole.dump(with_samples ? -1 : 1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_csv(const Run& run) {
  std::string csv;
  append(csv, kColumns);
  for (const Row& row : run.rows) {
    for (const Series& series : row.series) append_series(csv, row, series);
    if (!row.series.empty()) continue;
    std::vector<std::string> fields(kColumns.size());
    fields.front() = row.id;
    fields.back() = row.missing;
    append(csv, fields);
  }
  return csv;
}

}  // namespace hawse::bench
