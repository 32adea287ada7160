// SPDX-License-Identifier: Apache-2.0
//
// `hawse ps`: the running sessions of this user.
#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/sessions.hpp"
#include "cli/table.hpp"
#include "executor/warm.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

// The node that has been busy with one frame for longest, where that is long.
std::string busy(const json& session) {
  const json longest = session.value("busy", json());
  return longest.is_object() ? longest["node"].get<std::string>() + " " + duration_in_words(longest["busy_ns"].get<std::int64_t>()) : "-";
}

void print_warm() {
  int waiting = 0;
  for (const auto& kept : executor::all_kept()) waiting += kept.value("waiting", 0);
  if (waiting > 0) fmt::print("{} kept warm (hawse warm --ls)\n", waiting == 1 ? "1 node is" : fmt::format("{} nodes are", waiting));
}

void print_text(const std::vector<SessionSocket>& sessions, bool) {
  if (sessions.empty()) {
    fmt::print("no session of yours is running (hawse run PIPELINE starts one)\n");
    return print_warm();
  }
  std::vector<std::vector<std::string>> rows = {{"session", "pipeline", "state", "nodes", "restarts", "busy", "up", "pid"}};
  for (const auto& session : sessions) {
    const json& about = session.about();
    rows.push_back({about["id"], strip_control(about["pipeline"].get<std::string>()), about["state"],
                    fmt::format("{}/{}", about["running"].get<int>(), about["nodes"].get<int>()), fmt::format("{}", about["restarts"].get<int>()), busy(about),
                    duration_in_words(about["uptime_ns"].get<std::int64_t>()), fmt::format("{}", about["pid"].get<int>())});
  }
  fmt::print("{}", align(rows, {false, false, false, true, true, false, true, true}));
  print_warm();
}

void print_json(const std::vector<SessionSocket>& sessions, bool warm) {
  json all = json::array();
  for (const auto& session : sessions) {
    json about = session.about();
    for (const char* key : {"type", "monotonic_ns"}) about.erase(key);
    all.push_back(std::move(about));
  }
  if (warm) {
    json kept = json::array();
    for (auto& line : executor::all_kept()) {
      line.erase("type");
      kept.push_back(std::move(line));
    }
    all = {{"sessions", all}, {"warm", kept}};
  }
  fmt::print("{}\n", all.dump(2, ' ', false, json::error_handler_t::replace));
}

}  // namespace

void add_ps(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("ps", "List the running sessions");
  command->footer("Examples:\n  hawse ps\n  hawse ps --json | jq -r '.[].id'");
  auto as_json = std::make_shared<bool>(false);
  auto warm = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "As JSON");
  command->add_flag("--warm", *warm, "With --json: what is kept warm, too, as {\"sessions\": [...], \"warm\": [...]}")->needs("--json");
  command->callback([as_json, warm] { (*as_json ? print_json : print_text)(SessionSocket::all(), *warm); });
}

}  // namespace hawse::cli
