// SPDX-License-Identifier: Apache-2.0
//
// `hawse bench history | compare | baseline | export`: the runs that were kept.
#include "cli/bench_record.hpp"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bench/record/comparison.hpp"
#include "bench/record/export.hpp"
#include "bench/record/tables.hpp"
#include "bench/report/report.hpp"

namespace hawse::cli {
namespace {

std::shared_ptr<std::string> add_record_option(CLI::App& command) {
  auto file = std::make_shared<std::string>();
  command.add_option("--record", *file, "Where runs are kept (default: bench.sqlite in the state folder)")->type_name("FILE");
  return file;
}

void write(const std::string& file, const std::string& text) {
  if (file == "-") {
    fmt::print("{}", text);
  } else if (!file.empty()) {
    write_file(file, text);
    fmt::print(stderr, "bench: wrote {}\n", file);
  }
}

void add_history(CLI::App& bench) {
  auto* command = bench.add_subcommand("history", "The runs that were kept");
  command->footer("Example:\n  hawse bench history");
  const auto file = add_record_option(*command);
  command->callback([file] { fmt::print("{}", bench::history_table(open_record(*file).list())); });
}

void add_compare(CLI::App& bench) {
  auto* command = bench.add_subcommand("compare", "What changed between two runs: change, p-value, verdict");
  command->footer("Example:\n  hawse bench compare before last\n  hawse bench compare last~1 last --all");
  struct Options {
    std::string before, after;
    bool all = false;
  };
  auto options = std::make_shared<Options>();
  const auto file = add_record_option(*command);
  command->add_option("before", options->before, "A baseline's name, a run's number, 'last', 'last~1', or the begin of a commit")->required()->type_name("RUN");
  command->add_option("after", options->after, "Likewise")->required()->type_name("RUN");
  command->add_flag("--all", options->all, "What did not change, too");
  command->callback([file, options] {
    auto record = open_record(*file);
    print_comparison(record.load(options->before), record.load(options->after), options->all);
  });
}

void add_baseline(CLI::App& bench) {
  auto* command = bench.add_subcommand("baseline", "Name a run to compare with; without a name, list them");
  command->footer("Examples:\n  hawse bench baseline before last\n  hawse bench baseline --remove before");
  struct Options {
    std::string name, run = "last", remove;
  };
  auto options = std::make_shared<Options>();
  const auto file = add_record_option(*command);
  command->add_option("name", options->name, "The name: letters, digits, '.', '_', '-'")->type_name("NAME");
  command->add_option("run", options->run, "Which run")->type_name("RUN")->capture_default_str();
  command->add_option("--remove", options->remove, "Forget a name; the run stays")->type_name("NAME");
  command->callback([file, options] {
    auto record = open_record(*file);
    if (!options->remove.empty()) record.remove_baseline(options->remove);
    if (!options->name.empty()) record.set_baseline(options->name, record.find(options->run));
    if (!options->name.empty() || !options->remove.empty()) return;
    for (const auto& baseline : record.baselines()) fmt::print("{}  run {}\n", baseline.name, baseline.run);
  });
}

void add_export(CLI::App& bench) {
  auto* command = bench.add_subcommand("export", "Write a kept run as a page, Markdown, CSV or JSON");
  command->footer("Example:\n  hawse bench export last --html bench.html --markdown bench.md");
  auto run = std::make_shared<std::string>("last");
  auto files = std::make_shared<ExportFiles>();
  const auto file = add_record_option(*command);
  command->add_option("run", *run, "Which run")->type_name("RUN")->capture_default_str();
  add_export_options(*command, *files);
  command->callback([file, run, files] {
    if ((files->json + files->csv + files->markdown + files->html).empty())
      throw Error(ErrorCode::usage, "bench export", "no file is named", "--html, --markdown, --csv or --json with a file, or - for stdout");
    write_exports(open_record(*file).load(*run), *files);
  });
}

}  // namespace

void add_export_options(CLI::App& command, ExportFiles& files) {
  command.add_option("--html", files.html, "Write a page with plots that needs nothing else ('-': stdout)")->type_name("FILE");
  command.add_option("--markdown", files.markdown, "Write the tables as Markdown")->type_name("FILE");
  command.add_option("--csv", files.csv, "Write a line for each series")->type_name("FILE");
  command.add_option("--json", files.json, "Write everything, every sample included")->type_name("FILE");
}

void write_exports(const bench::Run& run, const ExportFiles& files) {
  if (!files.html.empty()) write(files.html, bench::to_html(run));
  if (!files.markdown.empty()) write(files.markdown, bench::to_markdown(run));
  if (!files.csv.empty()) write(files.csv, bench::to_csv(run));
  if (!files.json.empty()) write(files.json, bench::to_json(run, true));
}

bench::Record open_record(const std::string& path) { return path.empty() ? bench::Record() : bench::Record(path); }

void print_comparison(const bench::Run& before, const bench::Run& after, bool all) {
  fmt::print("{}", bench::comparison_table(before, after, bench::compare_runs(before, after), all));
}

void add_bench_record(CLI::App& bench) {
  add_history(bench);
  add_compare(bench);
  add_baseline(bench);
  add_export(bench);
}

}  // namespace hawse::cli
