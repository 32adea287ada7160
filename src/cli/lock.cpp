// SPDX-License-Identifier: Apache-2.0
//
// `hawse lock`: resolves and makes every environment of a pipeline, and writes down beside the manifest what exactly each came down to.
#include <fmt/format.h>

#include <memory>
#include <mutex>

#include "base/error.hpp"
#include "base/files.hpp"
#include "cli/commands.hpp"
#include "cli/environments.hpp"
#include "cli/pipeline_options.hpp"
#include "cli/sessions.hpp"
#include "executor/lock/lock.hpp"

namespace hawse::cli {
namespace {

// Nothing is written unless every node could be locked.
int lock(const pipeline::Pipeline& pipeline, Show show) {
  executor::LockFile made{.uv = executor::version_of_uv(), .nodes = {}};
  std::mutex mutex;
  const OnRequest request;
  const int code = for_each_environment(pipeline, show, request, [&](const pipeline::Node& node, const executor::Report& report) -> NodeOutcome {
    if (!executor::has_environment(node)) return std::string();
    auto locked = executor::lock_node(node, report, request.making);
    NodeOutcome done("environment " + locked.environment, {{"environment", locked.environment}});
    const std::lock_guard guard(mutex);
    made.nodes[node.id] = std::move(locked);
    return done;
  });
  if (code != 0) return code;
  const auto file = executor::lock_path(pipeline);
  write_file(file, executor::to_text(made));
  if (show.json) fmt::print("{}\n", to_line({{"file", file.string()}, {"environments", made.nodes.size()}}));
  else if (!show.quiet) fmt::print("{}: {} {}\n", file.string(), made.nodes.size(), made.nodes.size() == 1 ? "environment" : "environments");
  return 0;
}

}  // namespace

void add_lock(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("lock", "Fix every version and hash of a pipeline's environments in a file beside it");
  command->footer("Examples:\n  hawse lock captions.yaml             writes captions.yaml.lock\n  hawse run captions.yaml --locked     runs with exactly that");
  auto options = std::make_shared<PipelineOptions>(*command);
  auto show = std::make_shared<Show>();
  show->add_to(*command);
  command->callback([options, show, &result] { result.exit_code = lock(options->load(), *show); });
}

}  // namespace hawse::cli
