// SPDX-License-Identifier: Apache-2.0
#include "bench/record/comparison.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace hawse::bench {
namespace {

const Row* find_row(const Run& run, const std::string& id) {
  const auto found = std::find_if(run.rows.begin(), run.rows.end(), [&](const Row& row) { return row.id == id; });
  return found == run.rows.end() ? nullptr : &*found;
}

const Series* find_series(const Run& run, const std::string& row_id, const std::string& key) {
  const Row* row = find_row(run, row_id);
  if (!row) return nullptr;
  const auto found = std::find_if(row->series.begin(), row->series.end(), [&](const Series& series) { return series.spec.key == key; });
  return found == row->series.end() ? nullptr : &*found;
}

bool has_figure(const Series* series) { return series && pick_placement(*series).has_value(); }

std::string why_not(const std::string& which, const Run& run, const std::string& row_id, const Series* series) {
  const Row* row = find_row(run, row_id);
  std::string why = series ? series->missing : "";
  if (why.empty() && row) why = row->missing;
  return which + (why.empty() ? " has no figure" : " has no figure: " + why);
}

Comparison compare_series(const Run& before, const Run& after, const Row& row, const Series& series) {
  const Series* old = find_series(before, row.id, series.spec.key);
  const Series* now = find_series(after, row.id, series.spec.key);
  Comparison result{row.id, series.spec.key, series.spec.unit, {}, 0, ""};
  if (!has_figure(old)) {
    result.note = why_not("before", before, row.id, old);
  } else if (!has_figure(now)) {
    result.note = why_not("after", after, row.id, now);
  } else if (old->spec.unit != now->spec.unit) {
    result.note = "the units differ: " + old->spec.unit + ", " + now->spec.unit;
  } else if (!common_placement(*old, *now)) {
    result.note = "measured in different placements of the machine's cores";
  } else {
    result.noise = default_noise(*old, *now);
    result.change = compare(*old, *now, row.better, result.noise);
    if (result.change.verdict == Verdict::too_few) result.note = "fewer than three passes";
  }
  return result;
}

}  // namespace

std::vector<Comparison> compare_runs(const Run& before, const Run& after) {
  std::vector<Comparison> all;
  std::set<std::pair<std::string, std::string>> seen;
  for (const Run* run : {&before, &after})
    for (const Row& row : run->rows)
      for (const Series& series : row.series) {
        const bool known = has_figure(find_series(before, row.id, series.spec.key)) || has_figure(find_series(after, row.id, series.spec.key));
        if (known && seen.emplace(row.id, series.spec.key).second) all.push_back(compare_series(before, after, row, series));
      }
  return all;
}

Counts count(const std::vector<Comparison>& comparisons) {
  Counts counts;
  for (const Comparison& comparison : comparisons) switch (comparison.change.verdict) {
      case Verdict::no_change: ++counts.no_change; break;
      case Verdict::improved: ++counts.improved; break;
      case Verdict::regressed: ++counts.regressed; break;
      case Verdict::too_few: ++counts.too_few; break;
    }
  return counts;
}

std::vector<std::string> circumstances(const Run& before, const Run& after) {
  std::vector<std::string> different;
  const auto tell = [&](const std::string& what, const std::string& old, const std::string& now) {
    if (old != now) different.push_back(what + ": " + (old.empty() ? "?" : old) + " → " + (now.empty() ? "?" : now));
  };
  const Machine &old = before.machine, &now = after.machine;
  tell("effort", before.effort, after.effort);
  tell("CPU", old.cpu, now.cpu);
  tell("cores", std::to_string(old.cores), std::to_string(now.cores));
  tell("memory", old.memory, now.memory);
  tell("OS", old.os, now.os);
  tell("kernel", old.kernel, now.kernel);
  tell("engine", old.engine, now.engine);
  tell("compiler", old.compiler, now.compiler);
  tell("Python", old.python, now.python);
  for (const auto& [name, value] : old.more) tell(name, value, now.more.count(name) ? now.more.at(name) : "");
  for (const auto& [name, value] : now.more)
    if (!old.more.count(name)) tell(name, "", value);
  return different;
}

}  // namespace hawse::bench
