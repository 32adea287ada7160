// SPDX-License-Identifier: Apache-2.0
//
// `hawse build`: makes every environment that a pipeline needs (base images, system packages, Python packages) ahead of its run.
#include <memory>

#include "cli/commands.hpp"
#include "cli/environments.hpp"
#include "cli/pipeline_options.hpp"

namespace hawse::cli {

void add_build(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("build", "Make a pipeline's environments ahead of its run");
  command->footer("Examples:\n  hawse build captions.yaml\n  hawse build captions.yaml --locked\n  hawse build captions.yaml --executor speech=process");
  auto options = std::make_shared<PipelineOptions>(*command);
  struct Flags {
    Show show;
    bool locked = false;
  };
  auto flags = std::make_shared<Flags>();
  flags->show.add_to(*command);
  command->add_flag("--locked", flags->locked, "Exactly what the lock file says (hawse lock)");
  command->callback([options, flags, &result] {
    auto pipeline = options->load();
    result.exit_code = make_environments(pipeline, flags->locked, flags->show);
  });
}

}  // namespace hawse::cli
