// SPDX-License-Identifier: Apache-2.0
//
// `hawse restart`: ends one node of a running session and starts it again, and waits until it runs. It is no failure, and counts as none.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/error.hpp"
#include "base/exit_codes.hpp"
#include "cli/commands.hpp"
#include "cli/sessions.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

constexpr useconds_t kBetweenLooksUs = 20'000;

struct Options {
  std::vector<std::string> names;  // [session] node
  bool json = false;
};

json status_of(SessionSocket& session, const std::string& node) {
  for (auto& message : session.must_answer({{"type", "status"}}))
    if (message["type"] == "node" && message["node"] == node) return message;
  return {{"restarts", 0}, {"state", ""}};
}

void restart(const Options& options, Result& result) {
  auto session = SessionSocket::find(options.names.size() == 2 ? options.names[0] : "");
  const std::string node = options.names.back();
  const unsigned before = status_of(session, node)["restarts"];
  session.must_answer({{"type", "restart"}, {"node", node}});
  json now;
  do {
    ::usleep(kBetweenLooksUs);
    now = status_of(session, node);
  } while (now["restarts"] == before ? now["state"] != "ended" && now["state"] != "failed" : now["state"] != "running" && now["state"] != "failed" && now["state"] != "ended");
  const bool runs = now["restarts"] != before && now["state"] == "running";
  if (options.json) fmt::print("{}\n", to_line({{"node", node}, {"state", now["state"]}, {"where", now["where"]}, {"phases_ms", now["phases_ms"]}}));
  else if (runs) fmt::print("{} runs again in {}, {:.0f} ms after its start\n", node, now["where"].get<std::string>(), now["phases_ms"].value("total", 0.0));
  else fmt::print(stderr, "hawse: {} has {} meanwhile\n", node, now["state"].get<std::string>());
  if (!runs) result.exit_code = exit_code(ErrorCode::node);
}

}  // namespace

void add_restart(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("restart", "End one node of a running session and start it again");
  command->footer("Examples:\n  hawse restart speech\n  hawse restart 3f2a speech\nThe frames that it held go to the new one. It doesn't count as one of its attempts.");
  auto options = std::make_shared<Options>();
  command->add_option("names", options->names, "The session (not needed where one runs), and the node")->required()->expected(1, 2)->type_name("[SESSION] NODE");
  command->add_flag("--json", options->json, "As JSON");
  command->callback([options, &result] { restart(*options, result); });
}

}  // namespace hawse::cli
