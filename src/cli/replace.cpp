// SPDX-License-Identifier: Apache-2.0
//
// `hawse replace`: has one node of a running session hand over to another one of its kind, where it runs or elsewhere, and waits until that one runs.
#include <fmt/format.h>

#include <memory>

#include "base/error.hpp"
#include "cli/commands.hpp"
#include "cli/sessions.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> names;  // [session] node
  std::string executor;
  bool json = false;
};

void replace(const Options& options) {
  auto session = SessionSocket::find(options.names.size() == 2 ? options.names[0] : "");
  json request = {{"type", "replace"}, {"node", options.names.back()}};
  if (!options.executor.empty()) request["executor"] = options.executor;
  session.ask(std::move(request));
  json now;
  for (;;) {
    auto message = session.next();
    if (!message) throw Error(ErrorCode::system, "replace " + options.names.back(), "the session has ended meanwhile");
    if (message->body["type"] == "end") break;
    if (message->body["type"] == "replaced") now = std::move(message->body);
  }
  now.erase("type");
  if (options.json) fmt::print("{}\n", to_line(now));
  else fmt::print("{} runs in {}, {:.0f} ms after its start\n", now["node"].get<std::string>(), now["where"].get<std::string>(), now["phases_ms"].value("total", 0.0));
}

}  // namespace

void add_replace(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("replace", "Have one node of a running session hand over to another one, without a loss");
  command->footer(
      "Examples:\n  hawse replace speech\n  hawse replace 3f2a speech --executor container\n"
      "It comes to the end of the frame in its hands, and hands over those that it keeps or hasn't taken yet. Where the other one can't run, it goes on itself.");
  auto options = std::make_shared<Options>();
  command->add_option("names", options->names, "The session (not needed where one runs), and the node")->required()->expected(1, 2)->type_name("[SESSION] NODE");
  command->add_option("--executor", options->executor, "Where the other one runs")->check(CLI::IsMember({"thread", "process", "container"}))->type_name("KIND");
  command->add_flag("--json", options->json, "As JSON");
  command->callback([options] { replace(*options); });
}

}  // namespace hawse::cli
