// SPDX-License-Identifier: Apache-2.0
//
// `hawse inspect`: what each node of a running session may touch, and which descriptors it was given; of a process also which of them it holds now.
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/sessions.hpp"
#include "cli/table.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> names;  // [session] [node]
  bool json = false;
};

// One object a node, its descriptors in it.
json gather(const std::vector<json>& messages) {
  json nodes = json::array();
  for (json message : messages) {
    const std::string type = message["type"];
    message.erase("type");
    if (type == "node") {
      message["descriptors"] = json::array();
      nodes.push_back(std::move(message));
    } else if (type == "descriptor" && !nodes.empty()) {
      message.erase("node");
      nodes.back()["descriptors"].push_back(std::move(message));
    }
  }
  return nodes;
}

std::string what_for(const json& descriptor) {
  std::string text = descriptor.value("port", "");
  if (descriptor.contains("peer")) text += (text.empty() ? "of " : descriptor["kind"] == "link" ? " with " : " ") + descriptor["peer"].get<std::string>();
  if (descriptor.contains("name")) text += "not in the session's books: " + descriptor["name"].get<std::string>();
  if (descriptor.contains("arena")) text += fmt::format(" {}", descriptor["arena"].get<int>());
  return text;
}

std::string held(const json& descriptor) {
  if (!descriptor.contains("open")) return "";
  std::string text = descriptor["open"] == true ? "open" : "";
  if (const json mapped = descriptor.value("mapped", json()); mapped.is_string()) text += (text.empty() ? "mapped " : ", mapped ") + mapped.get<std::string>().substr(0, 2);
  return text.empty() ? "not now" : text;
}

void print_text(const json& nodes) {
  for (const auto& node : nodes) {
    const std::string where = node["where"].get<std::string>();
    fmt::print("{}  ({}{})\n", node["node"].get<std::string>(), node["state"].get<std::string>(), where.empty() ? "" : ", " + where);
    if (node.contains("busy_ns"))
      fmt::print("  busy       {} {}\n", format_duration_ns(node["busy_ns"].get<std::int64_t>()), strip_control(node["busy_with"].get<std::string>()));
    if (const std::string environment = node["environment"]; !environment.empty()) fmt::print("  runs       {}\n", strip_control(environment));
    const char* title = "may touch";
    for (const auto& line : node.value("may_touch", json::array())) fmt::print("  {:<9}  {}\n", std::exchange(title, ""), strip_control(line.get<std::string>()));
    if (const std::string by = node["limits_by"]; !by.empty()) fmt::print("  limited by {}\n", strip_control(by));
    std::vector<std::vector<std::string>> rows;
    for (const auto& each : node["descriptors"])
      rows.push_back({"            ", each["kind"], what_for(each), each.contains("bytes") ? format_bytes(each["bytes"]) : "", each.value("may", ""), held(each)});
    fmt::print("  was given\n{}\n", align(rows, {false, false, false, true, false, false}));
  }
}

}  // namespace

void add_inspect(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("inspect", "Show what each node of a running session may touch, and what it holds");
  command->footer("Examples:\n  hawse inspect 3f2a\n  hawse inspect 3f2a speech --json\nThe last column, for a process, and for a container as root: whether it has the descriptor open, and how it has the memory mapped.");
  auto options = std::make_shared<Options>();
  command->add_option("names", options->names, "The session (\"\": the only one), and a node if not all")->expected(0, 2)->type_name("[SESSION] [NODE]");
  command->add_flag("--json", options->json, "As JSON");
  command->callback([options] {
    auto session = SessionSocket::find(options->names.empty() ? "" : options->names[0]);
    json request = {{"type", "inspect"}};
    if (options->names.size() == 2) request["node"] = options->names[1];
    const json nodes = gather(session.must_answer(request));
    if (options->json) fmt::print("{}\n", nodes.dump(2, ' ', false, json::error_handler_t::replace));
    else print_text(nodes);
  });
}

}  // namespace hawse::cli
