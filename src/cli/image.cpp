// SPDX-License-Identifier: Apache-2.0
//
// `hawse image`: the environments on this machine (images, package folders, base images).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/exit_codes.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/environments.hpp"
#include "cli/progress.hpp"
#include "cli/sessions.hpp"
#include "cli/table.hpp"
#include "executor/container/environments.hpp"

namespace hawse::cli {
namespace {

std::string since(std::int64_t seconds) {
  const std::int64_t past_s = std::max<std::int64_t>(0, std::time(nullptr) - seconds);
  if (past_s >= 2 * 86400) return fmt::format("{} days ago", past_s / 86400);
  if (past_s >= 2 * 3600) return fmt::format("{} hours ago", past_s / 3600);
  return past_s >= 120 ? fmt::format("{} minutes ago", past_s / 60) : "just now";
}

// Who needs it: what runs now first, then the pipelines that have used it, by their files' names.
std::string users(const executor::ListedEnvironment& environment) {
  std::vector<std::string> all;
  for (const auto& session : environment.used_by) all.push_back("now: " + session);
  std::size_t gone = 0;
  for (const auto& pipeline : environment.pipelines) {
    if (std::filesystem::exists(pipeline))
      all.push_back(pipeline);
    else
      ++gone;
  }
  if (gone > 0) all.push_back(fmt::format("{} that {} gone", gone, gone == 1 ? "is" : "are"));
  return all.empty() ? "none known" : fmt::format("{}", fmt::join(all, ", "));
}

void print_text(const std::vector<executor::ListedEnvironment>& environments) {
  std::vector<std::vector<std::string>> rows = {{"kind", "name", "size", "made", "last used", "what", "users"}};
  std::uint64_t total = 0;
  for (const auto& each : environments) {
    rows.push_back({each.kind, each.key, format_bytes(each.bytes), since(each.created_s), since(each.last_used_s), strip_control(each.what), strip_control(users(each))});
    total += each.bytes;
  }
  if (!environments.empty()) fmt::print("{}", align(rows, {false, false, true, false, false, false, false}));
  fmt::print("{} in all, {}\n", environments.size(), format_bytes(total));
}

void print_json(const std::vector<executor::ListedEnvironment>& environments) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& each : environments) {
    all.push_back({{"kind", each.kind}, {"name", each.key}, {"what", each.what}, {"place", each.place}, {"bytes", each.bytes},
                   {"created_s", each.created_s}, {"last_used_s", each.last_used_s}, {"used_by", each.used_by}, {"pipelines", each.pipelines}});
  }
  fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print(const executor::Removal& removal, bool as_json, bool dry_run = false) {
  if (as_json)
    return fmt::print("{}\n", to_line({{"removed", removal.removed}, {"kept", removal.kept}, {"freed_bytes", removal.freed_bytes}, {"dry_run", dry_run}}));

  for (const auto& each : removal.removed) fmt::print("{} {}\n", dry_run ? "would remove" : "removed", strip_control(each));
  for (const auto& each : removal.kept) fmt::print("{} {}\n", dry_run ? "would keep" : "kept", strip_control(each));
  fmt::print("{} {}, {} freed\n", removal.removed.size(), dry_run ? "would be removed" : "removed", format_bytes(removal.freed_bytes));
}

void add_ls(CLI::App& image) {
  auto* command = image.add_subcommand("ls", "List them with size, age, last use, and who uses them");
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
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "A line of JSON for each NAME");
  command->callback([names, as_json] {
    for (const auto& name : *names) print(executor::remove_environments(name), *as_json);
  });
}

void add_prune(CLI::App& image) {
  auto* command = image.add_subcommand("prune", "Remove what hasn't been used for a while, or until the rest fits a size");
  command->footer("Examples:\n  hawse image prune                           what hasn't been used for 30 days\n"
                  "  hawse image prune --keep 5GiB --dry-run     what would go, the longest unused first, until 5 GiB are left\n"
                  "  hawse image prune --older-than 0s --bases   everything that no running session uses");
  struct Options {
    std::string older_than, keep;
    bool json = false;
    executor::Pruning pruning;
  };
  auto options = std::make_shared<Options>();
  command->add_option("--older-than", options->older_than, "What hasn't been used for so long, as in 7d or 36h (30d where --keep isn't given)")->type_name("DURATION");
  command->add_option("--keep", options->keep, "Until the rest takes no more than this, the longest unused first, as in 5GiB")->type_name("SIZE");
  command->add_flag("--bases", options->pruning.bases, "Base images, too");
  command->add_flag("--dry-run", options->pruning.dry_run, "Only say what would be removed");
  command->add_flag("--json", options->json, "As JSON");
  command->callback([options] {
    executor::Pruning& pruning = options->pruning;
    if (options->older_than.empty() && options->keep.empty()) options->older_than = "30d";
    if (!options->older_than.empty()) {
      const auto age_ns = parse_duration_ns(options->older_than);
      if (!age_ns) throw Error(ErrorCode::usage, "--older-than", fmt::format("'{}' is no duration", options->older_than), "write 7d, 36h or 0s");
      pruning.older_than_s = *age_ns / 1'000'000'000;
    }
    if (!options->keep.empty()) {
      pruning.keep_bytes = parse_bytes(options->keep);
      if (!pruning.keep_bytes) throw Error(ErrorCode::usage, "--keep", fmt::format("'{}' is no size", options->keep), "write 5GiB or 500MB");
    }
    print(executor::prune_environments(pruning), options->json, pruning.dry_run);
  });
}

void add_base(CLI::App& image) {
  auto* command = image.add_subcommand("base", "Make a Python base image from Debian's packages, where no image registry answers");
  command->footer("Example:\n  hawse image base --python 3.9");
  auto version = std::make_shared<std::string>();
  command->add_option("--python", *version, "Python version: Debian has 3.9 (bullseye), 3.11 (bookworm) and 3.13 (trixie)")->required()->type_name("VERSION");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "Say what was made as JSON, and no progress");
  command->callback([version, as_json] {
    ProgressDisplay display(ProgressDisplay::mode_for(2, *as_json));
    const OnRequest request;
    const auto name = executor::make_base(*version, display.report_for("base"), request.making);
    display.finish("base", fmt::format("made {}", name));
    if (*as_json) fmt::print("{}\n", to_line({{"made", name}}));
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
