// SPDX-License-Identifier: Apache-2.0
//
// `hawse logs`: what the nodes of a running session have printed and logged, as far as the session keeps it (docs/control.md).
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/log_line.hpp"
#include "cli/sessions.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

struct Options : SessionOptions {
  bool follow = false;
  std::string node, since, level;
};

std::int64_t parse_since(const std::string& text) {
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  if (const auto ago_ns = parse_duration_ns(text); ago_ns && *ago_ns >= 0) return now - *ago_ns;
  for (const char* form : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%H:%M:%S", "%H:%M"}) {
    std::tm time = fmt::localtime(std::time(nullptr));
    time.tm_sec = 0;
    if (const char* end = ::strptime(text.c_str(), form, &time); end != nullptr && *end == '\0') {
      time.tm_isdst = -1;
      return std::int64_t{std::mktime(&time)} * 1'000'000'000;
    }
  }
  throw Error(ErrorCode::usage, "--since", "'" + strip_control(text) + "' is no time", "write 5m, 14:30, or 2026-11-24T14:30:00");
}

class Printer {
 public:
  explicit Printer(const Options& options) : options_(options), lowest_(level_number(options.level)) {}

  void operator()(json line) {
    const std::string node = line["node"];
    const std::uint64_t number = line["number"];
    std::uint64_t& expected = expected_[node];
    if (expected == 0) expected = options_.since.empty() ? 1 : number;  // what came before --since isn't missing
    if (number > expected) tell_missing(node, number - expected);
    expected = number + 1;
    const std::string text = line["text"];
    json data = structured(text);
    if (level_number(level_of(line, data)) < lowest_) return;
    if (options_.json) {
      if (!data.is_null()) line["data"] = std::move(data);
      fmt::print("{}\n", to_line(line));
    } else {
      const std::string stream = line["stream"];
      fmt::print("{} {} {} | {}\n", time_text(line["time_ns"]), node, line.value("level", stream), strip_control(text));
    }
  }

 private:
  void tell_missing(const std::string& node, std::uint64_t count) {
    if (options_.json) fmt::print("{}\n", to_line({{"node", node}, {"missing", count}}));
    else fmt::print("... {} {} of {} not kept\n", count, count == 1 ? "line" : "lines", node.empty() ? "the session" : node);
  }

  const Options& options_;
  const int lowest_;
  std::map<std::string, std::uint64_t> expected_;  // by node: the number of its next line
};

void print_logs(const Options& options) {
  json request = {{"type", "logs"}, {"follow", options.follow}};
  if (!options.node.empty()) request["node"] = options.node;
  if (!options.since.empty()) request["since_ns"] = parse_since(options.since);
  auto session = SessionSocket::find(options.session);
  Printer print(options);
  session.ask(request);
  while (auto message = session.next()) {
    if (message->body["type"] == "end") return;
    if (message->body["type"] != "lines") continue;
    for (auto& line : message->body["lines"]) print(std::move(line));
    std::fflush(stdout);
  }
}

}  // namespace

void add_logs(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("logs", "Show what the nodes of a running session print and log");
  command->footer("Examples:\n  hawse logs 3f2a --node speech --since 5m\n  hawse logs -f --level warning\n  hawse logs --json | jq .data");
  auto options = std::make_shared<Options>();
  options->add_to(*command);
  command->add_flag("-f,--follow", options->follow, "Go on until the session ends");
  command->add_option("--node", options->node, "Only this node's lines");
  command->add_option("--since", options->since, "Only lines after this: a time, or how long ago")->type_name("TIME");
  command->add_option("--level", options->level, "Lowest level; what a node merely prints counts as info")->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  command->callback([options] { print_logs(*options); });
}

}  // namespace hawse::cli
