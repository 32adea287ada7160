// SPDX-License-Identifier: Apache-2.0
//
// How a row of the table is measured. A row is declared once with its series and targets, and measured in passes: the runner goes over all
// rows, then over all again, so that every row's samples are spread over the whole run and slow changes of the machine hit all alike.
// Within a pass a row measures its series one after another, in an order that rotates with the pass: peers are interleaved.
//
//   void add_rows(std::vector<RowSpec>& rows) {
//     rows.push_back({.row = {.id = "edge-setup", ...}, .measure = [](Pass& pass) {
//       pass.measure("ours", [&] { return std::vector<float>{...}; });
//     }});
//   }
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/core/result.hpp"

namespace hawse::bench {

enum class Effort : std::uint8_t { quick, normal, full };

// Thrown by whatever measures: the series (or, outside measure(), all that the row still owes) has no figure, for this reason.
struct Unavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct RowSpec;

// One pass over one row.
class Pass {
 public:
  // The implementation (runner) fills it; rows only call.
  virtual ~Pass() = default;
  virtual unsigned number() const = 0;   // 0, 1, ...
  virtual Effort effort() const = 0;
  virtual bool peers() const = 0;        // --peers
  // How many, by effort; normal is their geometric mean.
  virtual std::size_t samples(std::size_t quick, std::size_t full) const = 0;
  // Is this series wanted in this run? Peers only with --peers: without, they aren't part of the run at all.
  virtual bool wants(const std::string& key) const = 0;
  // Takes a batch of the series: calibrates the placement before and after (where the row says that it depends on it), tags, keeps. Unavailable inside marks
  // the series as missing; it isn't tried again. Does nothing where the series isn't wanted.
  virtual void measure(const std::string& key, const std::function<std::vector<float>()>& take) = 0;
  // Batches of several series at once, for what is measured together (phases of a start).
  virtual void keep(const std::string& key, std::vector<float> values) = 0;
  virtual void missing(const std::string& key, const std::string& why) = 0;
  virtual void version(const std::string& key, const std::string& version) = 0;
  virtual void fact(Fact) = 0;           // the last one of the same what and variant stands
  // The calls in an order that rotates with the pass: give each series' measurement as one call.
  virtual void interleave(std::vector<std::function<void()>> calls) = 0;
  // An empty folder of this pass's own, removed after it.
  virtual std::string folder() = 0;
  // A progress line: "container 3 of 20".
  virtual void progress(const std::string& what) = 0;
};

struct RowSpec {
  Row row;
  std::vector<SeriesSpec> series;
  bool placement = false;        // the figure depends on where the two cores are: calibrate and tag
  unsigned quick_passes = 3, full_passes = 20;
  double seconds_a_pass = 0.5;   // a guess for --list and the progress bar
  std::function<void(Pass&)> measure;
};

}  // namespace hawse::bench
