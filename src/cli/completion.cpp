// SPDX-License-Identifier: Apache-2.0
//
// `hawse completion`: a script for the shell, made from the commands themselves.
//
// Every script follows the same path: the words typed so far pick a command ("", " run", " image ls"); it then offers that command's subcommands, its
// options where the word begins with '-', and files elsewhere.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.hpp"

namespace hawse::cli {
namespace {

struct Entry {
  std::string name, description;
};

struct Command {
  std::string path;  // "", " run", " image ls"
  std::vector<Entry> subcommands, options;
};

void collect(const CLI::App& app, const std::string& path, std::vector<Command>& commands) {
  Command command{path, {}, {}};
  for (const auto* option : app.get_options([](const CLI::Option* each) { return !each->get_group().empty(); })) {  // hidden ones have none
    for (const auto& name : option->get_lnames()) command.options.push_back({"--" + name, option->get_description()});
  }
  std::vector<const CLI::App*> below;
  for (const auto* each : app.get_subcommands([](const CLI::App*) { return true; })) {
    command.subcommands.push_back({each->get_name(), each->get_description()});
    below.push_back(each);
  }
  commands.push_back(std::move(command));
  for (const auto* each : below) collect(*each, path + " " + each->get_name(), commands);
}

std::string joined(const std::vector<Entry>& entries, const char* separator, const std::function<std::string(const Entry&)>& form) {
  std::vector<std::string> parts;
  for (const auto& entry : entries) parts.push_back(form(entry));
  return fmt::format("{}", fmt::join(parts, separator));
}

// Within single quotes, for bash, zsh and fish alike.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out;
}

// "path word" of every command but the root, as alternatives of a shell's case.
std::string paths(const std::vector<Command>& commands) {
  std::vector<std::string> parts;
  for (const auto& command : commands) {
    if (!command.path.empty()) parts.push_back(fmt::format("\"{}\"", command.path));
  }
  return fmt::format("{}", fmt::join(parts, "|"));
}

void print_bash(const std::vector<Command>& commands) {
  const auto name = [](const Entry& entry) { return entry.name; };
  fmt::print("_hawse() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}} at=\"\" offered=\"\" i\n");
  fmt::print("  for ((i = 1; i < COMP_CWORD; i++)); do\n    case \"$at ${{COMP_WORDS[i]}}\" in {}) at=\"$at ${{COMP_WORDS[i]}}\" ;; esac\n  done\n", paths(commands));
  fmt::print("  case \"$at\" in\n");
  for (const auto& command : commands) {
    fmt::print("    \"{}\") [[ $word == -* ]] && offered=\"{}\" || offered=\"{}\" ;;\n", command.path, joined(command.options, " ", name),
               joined(command.subcommands, " ", name));
  }
  fmt::print("  esac\n  COMPREPLY=($(compgen -W \"$offered\" -- \"$word\"))\n");
  fmt::print("  if [[ -z $offered ]]; then compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); fi\n}}\ncomplete -F _hawse hawse\n");
}

void print_zsh(const std::vector<Command>& commands) {
  const auto pair = [](const Entry& entry) { return fmt::format("'{}:{}'", entry.name, quoted(entry.description)); };
  fmt::print("#compdef hawse\n_hawse() {{\n  local at=\"\" i\n  local -a commands options\n");
  fmt::print("  for ((i = 2; i < CURRENT; i++)); do\n    case \"$at ${{words[i]}}\" in {}) at=\"$at ${{words[i]}}\" ;; esac\n  done\n", paths(commands));
  fmt::print("  case \"$at\" in\n");
  for (const auto& command : commands) {
    fmt::print("    \"{}\") commands=({}); options=({}) ;;\n", command.path, joined(command.subcommands, " ", pair), joined(command.options, " ", pair));
  }
  fmt::print("  esac\n  if [[ $PREFIX == -* ]]; then _describe option options\n  elif (( $#commands )); then _describe command commands\n  else _files; fi\n}}\n");
  fmt::print("compdef _hawse hawse\n");
}

void print_fish(const std::vector<Command>& commands) {
  for (const auto& command : commands) {
    std::string condition = command.path.empty() ? "__fish_use_subcommand" : "__fish_seen_subcommand_from" + command.path.substr(command.path.rfind(' '));
    if (!command.path.empty() && !command.subcommands.empty()) {
      condition += "; and not __fish_seen_subcommand_from " + joined(command.subcommands, " ", [](const Entry& entry) { return entry.name; });
    }
    for (const auto& entry : command.subcommands) {
      fmt::print("complete -c hawse -f -n '{}' -a {} -d '{}'\n", condition, entry.name, quoted(entry.description));
    }
    for (const auto& entry : command.options) {
      fmt::print("complete -c hawse -n '{}' -l {} -d '{}'\n", condition, entry.name.substr(2), quoted(entry.description));
    }
  }
}

}  // namespace

void add_completion(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("completion", "Print a completion script for bash, zsh or fish");
  command->footer("Examples:\n  source <(hawse completion bash)\n  hawse completion fish > ~/.config/fish/completions/hawse.fish");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, shell] {
    std::vector<Command> commands;
    collect(app, "", commands);
    if (*shell == "bash") return print_bash(commands);
    if (*shell == "zsh") return print_zsh(commands);
    print_fish(commands);
  });
}

}  // namespace hawse::cli
