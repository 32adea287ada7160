// SPDX-License-Identifier: Apache-2.0
//
// What `hawse bench` and its subcommands share: the record, the files that a run is written to, a comparison on the terminal.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "bench/record/record.hpp"

namespace hawse::cli {

struct ExportFiles {  // "": not wanted; "-": stdout
  std::string json, csv, markdown, html;
};

void add_export_options(CLI::App&, ExportFiles&);
void write_exports(const bench::Run&, const ExportFiles&);
bench::Record open_record(const std::string& path);  // "": the default one
void print_comparison(const bench::Run& before, const bench::Run& after, bool all);
void add_bench_record(CLI::App& bench);  // history, compare, baseline, export

}  // namespace hawse::cli
