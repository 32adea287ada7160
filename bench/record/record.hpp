// SPDX-License-Identifier: Apache-2.0
//
// The benchmark's memory: every run with all that it holds, in one SQLite file, and the names of runs to compare with (baselines).
//
// Samples are kept raw, as float32 in the byte order of x86 and ARM, one BLOB a batch; everything else is in columns, so that the file can be asked
// by any SQLite client:
//   runs · result_rows (the table's lines, with targets and facts as JSON) · series · batches · baselines
// Unlike the index of environments this is no cache: a file that is damaged, or that a newer version wrote, is left as it is, and the Error names it.
// Threading: one thread an object; several objects and processes may use one file at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/core/result.hpp"

namespace hawse::bench {

struct RunSummary {
  std::int64_t id = 0, started_s = 0, seconds = 0;
  std::string command, effort, version, commit;
  std::size_t rows = 0, series = 0;  // series: that have samples
  std::vector<std::string> baselines;
};

struct Baseline {
  std::string name;
  std::int64_t run = 0;
};

class Record {
 public:
  static std::filesystem::path default_file();                          // state_dir()/"bench.sqlite"
  explicit Record(const std::filesystem::path& file = default_file());  // makes the file and its folders
  Record(Record&&) noexcept;
  Record& operator=(Record&&) noexcept;
  ~Record();

  std::int64_t save(const Run&);  // the id it was given; never given twice

  // which: "last", "last~2" (the second before it), an id, a baseline's name, or the first characters (four or more) of a commit: its newest run.
  std::int64_t find(const std::string& which);  // throws Error: usage
  Run load(const std::string& which);
  std::vector<RunSummary> list();  // the newest first
  void remove(std::int64_t id);    // not what is a baseline

  void set_baseline(const std::string& name, std::int64_t id);  // letters, digits, `.`, `_`, `-`; moves a name that exists
  void remove_baseline(const std::string& name);
  std::vector<Baseline> baselines();  // by name

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hawse::bench
