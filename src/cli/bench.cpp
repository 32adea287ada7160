// SPDX-License-Identifier: Apache-2.0
//
// `hawse bench`: measures this machine's figures beside the peers' and the machine's own floors, keeps every sample, and shows the table. What was kept
// is looked at by its subcommands (bench_record.cpp).
#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/exit_codes.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "bench/core/runner.hpp"
#include "bench/record/record.hpp"
#include "bench/report/report.hpp"
#include "bench/rows/rows.hpp"
#include "cli/bench_record.hpp"
#include "cli/commands.hpp"
#include "cli/table.hpp"
#include "commit.hpp"  // written by tools/write_commit at every build

namespace hawse::cli {
namespace {

struct Options {
  std::vector<std::string> names;
  bool quick = false, full = false, peers = false, list = false, quiet = false, no_record = false;
  std::string record, baseline, save_baseline;
  ExportFiles files;
};

std::atomic<bool> interrupted{false};

void on_signal(int number) {
  interrupted = true;
  ::signal(number, SIG_DFL);  // a second one ends it at once: what runs in containers and processes ends with it
}

// One line that says where the run is: over itself on a terminal, elsewhere once a pass. It is written only between batches, and no thread of its own wakes
// while something is measured.
class StatusLine {
 public:
  StatusLine(bool quiet, double seconds) : quiet_(quiet), terminal_(::isatty(2) == 1), seconds_(seconds) {}
  ~StatusLine() { clear(); }
  void operator()(unsigned pass, unsigned passes, const std::string& row, const std::string& what, double done) {
    if (quiet_) return;
    if (terminal_) {
      fmt::print(stderr, "\r\033[Kpass {} of {}  {:3.0f} %  {}{}{}", pass + 1, passes, 100 * done, row, what.empty() ? "" : ": ", strip_control(what));
      std::fflush(stderr);
    } else if (pass + 1 != last_pass_) {
      last_pass_ = pass + 1;
      fmt::print(stderr, "bench: pass {} of {}, about {:.0f} s to go\n", pass + 1, passes, seconds_ * (1 - done));
    }
  }
  void clear() const {
    if (!quiet_ && terminal_) fmt::print(stderr, "\r\033[K");
  }

 private:
  const bool quiet_, terminal_;
  const double seconds_;
  unsigned last_pass_ = 0;
};

void print_list(const std::vector<bench::RowSpec>& rows) {
  std::vector<std::vector<std::string>> lines = {{"row", "quick", "normal", "full", "what"}};
  for (const auto& row : rows) {
    const auto seconds = [&](bench::Effort effort) { return fmt::format("{:.0f} s", bench::passes_of(row, effort) * row.seconds_a_pass); };
    lines.push_back({row.row.id, seconds(bench::Effort::quick), seconds(bench::Effort::normal), seconds(bench::Effort::full), row.row.title});
  }
  fmt::print("{}", align(lines, {false, true, true, true, false}));
  const auto total = [&](bench::Effort effort) { return bench::seconds_of(rows, effort) / 60; };
  fmt::print("{} rows; about {:.0f} min quick, {:.0f} min normal, {:.0f} min full, without peers\n", rows.size(), total(bench::Effort::quick), total(bench::Effort::normal),
             total(bench::Effort::full));
}

std::string command_line(const Options& options) {
  std::string line = "hawse bench";
  for (const auto& name : options.names) line += " " + name;
  if (options.quick) line += " --quick";
  if (options.full) line += " --full";
  if (options.peers) line += " --peers";
  return line;
}

unsigned terminal_columns() {
  winsize size{};
  return ::ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 120;
}

bench::Run measure(const std::vector<bench::RowSpec>& rows, const Options& options) {
  bench::RunOptions run_options;
  run_options.effort = options.quick ? bench::Effort::quick : options.full ? bench::Effort::full : bench::Effort::normal;
  run_options.peers = options.peers;
  run_options.interrupted = &interrupted;
  StatusLine status(options.quiet, bench::seconds_of(rows, run_options.effort));
  run_options.on_progress = std::ref(status);
  const auto machine = bench::describe_machine();  // before: its load is that of the machine without us
  auto run = bench::run_rows(rows, run_options);
  run.machine = machine;
  run.command = command_line(options);
  run.version = HAWSE_VERSION;
  run.commit = kCommit;
  return run;
}

int run_benchmark(const Options& options) {
  const auto rows = bench::select_rows(bench::all_rows(), options.names);
  if (options.list) return print_list(rows), kOk;
  std::unique_ptr<bench::Record> record;  // opened first: an hour's figures must not be lost to a wrong path
  if (!options.no_record) record = std::make_unique<bench::Record>(open_record(options.record));
  std::optional<bench::Run> baseline;
  if (!options.baseline.empty()) baseline = open_record(options.record).load(options.baseline);
  for (const int number : {SIGINT, SIGTERM}) ::signal(number, on_signal);
  ::signal(SIGPIPE, SIG_IGN);
  auto run = measure(rows, options);
  if (record) {
    run.id = record->save(run);
    if (!options.save_baseline.empty() && !interrupted) record->set_baseline(options.save_baseline, run.id);
  }
  write_exports(run, options.files);
  const bool text_on_stdout = options.files.json != "-" && options.files.csv != "-" && options.files.markdown != "-" && options.files.html != "-";
  if (text_on_stdout) fmt::print("{}", bench::to_text(run, ::isatty(1) == 1, terminal_columns()));
  if (!options.peers && text_on_stdout) fmt::print("The peers were not measured: --peers does that.\n");
  if (record && text_on_stdout) fmt::print("\nkept as run {}\n", run.id);
  if (baseline && text_on_stdout) print_comparison(*baseline, run, false);
  if (interrupted) fmt::print(stderr, "bench: interrupted; what was measured until then stands above\n");
  return interrupted ? kInterrupted : kOk;
}

}  // namespace

void add_bench(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("bench", "Measure every claim on this machine, beside its peers");
  command->footer("Examples:\n"
                  "  hawse bench --quick                    the whole table in a few minutes\n"
                  "  hawse bench start 'plane/*-64*'        some rows: by name, group or pattern\n"
                  "  hawse bench --full --peers --html bench.html\n"
                  "  hawse bench --save-baseline before     then change something, and\n"
                  "  hawse bench --baseline before          say what it changed");
  auto options = std::make_shared<Options>();
  command->add_option("row", options->names, "Rows to measure: a name, a group or a pattern; none: all")->type_name("ROW");
  auto* quick = command->add_flag("--quick", options->quick, "A few passes: the whole table in about two minutes");
  command->add_flag("--full", options->full, "As many passes as good statistics need")->excludes(quick);
  command->add_flag("--peers", options->peers, "Measure the peers, too: other systems that do the same work");
  command->add_flag("--list", options->list, "List the rows and what they take; measure nothing");
  command->add_flag("--quiet", options->quiet, "No progress");
  auto* no_record = command->add_flag("--no-record", options->no_record, "Don't keep this run");
  command->add_option("--record", options->record, "Where runs are kept (default: bench.sqlite in the state folder)")->type_name("FILE");
  command->add_option("--baseline", options->baseline, "Compare with a kept run: a baseline's name, a number or 'last'")->type_name("RUN");
  command->add_option("--save-baseline", options->save_baseline, "Keep this run under a name")->type_name("NAME")->excludes(no_record);
  add_export_options(*command, options->files);
  command->require_subcommand(0, 1);
  add_bench_record(*command);
  command->callback([options, &result, command] {
    if (command->get_subcommands().empty()) result.exit_code = run_benchmark(*options);
  });
}

}  // namespace hawse::cli
