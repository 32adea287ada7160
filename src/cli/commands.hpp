// SPDX-License-Identifier: Apache-2.0
//
// The commands: each is one file, which adds its own subcommand to the program. A callback does the work, sets the exit code where that isn't 0,
// and throws hawse::Error for what went wrong; main() prints that.
#pragma once

#include <CLI/CLI.hpp>

namespace hawse::cli {

struct Result {
  int exit_code = 0;
};

void add_run(CLI::App&, Result&);
void add_ps(CLI::App&, Result&);
void add_top(CLI::App&, Result&);
void add_logs(CLI::App&, Result&);
void add_tap(CLI::App&, Result&);
void add_inspect(CLI::App&, Result&);
void add_restart(CLI::App&, Result&);
void add_replace(CLI::App&, Result&);
void add_stop(CLI::App&, Result&);
void add_check(CLI::App&, Result&);
void add_build(CLI::App&, Result&);
void add_lock(CLI::App&, Result&);
void add_pack(CLI::App&, Result&);
void add_warm(CLI::App&, Result&);
void add_new(CLI::App&, Result&);
void add_image(CLI::App&, Result&);
void add_schema(CLI::App&, Result&);
void add_doctor(CLI::App&, Result&);
void add_bench(CLI::App&, Result&);
void add_advise(CLI::App&, Result&);
void add_version(CLI::App&, Result&);
void add_completion(CLI::App&, Result&);

}  // namespace hawse::cli
