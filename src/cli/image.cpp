// SPDX-License-Identifier: Apache-2.0
//
// `hawse image`: the environments on this machine (images, package folders, base images).
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/exit_codes.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/progress.hpp"
#include "cli/table.hpp"
#include "executor/container/environments.hpp"

namespace hawse::cli {
namespace {

std::string day(std::int64_t seconds) { return fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(static_cast<std::time_t>(seconds))); }

void print_text(const std::vector<executor::ListedEnvironment>& environments) {
  std::vector<std::vector<std::string>> rows = {{"kind", "name", "size", "last used", "what"}};
  std::uint64_t total = 0;
  for (const auto& each : environments) {
    const auto what = each.used_by.empty() ? each.what : fmt::format("{} (used by {})", each.what, each.used_by);
    rows.push_back({each.kind, each.key, format_bytes(each.bytes), day(each.last_used_s), strip_control(what)});
    total += each.bytes;
  }
  if (!environments.empty()) fmt::print("{}", align(rows, {false, false, true, false, false}));
  fmt::print("{} in all, {}\n", environments.size(), format_bytes(total));
}

void print_json(const std::vector<executor::ListedEnvironment>& environments) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& each : environments) {
    all.push_back({{"kind", each.kind}, {"name", each.key}, {"what", each.what}, {"place", each.place}, {"bytes", each.bytes},
                   {"created_s", each.created_s}, {"last_used_s", each.last_used_s}, {"used_by", each.used_by}});
  }
  fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print(const executor::Removal& removal) {
  for (const auto& each : removal.removed) fmt::print("removed {}\n", strip_control(each));
  for (const auto& each : removal.kept) fmt::print("kept {}\n", strip_control(each));
  fmt::print("{} removed, {} freed\n", removal.removed.size(), format_bytes(removal.freed_bytes));
}

void add_ls(CLI::App& image) {
  auto* command = image.add_subcommand("ls", "List them with size and last use");
  command->footer("Example:\n  hawse image ls --json");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "As JSON");
  command->callback([as_json] { (*as_json ? print_json : print_text)(executor::list_environments()); });
}

void add_rm(CLI::App& image) {
  auto* command = image.add_subcommand("rm", "Remove some, by the names that `hawse image ls` shows or their first letters");
  command->footer("Example:\n  hawse image rm hawse/python:3.9");
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("name", *names, "What to remove")->required()->type_name("NAME");
  command->callback([names] {
    for (const auto& name : *names) print(executor::remove_environments(name));
  });
}

void add_prune(CLI::App& image) {
  auto* command = image.add_subcommand("prune", "Remove what hasn't been used for a while");
  command->footer("Examples:\n  hawse image prune                           what hasn't been used for 30 days\n"
                  "  hawse image prune --unused-for 0s --bases   everything that isn't in use");
  struct Options {
    std::string unused_for = "720h";
    bool bases = false;
  };
  auto options = std::make_shared<Options>();
  command->add_option("--unused-for", options->unused_for, "How long, as in 36h or 90m")->type_name("DURATION")->capture_default_str();
  command->add_flag("--bases", options->bases, "Base images, too");
  command->callback([options] {
    const auto age_ns = parse_duration_ns(options->unused_for);
    if (!age_ns || *age_ns < 0) {
      throw Error(ErrorCode::usage, "--unused-for", fmt::format("'{}' is no duration", options->unused_for), "write 36h, 90m or 0s");
    }
    print(executor::prune_environments(*age_ns / 1'000'000'000, 0, options->bases));
  });
}

void add_base(CLI::App& image) {
  auto* command = image.add_subcommand("base", "Make a Python base image from Debian's packages, where no image registry answers");
  command->footer("Example:\n  hawse image base --python 3.9");
  auto version = std::make_shared<std::string>();
  command->add_option("--python", *version, "Python version: Debian has 3.9 (bullseye), 3.11 (bookworm) and 3.13 (trixie)")->required()->type_name("VERSION");
  command->callback([version] {
    ProgressDisplay display(ProgressDisplay::mode_for(2, false));
    const auto name = executor::make_base(*version, display.report_for("base"));
    display.finish("base", fmt::format("made {}", name));
  });
}

}  // namespace

void add_image(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("image", "List, remove and make environments");
  command->footer("Examples:\n  hawse image ls\n  hawse image base --python 3.9");
  command->require_subcommand(1);
  add_ls(*command);
  add_rm(*command);
  add_prune(*command);
  add_base(*command);
}

}  // namespace hawse::cli
