// SPDX-License-Identifier: Apache-2.0
//
// `hawse warm`: processes and containers that are ready before the run that wants them. --ls shows what waits, --stop ends it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/environments.hpp"
#include "cli/pipeline_options.hpp"
#include "cli/sessions.hpp"
#include "cli/table.hpp"
#include "executor/container/container_spec.hpp"
#include "executor/process_zygote.hpp"
#include "executor/warm.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

struct Flags {
  bool list = false, stop = false;
  Show show;
  unsigned count = 0;
  std::string stopped;
};

// "": it can be kept warm.
std::string why_not(const pipeline::Node& node) {
  if (node.kind != pipeline::NodeKind::python) return "C++ isn't forked";
  if (!node.fork) return "fork: false";
  if (node.executor == pipeline::ExecutorKind::process && node.limits.file_bytes) return "limits: file: holds from a process's first moment or not at all";
  if (node.share) return "share: true: the first session that wants it makes it";
  return "";
}

int keep(const pipeline::Pipeline& pipeline, const Flags& flags) {
  const OnRequest request;
  const auto containers = executor::make_container_executor(request.making), processes = executor::make_process_executor(request.making);
  bool any = false;
  for (const auto& node : pipeline.nodes) any = any || why_not(node).empty();
  if (!any)
    throw Error(ErrorCode::usage, "keep " + pipeline.name + " warm", "it has no Python node that could be forked", "fork: false and share: true are what is in the way");
  return for_each_environment(pipeline, flags.show, request, [&](const pipeline::Node& node, const executor::Report& report) -> NodeOutcome {
    if (const std::string why = why_not(node); !why.empty()) return {"not kept warm (" + why + ")", {{"kept", 0}}};
    const bool contained = node.executor == pipeline::ExecutorKind::container;
    const auto prepared = (contained ? containers : processes)->prepare(node, report);
    const unsigned count = flags.count > 0 ? flags.count : std::max(node.pool, 1u);
    const auto begun = std::chrono::steady_clock::now();
    executor::keep_warm(node, contained ? executor::container_recipe(node, prepared) : executor::process_recipe(node, prepared), count, true, request.making.interrupt.get());
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count();
    return {fmt::format("{} {}{} started and waiting, {} ms ({})", count, contained ? "container" : "process", count == 1 ? "" : contained ? "s" : "es", ms, prepared.summary),
            {{"kept", count}, {"took_ms", ms}, {"environment", prepared.summary}}};
  });
}

std::string in_words(const json& line) {
  if (line.contains("sessions")) return fmt::format("shared by {} {}", line["sessions"].get<int>(), line["sessions"] == 1 ? "session" : "sessions");
  std::string text = fmt::format("{} of {} waiting", line.value("waiting", 0), line.value("wanted", 0));
  if (const int making = line.value("making", 0); making > 0) text += fmt::format(", {} being made", making);
  if (const int lent = line.value("lent", 0); lent > 0) text += fmt::format(", {} lent to a session", lent);
  if (line.contains("error")) text += ": " + strip_control(line["error"].get<std::string>());
  return text;
}

void list(bool as_json) {
  json all = json::array();
  for (auto& line : executor::all_kept()) {
    line.erase("type");
    all.push_back(std::move(line));
  }
  if (as_json) return fmt::print("{}\n", all.dump(2, ' ', false, json::error_handler_t::replace));
  if (all.empty()) return fmt::print("nothing is kept warm (hawse warm PIPELINE does it, and pool: in a node)\n");
  std::vector<std::vector<std::string>> rows = {{"node", "state", "where", "pipeline"}};
  for (const auto& line : all) {
    std::string where;
    for (const auto& one : line["where"]) where += (where.empty() ? "" : ", ") + one.get<std::string>();
    rows.push_back({strip_control(line["node"].get<std::string>()), in_words(line), where, strip_control(line.value("pipeline", "any"))});
  }
  fmt::print("{}", align(rows, {false, false, false, false}));
}

void stop(const std::string& pipeline, bool as_json) {
  const unsigned gone = executor::stop_warm(pipeline.empty() ? std::filesystem::path() : std::filesystem::absolute(pipeline).lexically_normal());
  if (as_json) return fmt::print("{}\n", to_line({{"ended", gone}}));
  fmt::print("{} that waited {} ended; what a session has stays until it ends\n", gone, gone == 1 ? "is" : "are");
}

}  // namespace

void add_warm(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("warm", "Keep Python nodes of a pipeline started, imported and waiting");
  command->footer(
      "Examples:\n  hawse warm captions.yaml            one process or container for each Python node, until it is stopped\n"
      "  hawse warm captions.yaml -n 2\n  hawse warm --ls\n  hawse warm --stop captions.yaml");
  auto options = std::make_shared<PipelineOptions>(*command);
  auto flags = std::make_shared<Flags>();
  command->get_option("pipeline")->required(false);
  command->add_option("-n,--count", flags->count, "How many for each node; default: what pool: says, or 1")->check(CLI::Range(1, 64))->type_name("N");
  command->add_flag("--ls", flags->list, "Show what is kept warm");
  command->add_flag("--stop", flags->stop, "Keep nothing warm any more: of PIPELINE, or of all");
  flags->show.add_to(*command);
  command->callback([options, flags, &result] {
    if (flags->list) return list(flags->show.json);
    if (flags->stop) return stop(options->file(), flags->show.json);
    if (options->file().empty())
      throw Error(ErrorCode::usage, "keep nodes warm", "of which pipeline?", "hawse warm PIPELINE; --ls shows what is kept");
    result.exit_code = keep(options->load(), *flags);
  });
}

}  // namespace hawse::cli
