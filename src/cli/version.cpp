// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "commit.hpp"  // written by tools/write_commit at every build

namespace hawse::cli {

void add_version(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("version", "Print the version and the commit it was built from");
  command->footer("Example:\n  hawse version --json");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "As JSON");
  command->callback([as_json] {
    if (*as_json) {
      fmt::print("{}\n", nlohmann::json{{"version", HAWSE_VERSION}, {"commit", kCommit}}.dump());
    } else {
      fmt::print("hawse {} (commit {})\n", HAWSE_VERSION, kCommit);
    }
  });
}

}  // namespace hawse::cli
