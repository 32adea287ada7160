// SPDX-License-Identifier: Apache-2.0
#include "bench/core/runner.hpp"

#include <fnmatch.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "bench/core/placement.hpp"

namespace hawse::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kRetakes = 2;  // of a batch during which the cores moved

std::size_t between(std::size_t quick, std::size_t full, Effort effort) {
  if (effort == Effort::quick) return quick;
  if (effort == Effort::full) return full;
  return static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(quick) * static_cast<double>(full))));
}

// The calibrations of a run, by placement.
struct Calibrations {
  std::vector<double> near, far;
  Placement take() {
    const auto line_ns = line_round_trip_ns();
    if (!line_ns) return Placement::any;
    const Placement placement = placement_of(*line_ns);
    (placement == Placement::near ? near : far).push_back(*line_ns);
    return placement;
  }
  static double median(std::vector<double>& values) {
    if (values.empty()) return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }
};

class RowPass : public Pass {
 public:
  RowPass(const RowSpec& spec, Row& row, unsigned number, const RunOptions& options, Calibrations& calibrations, std::function<void(const std::string&)> on_progress)
      : spec_(spec), row_(row), number_(number), options_(options), calibrations_(calibrations), on_progress_(std::move(on_progress)) {}

  unsigned number() const override { return number_; }
  Effort effort() const override { return options_.effort; }
  bool peers() const override { return options_.peers; }
  std::size_t samples(std::size_t quick, std::size_t full) const override { return between(quick, full, options_.effort); }

  bool wants(const std::string& key) const override {
    const Series& series = find(key);
    return &series != &not_measured_ && series.missing.empty();
  }

  void measure(const std::string& key, const std::function<std::vector<float>()>& take) override {
    if (!wants(key)) return;
    check_interrupted();
    progress(key);
    try {
      for (unsigned attempt = 0; attempt <= kRetakes; ++attempt)
        if (take_batch(find(key), take) != Placement::moved) break;
    } catch (const Unavailable& error) {
      missing(key, error.what());
    }
  }

  void keep(const std::string& key, std::vector<float> values) override {
    if (values.empty() || !wants(key)) return;
    find(key).batches.push_back({number_, Placement::any, std::move(values)});
  }

  void missing(const std::string& key, const std::string& why) override {
    Series& series = find(key);
    if (series.batches.empty()) series.missing = why;
  }
  void version(const std::string& key, const std::string& version) override { find(key).version = version; }

  void fact(Fact fact) override {
    const auto same = std::find_if(row_.facts.begin(), row_.facts.end(), [&](const Fact& each) { return each.what == fact.what && each.variant == fact.variant; });
    if (same == row_.facts.end()) {
      row_.facts.push_back(std::move(fact));
    } else if (same->ok != false) {  // what failed once stays failed
      *same = std::move(fact);
    }
  }

  void interleave(std::vector<std::function<void()>> calls) override {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      check_interrupted();
      calls[(i + number_) % calls.size()]();
    }
  }

  std::string folder() override {
    if (!folder_) folder_.emplace(std::filesystem::temp_directory_path(), "hawse-bench-");
    return folder_->path().string();
  }

  void progress(const std::string& what) override { on_progress_(what); }

 private:
  Series& find(const std::string& key) const {
    const auto found = std::find_if(row_.series.begin(), row_.series.end(), [&](const Series& series) { return series.spec.key == key; });
    if (found != row_.series.end()) return *found;
    if (std::any_of(spec_.series.begin(), spec_.series.end(), [&](const SeriesSpec& series) { return series.key == key; })) return not_measured_;
    throw Error(ErrorCode::internal, "row " + spec_.row.id, "measures the series '" + key + "', which it doesn't declare");
  }

  Placement take_batch(Series& series, const std::function<std::vector<float>()>& take) {
    const Placement before = spec_.placement ? calibrations_.take() : Placement::any;
    auto values = take();
    const Placement after = spec_.placement ? calibrations_.take() : Placement::any;
    const Placement placement = before == after ? before : Placement::moved;
    if (!values.empty()) series.batches.push_back({number_, placement, std::move(values)});
    return placement;
  }

  void check_interrupted() const {
    if (options_.interrupted != nullptr && *options_.interrupted) throw Error(ErrorCode::interrupted, "benchmark", "interrupted");
  }

  const RowSpec& spec_;
  Row& row_;
  const unsigned number_;
  const RunOptions& options_;
  Calibrations& calibrations_;
  std::function<void(const std::string&)> on_progress_;
  std::optional<ScopedDir> folder_;
  mutable Series not_measured_;  // stands for every peer in a run without them
};

// Whatever the row still owes has no figure, for this reason.
void give_up(Row& row, const std::string& why) {
  for (Series& series : row.series)
    if (series.batches.empty() && series.missing.empty()) series.missing = why;
  if (std::all_of(row.series.begin(), row.series.end(), [](const Series& series) { return series.batches.empty(); })) row.missing = why;
}

// A row of this run: without peers, neither their series nor the targets that are held against them.
Row row_of(const RowSpec& spec, bool peers) {
  Row row = spec.row;
  std::set<std::string> left_out;
  for (const SeriesSpec& series : spec.series) {
    if (peers || series.role != Role::peer) row.series.push_back({series, "", "", {}});
    else left_out.insert(series.key);
  }
  std::erase_if(row.targets, [&](const Target& target) { return left_out.contains(target.against); });
  return row;
}

bool takes_part(unsigned pass, unsigned passes, unsigned of_row) { return (pass + 1) * of_row / passes > pass * of_row / passes; }

}  // namespace

const char* to_string(Effort effort) { return effort == Effort::quick ? "quick" : effort == Effort::full ? "full" : "normal"; }

unsigned passes_of(const RowSpec& spec, Effort effort) { return static_cast<unsigned>(std::max<std::size_t>(1, between(spec.quick_passes, spec.full_passes, effort))); }

double seconds_of(const std::vector<RowSpec>& rows, Effort effort) {
  double seconds = 0;
  for (const RowSpec& row : rows) seconds += passes_of(row, effort) * row.seconds_a_pass;
  return seconds;
}

std::vector<RowSpec> select_rows(std::vector<RowSpec> rows, const std::vector<std::string>& patterns) {
  if (patterns.empty()) return rows;
  std::set<std::string> chosen;
  std::vector<std::string> known;
  for (const RowSpec& row : rows) known.push_back(row.row.id);
  for (const auto& pattern : patterns) {
    bool any = false;
    for (const auto& id : known)
      if (id == pattern || id.starts_with(pattern + "/") || ::fnmatch(pattern.c_str(), id.c_str(), 0) == 0) chosen.insert(id), any = true;
    if (any) continue;
    const auto near = nearest(pattern, known);
    throw Error(ErrorCode::usage, "benchmark", fmt::format("no row is named '{}'", strip_control(pattern)),
                near.empty() ? "'hawse bench --list' shows them" : fmt::format("did you mean '{}'?", near));
  }
  std::erase_if(rows, [&](const RowSpec& row) { return !chosen.contains(row.row.id); });
  return rows;
}

Run run_rows(const std::vector<RowSpec>& specs, const RunOptions& options) {
  Run run;
  run.effort = to_string(options.effort);
  run.started_s = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto began = Clock::now();
  unsigned passes = 1;
  for (const RowSpec& spec : specs) {
    passes = std::max(passes, passes_of(spec, options.effort));
    run.rows.push_back(row_of(spec, options.peers));
  }
  Calibrations calibrations;
  const double all_seconds = seconds_of(specs, options.effort);
  double done_seconds = 0;
  bool interrupted = false;
  for (unsigned pass = 0; pass < passes && !interrupted; ++pass) {
    for (std::size_t i = 0; i < specs.size() && !interrupted; ++i) {
      const RowSpec& spec = specs[i];
      Row& row = run.rows[i];
      if (!row.missing.empty() || !takes_part(pass, passes, passes_of(spec, options.effort))) continue;
      RowPass row_pass(spec, row, pass, options, calibrations, [&](const std::string& what) {
        if (options.on_progress) options.on_progress(pass, passes, spec.row.id, what, all_seconds > 0 ? done_seconds / all_seconds : 0);
      });
      row_pass.progress("");
      try {
        spec.measure(row_pass);
      } catch (const Unavailable& error) {
        give_up(row, error.what());
      } catch (const Error& error) {
        interrupted = error.code() == ErrorCode::interrupted;
        if (!interrupted) give_up(row, fmt::format("failed: {}", error.what()));
      } catch (const std::exception& error) {
        give_up(row, fmt::format("failed: {}", error.what()));
      }
      done_seconds += spec.seconds_a_pass;
    }
  }
  for (Row& row : run.rows)
    for (Series& series : row.series)
      if (series.batches.empty() && series.missing.empty()) series.missing = "the run ended before its turn";
  run.near_ns = Calibrations::median(calibrations.near);
  run.far_ns = Calibrations::median(calibrations.far);
  run.seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began).count();
  return run;
}

}  // namespace hawse::bench
