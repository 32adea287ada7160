// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "pipeline/pipeline.hpp"

namespace hawse::cli {

void add_schema(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("schema", "Print the manifest's JSON Schema, for editors");
  command->footer("Example:\n  hawse schema > hawse.schema.json\n  and in a manifest's first line: # yaml-language-server: $schema=hawse.schema.json");
  command->callback([] { fmt::print("{}\n", pipeline::schema().dump(2)); });
}

}  // namespace hawse::cli
