// SPDX-License-Identifier: Apache-2.0
//
// `hawse advise`: runs a pipeline's nodes for a while as processes and in containers, and says which to choose, why, and with which limits.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <thread>

#include "base/exit_codes.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "bench/advise/comparison.hpp"
#include "bench/advise/report.hpp"
#include "cli/commands.hpp"
#include "cli/pipeline_options.hpp"
#include "cli/progress.hpp"
#include "cli/table.hpp"
#include "embed/stock.hpp"

namespace hawse::cli {
namespace {

namespace advise = bench::advise;

struct Options {
  std::string file;
  std::vector<std::string> set, env, nodes;
  double seconds = 10;
  bool write = false, json = false, quiet = false;
};

// Ctrl-C ends the run under way in order, a second one at once; there is no advice then. The signals must be blocked before any thread starts.
class Interrupts {
 public:
  explicit Interrupts(advise::Runner& runner) : thread_([&runner](const std::stop_token& token) {
      const sigset_t set = signals();
      const timespec moment{.tv_sec = 0, .tv_nsec = 100'000'000};
      while (!token.stop_requested())
        if (sigtimedwait(&set, nullptr, &moment) > 0) runner.interrupt();
    }) {}
  static sigset_t signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
    return set;
  }

 private:
  std::jthread thread_;
};

// Loads the new text as if it stood in the file, then puts it there in one step.
void write_manifest(const Options& options, const std::string& before, const advise::Edited& edited) {
  auto around = pipeline::real_surroundings(embed::stock_nodes());
  around.read_file = [&](const std::filesystem::path&) { return edited.text; };
  pipeline::load(options.file, parse_load_options(options.set, {}, options.env), around);
  const std::filesystem::path file = std::filesystem::canonical(options.file);  // a link stays a link
  if (read_file(file) != before)
    throw Error(ErrorCode::manifest, "write the advice", options.file + " was changed while this measured; nothing was written", "run it again");
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) throw Error::from_errno("write the advice", file.string());
  write_file(file, edited.text, status.st_mode & 07777);
  if (status.st_uid != geteuid() && ::chown(file.c_str(), status.st_uid, status.st_gid) != 0) throw Error::from_errno("write the advice", "owner of " + file.string());
}

void print_changes(const std::string& file, const advise::Edited& edited) {
  fmt::print("\n{}: {}\n", file, edited.lines.empty() ? "nothing to change" : "changed");
  for (const auto& line : edited.lines) {
    if (!line.before.empty()) fmt::print("{:>5} - {}\n", line.line, strip_control(line.before));
    fmt::print("{:>5} + {}\n", line.line, strip_control(line.after));
  }
}

void print_text(const advise::Comparison& comparison) {
  fmt::print("{}: each node as a process / in a container, twice for up to {} each\n\n", comparison.pipeline,
             format_duration_ns(static_cast<std::int64_t>(comparison.seconds * 1e9)));
  fmt::print("{}\n{}", align(advise::table_of(comparison), {false, false, false, true, true, true, true, true, false}), strip_control(advise::reasons_of(comparison)));
}

void run(const Options& options) {
  const sigset_t blocked = Interrupts::signals();
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const std::string before = options.write ? read_file(options.file) : "";

  advise::Comparison comparison;
  {
    ProgressDisplay progress(ProgressDisplay::mode_for(2, options.quiet));
    advise::Runner runner([&](const std::string& node, const executor::Progress& what) { progress.update(node, what); },
                          [&](const std::string& node) { progress.finish(node, ""); });
    const Interrupts interrupts(runner);
    comparison = advise::compare({.file = options.file, .load = parse_load_options(options.set, {}, options.env), .seconds = options.seconds, .nodes = options.nodes,
                                  .say = [&](const std::string& text) { if (!options.quiet) progress.print(2, "advise: " + text + "\n"); }},
                                 runner);
  }
  auto result = advise::to_json(comparison);
  if (!options.json) print_text(comparison);
  if (options.write) {
    const auto edited = advise::edit_manifest(before, advise::changes_of(comparison));
    if (!edited.lines.empty()) write_manifest(options, before, edited);
    if (!options.json) print_changes(options.file, edited);
    auto& lines = result["written"] = nlohmann::json::array();
    for (const auto& line : edited.lines) lines.push_back({{"line", line.line}, {"before", line.before}, {"after", line.after}});
  }
  if (options.json) fmt::print("{}\n", result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

void add_advise(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("advise", "Measure each node as a process and in a container, and say which to choose");
  const auto options = std::make_shared<Options>();
  command->add_option("pipeline", options->file, "The pipeline file (YAML or JSON)")->required()->type_name("FILE");
  command->add_option("--set", options->set, "Give a variable of the manifest a value")->type_name("NAME=VALUE")->allow_extra_args(false);
  command->add_option("--env", options->env, "Set an environment variable of one node, or of all")->type_name("[NODE=]NAME=VALUE")->allow_extra_args(false);
  command->add_option("--seconds", options->seconds, "How long each executor is measured for, in two runs")->check(CLI::Range(0.2, 86400.0))->capture_default_str();
  command->add_option("--node", options->nodes, "Only these nodes; the others stay where they are")->type_name("NODE");
  command->add_flag("--write", options->write, "Put the choices into the manifest; all else in it stays as it is");
  command->add_flag("--json", options->json, "Everything that was measured and decided, as JSON");
  command->add_flag("-q,--quiet", options->quiet, "No progress");
  command->footer(R"(Examples:
  hawse advise captions.yaml --set input=meeting.mp4
  hawse advise captions.yaml --set input=meeting.mp4 --seconds 60 --write
What the pipeline would write goes to temporary files (docs/advise.md).)");
  command->callback([options] { run(*options); });
}

}  // namespace hawse::cli
