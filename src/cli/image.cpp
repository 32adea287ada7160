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

void print_text(const std::vector<executor::Environment>& environments) {
  std::vector<std::vector<std::string>> rows = {{"kind", "name", "what", "size", "last used"}};
  std::uint64_t total = 0;
  for (const auto& each : environments) {
    rows.push_back({each.kind, each.key, strip_control(each.what), format_bytes(each.bytes), day(each.last_used_s)});
    total += each.bytes;
  }
  fmt::print("{}", align(rows, {false, false, false, true, false}));
  fmt::print("{} in all, {}\n", environments.size(), format_bytes(total));
}

void print_json(const std::vector<executor::Environment>& environments) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& each : environments) {
    all.push_back({{"kind", each.kind}, {"name", each.key}, {"what", each.what}, {"place", each.place}, {"bytes", each.bytes},
                   {"created_s", each.created_s}, {"last_used_s", each.last_used_s}});
  }
  fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void add_ls(CLI::App& image) {
  auto* command = image.add_subcommand("ls", "List them with size and last use");
  command->footer("Example:\n  hawse image ls --json");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "As JSON");
  command->callback([as_json] { *as_json ? print_json(executor::list_environments()) : print_text(executor::list_environments()); });
}

void add_rm(CLI::App& image) {
  auto* command = image.add_subcommand("rm", "Remove some, by the names that `hawse image ls` shows (or their first letters)");
  command->footer("Example:\n  hawse image rm hawse/python:3.9");
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("name", *names, "What to remove")->required()->type_name("NAME");
  command->callback([names] {
    for (const auto& name : *names) {
      executor::remove_environment(name);
      fmt::print("removed {}\n", name);
    }
  });
}

void add_prune(CLI::App& image) {
  auto* command = image.add_subcommand("prune", "Remove what hasn't been used for a while");
  command->footer("Examples:\n  hawse image prune                    not used for 30 days\n  hawse image prune --unused-for 1h");
  auto age = std::make_shared<std::string>("720h");
  command->add_option("--unused-for", *age, "How long, as in 36h or 90m")->type_name("DURATION")->capture_default_str();
  command->callback([age] {
    const auto duration_ns = parse_duration_ns(*age);
    if (!duration_ns || *duration_ns < 0) throw Error(ErrorCode::usage, "--unused-for", fmt::format("'{}' is no duration", *age), "write 36h, 90m or 0s");
    const auto removed = executor::prune(*duration_ns / 1'000'000'000);
    std::uint64_t freed = 0;
    for (const auto& each : removed) {
      fmt::print("removed {} {}\n", each.kind, each.key);
      freed += each.bytes;
    }
    fmt::print("{} removed, {} freed\n", removed.size(), format_bytes(freed));
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
