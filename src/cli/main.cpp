// SPDX-License-Identifier: Apache-2.0
//
// The command `hawse`: puts the subcommands together, runs one, and turns whatever went wrong into text on stderr and an exit code.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "base/exit_codes.hpp"
#include "pipeline/pipeline.hpp"

namespace hawse::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  hawse new hello && hawse run hello/pipeline.yaml      a first pipeline, ready to edit
  hawse run captions.yaml --set input=meeting.mp4       run one, with a variable set
  hawse check captions.yaml                             what would run where, and what it may touch
  hawse run captions.yaml --executor speech=process     move a node for this run
  hawse doctor                                          what this machine has and lacks)";

void print_error(const std::string& message, const std::string& hint) {
  fmt::print(stderr, "hawse: {}\n", message);
  if (!hint.empty()) fmt::print(stderr, "  hint: {}\n", hint);
}

void print_error(const Error& error) {
  print_error(error.context().empty() ? error.operation() : fmt::format("{}: {}", error.operation(), error.context()), error.hint());
}

void print_findings(const pipeline::ManifestError& error) {
  for (const auto& finding : error.findings()) fmt::print(stderr, "{}\n", to_string(finding));
  const auto count = error.findings().size();
  fmt::print(stderr, "hawse: {} {} in the manifest; nothing was started\n", count, count == 1 ? "error" : "errors");
}

std::vector<std::string> names_of_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> names_of_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options([](const CLI::Option* each) { return !each->get_group().empty(); })) {  // hidden ones have none
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// The innermost subcommand that the command line reached.
const CLI::App& innermost(const CLI::App& app) {
  const auto reached = app.get_subcommands();
  return reached.empty() ? app : innermost(*reached.front());
}

std::string path_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : path_of(*app.get_parent()) + " " + app.get_name();
}

int print_usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const auto& command = innermost(app);
  const auto rest = app.remaining(true);
  if (rest.empty()) {
    print_error(error.what(), fmt::format("'{} --help' shows what it takes", path_of(command)));
    return kUsage;
  }
  const bool is_option = rest.front().starts_with("-");
  const auto near = nearest(rest.front(), is_option ? names_of_options(command) : names_of_commands(command));
  const bool takes_command = !names_of_commands(command).empty();
  const char* what = is_option ? "unknown option" : takes_command ? "unknown command" : "unexpected argument";
  print_error(fmt::format("{} '{}'", what, strip_control(rest.front())),
              near.empty() ? fmt::format("'{} --help' shows what there is", path_of(command)) : fmt::format("did you mean '{}'?", near));
  return kUsage;
}

int run_command(CLI::App& app, const Result& result, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return result.exit_code;
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    return print_usage_error(app, error);
  } catch (const pipeline::ManifestError& error) {
    print_findings(error);
    return kManifest;
  } catch (const Error& error) {
    print_error(error);
    return exit_code(error.code());
  } catch (const std::exception& error) {
    print_error(fmt::format("internal error: {}", error.what()), "this is a mistake of ours: please report it");
    return kInternal;
  }
}

}  // namespace
}  // namespace hawse::cli

int main(int argc, char** argv) {
  using namespace hawse;
  using namespace hawse::cli;
  CLI::App app("Runs streaming pipelines whose nodes are threads, processes and containers on one shared memory.", "hawse");
  app.footer(kExamples);
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Show this help");
  Result result;
  for (const auto add :
       {add_run,  add_ps,   add_top,  add_logs, add_tap,   add_inspect, add_restart, add_replace, add_stop,   add_check,   add_build,
        add_lock, add_pack, add_warm, add_new,  add_image, add_schema,  add_doctor,  add_bench,   add_advise, add_version, add_completion}) {
    add(app, result);
  }
  if (argc == 1) {
    fmt::print(stderr, "{}", app.help());
    return kUsage;
  }
  return run_command(app, result, argc, argv);
}
