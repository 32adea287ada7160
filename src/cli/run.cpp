// SPDX-License-Identifier: Apache-2.0
//
// hawse run: starts a pipeline, shows what it does, and ends with a table. All of it goes to stderr, a node's lines with its name before them; with --quiet
// what nodes print goes where they printed it, as it is; with --json everything goes to stdout as one event a line.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <set>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/environments.hpp"
#include "base/exit_codes.hpp"
#include "cli/event_queue.hpp"
#include "cli/pipeline_options.hpp"
#include "cli/progress.hpp"
#include "cli/signals.hpp"
#include "cli/table.hpp"
#include "embed/stock.hpp"
#include "runtime/session.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;
using runtime::Event;

std::string time_now() {
  const auto now = std::chrono::system_clock::now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::localtime(std::chrono::system_clock::to_time_t(now)), ms);
}

// Events as a person reads them.
class Narrator {
 public:
  Narrator(bool quiet) : quiet_(quiet), progress_(ProgressDisplay::mode_for(2, quiet)) {}

  void operator()(const Event& event) {
    if (event.type == "log") return log(event);
    if (event.type == "failure") return failure(event);
    if (event.type == "progress") return advance(event);
    if (event.type == "node") return node(event);
    if (event.type == "set_aside") return set_aside(event);
    if (quiet_) return;
    if (event.type == "notice") say(event.node, event.data["text"]);
    if (event.type == "session") session(event);
    if (event.type == "summary") progress_.print(2, "\n" + summary_table(event.data));
  }

 private:
  void say(const std::string& who, const std::string& text) {
    progress_.print(2, fmt::format("{} {}{}{}\n", time_now(), who, who.empty() ? "" : ": ", strip_control(text)));
  }
  static std::string frame_in_words(const json& frame) {
    return fmt::format("frame {} of {} (timestamp {:.3f} s)", frame["sequence"].get<std::uint64_t>(), frame["edge"].get<std::string>(),
                       static_cast<double>(frame["timestamp_ns"].get<std::int64_t>()) / 1e9);
  }
  void log(const Event& event) {
    const std::string stream = event.data["stream"];
    if (quiet_) {
      if (stream != "log") progress_.print(stream == "stdout" ? 1 : 2, strip_control(event.data["text"].get<std::string>()) + "\n");
      return;
    }
    const std::string what = stream == "log" ? event.data["level"].get<std::string>() : stream;
    progress_.print(2, fmt::format("{} {} {} | {}\n", time_now(), event.node, what, strip_control(event.data["text"].get<std::string>())));
  }
  void failure(const Event& event) {
    const json& data = event.data;
    const bool may_restart = data.value("attempts", 1) > 1;
    std::string text = fmt::format("{} {} {}", time_now(), event.node, strip_control(data["text"].get<std::string>()));
    text += may_restart ? fmt::format("; attempt {} of {}\n", data["attempt"].get<int>(), data["attempts"].get<int>()) : "\n";
    const auto block = [&](const std::string& lines) {
      std::size_t at = 0;
      while (at < lines.size()) {
        const std::size_t end = std::min(lines.find('\n', at), lines.size());
        text += "    " + lines.substr(at, end - at) + "\n";
        at = end + 1;
      }
    };
    if (data.contains("frame")) text += "  it had " + frame_in_words(data["frame"]) + "\n";
    if (data.contains("traceback")) block(data["traceback"]);
    if (data.contains("tail") && !data["tail"].empty() && !data.contains("traceback")) {
      text += "  its last lines:\n";
      for (const auto& line : data["tail"]) block(strip_control(line.get<std::string>()));
    }
    if (const auto hint = data.value("hint", ""); !hint.empty()) text += "  hint: " + hint + "\n";
    if (may_restart) text += data["restarting"] == true ? "  it is started again\n" : "  it stays down\n";
    progress_.print(2, text);
  }
  void set_aside(const Event& event) {
    say(event.node, fmt::format("{} is set aside, and the stream goes on: {} deaths on it, the last: {} {}", frame_in_words(event.data), event.data["deaths"].get<unsigned>(),
                                event.node, event.data["text"].get<std::string>()));
  }
  void advance(const Event& event) {
    const json& data = event.data;
    progress_.update(event.node, {.what = strip_control(data["what"].get<std::string>()),
                                  .done = data["done"],
                                  .total = data["total"],
                                  .unit = strip_control(data["unit"].get<std::string>()),
                                  .line = strip_control(data.value("line", ""))});
  }
  void node(const Event& event) {
    const std::string state = event.data["state"];
    if (state != "preparing") progress_.finish(event.node, "");
    if (quiet_) return;
    if (state == "ready") placeless_.insert(event.node);
    else if (state != "running" && state != "finishing") placeless_.erase(event.node);
    // An engine that answers late leaves a node ready, even done, in a place that isn't known yet.
    if (const auto where = event.data.find("where"); where != event.data.end() && placeless_.erase(event.node) != 0)
      say(event.node, fmt::format("ready in {}{}", where->get<std::string>(), phases(event.data["phases_ms"])));
  }
  static std::string phases(const json& phases) {
    std::string text;
    for (const char* name : {"environment", "create", "start", "join", "interpreter", "import", "fork", "setup", "connect", "total"})
      if (phases.contains(name)) text += fmt::format("{}{} {:.0f}", text.empty() ? " (ms: " : ", ", name, phases[name].get<double>());
    return text.empty() ? "" : text + ")";
  }
  void session(const Event& event) {
    const std::string state = event.data["state"];
    if (state == "running") say("", fmt::format("running, {:.0f} ms after the start", event.data["start_ms"].get<double>()));
    if (state == "stopping") say("", fmt::format("stopping: the nodes have {:.0f} s to end (Ctrl-C again ends them at once)", event.data["grace_ms"].get<double>() / 1000));
  }

  const bool quiet_;
  std::set<std::string> placeless_;  // nodes that are ready, which wasn't said, as nobody knows where
  ProgressDisplay progress_;
};

void print_json(const Event& event) {
  json line = event.data;
  line["event"] = event.type;
  if (!event.node.empty()) line["node"] = event.node;
  line["time_ns"] = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  fmt::print("{}\n", line.dump(-1, ' ', false, json::error_handler_t::replace));
  fflush(stdout);
}

struct Options {
  std::unique_ptr<PipelineOptions> pipeline;
  bool json = false, quiet = false, locked = false, watch = false;
  int attach_fd = -1;
  std::string log_level = "info";
};

void run(const Options& options, Result& result) {
  pipeline::Pipeline pipeline = options.pipeline->load();
  if (options.locked)
    if (const int code = make_environments(pipeline, true, {.quiet = options.json || options.quiet}); code != kOk) {
      result.exit_code = code;
      return;
    }
  sigset_t blocked = SignalWatch::signals();
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  signal(SIGPIPE, SIG_IGN);

  auto narrator = options.json ? nullptr : std::make_unique<Narrator>(options.quiet);
  if (narrator)
    for (const auto& node : pipeline.nodes)
      if (!node.note.empty()) (*narrator)({"notice", node.id, {{"text", node.note}}});
  auto events = std::make_unique<EventQueue>([&](const Event& event) {
    if (narrator) (*narrator)(event);
    else print_json(event);
  });
  runtime::Session::Options what{.on_event = [&](const Event& event) { events->push(event); },
                                 .application = UniqueFd(options.attach_fd),
                                 .log_level = options.log_level,
                                 .control = true,
                                 .watch = options.watch,
                                 .moved = [&](const std::string& node, pipeline::ExecutorKind kind) {
                                   if (options.locked) throw Error(ErrorCode::usage, "move " + node, "with --locked nodes run only where the lock file has their environment");
                                   return options.pipeline->load(std::pair(node, kind));
                                 }};
  // What nodes print is then this command's own output: all of it, at the pace of whoever reads it.
  if (options.quiet) what.room_for_output = [&] { return events->has_room(); };
  runtime::Session session(std::move(pipeline), runtime::make_executors(embed::make_stock_node), std::move(what));
  runtime::Outcome outcome;
  {
    const SignalWatch watch([&](int count) {
      if (count == 1) session.request_stop();
      else session.kill_all();
    });
    outcome = session.run();
  }
  // Nothing runs any more: whoever doesn't wait until the rest is printed may end this with Ctrl-C.
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  events.reset();
  narrator.reset();
  if (!outcome.failure) return;
  fmt::print(stderr, "hawse: {}\n", strip_control(outcome.reason));
  result.exit_code = exit_code(*outcome.failure);
}

}  // namespace

void add_run(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("run", "Run a pipeline to its end");
  const auto options = std::make_shared<Options>();
  options->pipeline = std::make_unique<PipelineOptions>(*command);
  command->add_flag("--json", options->json, "Print one JSON event a line (docs/events.md)");
  command->add_flag("-q,--quiet", options->quiet, "Only failures, and what the nodes themselves print");
  command->add_flag("--locked", options->locked, "In exactly the environments of the lock file (hawse lock)");
  command->add_flag("--watch", options->watch, "Replace a node whenever its Python files or its program change, without losing a frame");
  command->add_option("--log-level", options->log_level, "Lowest level of the nodes' own log lines")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  command->add_option("--attach-fd", options->attach_fd, "Socket of the program that embeds this pipeline")->group("");
  command->footer(R"(Examples:
  hawse run captions.yaml --set input=meeting.mp4
  hawse run captions.yaml --executor process --json
  hawse run captions.yaml --watch
Ctrl-C ends the run in order within its grace period, a second one at once.)");
  command->callback([options, &result] { run(*options, result); });
}

}  // namespace hawse::cli
