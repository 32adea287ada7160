// SPDX-License-Identifier: Apache-2.0
#include "executor/container/base_image.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <optional>

#include "base/error.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "executor/python/packages.hpp"

namespace hawse::executor {

namespace {

struct Suite {
  const char* python;
  const char* debian;
};
constexpr Suite kSuites[] = {{"3.9", "bullseye"}, {"3.11", "bookworm"}, {"3.13", "trixie"}};
constexpr std::size_t kBootstrapLines = 15;

const char* suite_of(const std::string& version) {
  for (const auto& [python, debian] : kSuites)
    if (version == python) return debian;
  return nullptr;
}

void run_mmdebstrap(const std::string& suite, const ScopedDir& work, const std::string& what, const Report& report, Interrupt* interrupt) {
  SpawnOptions options;
  // Its file tree: gone with our folder, also where it is killed. Without root's rights it works as one of the user's own users, who can't enter a home of 0700.
  std::optional<ScopedDir> open;
  if (::geteuid() != 0) {
    open.emplace(std::filesystem::temp_directory_path(), "hawse-base-");
    std::filesystem::permissions(open->path(), std::filesystem::perms(0711));
  }
  options.argv = {"mmdebstrap", "--variant=apt", "--include=python3", "--format=tar", suite, (work.path() / "base.tar").string()};
  options.working_directory = work.path().string();
  options.env = current_environment();
  options.env["TMPDIR"] = (open ? *open : work).path().string();
  std::deque<std::string> last;
  RunResult result;
  try {
    result = run_to_end(options, [&](std::string_view line) {
      last.emplace_back(strip_control(line));
      if (last.size() > kBootstrapLines) last.pop_front();
      if (report) report({.what = what, .unit = "", .line = last.back()});
    }, interrupt);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::interrupted) throw;
    throw Error(ErrorCode::environment, what, "mmdebstrap can't be run: " + error.context(), "apt install mmdebstrap, or let the engine reach an image registry");
  }
  if (!result.status.signalled && result.status.value == 0) return;
  std::string context = "mmdebstrap failed";
  for (const auto& line : last) context += "\n  " + line;
  const auto says = [&](const char* word) { return context.find(word) != std::string::npos; };
  throw Error(ErrorCode::environment, what, context,
              says("PUBKEY")                     ? "apt install debian-archive-keyring"
              : says("Permission denied") && open ? "set TMPDIR to a folder that every user can enter"
                                                 : "check that Debian's package archive can be reached: apt update");
}

}  // namespace

std::string base_reference(const std::string& version) { return "hawse/python:" + version; }

bool can_make_base(const std::string& version) { return suite_of(version) != nullptr; }

std::string makeable_versions() {
  std::string text;
  for (const auto& [python, debian] : kSuites) text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", python, debian);
  return text;
}

std::string make_base_image(const Engine& engine, const std::filesystem::path& state, const std::string& version, const Report& report) {
  const std::string reference = base_reference(version), what = "base image " + reference;
  const char* suite = suite_of(version);
  if (!suite)
    throw Error(ErrorCode::environment, what, fmt::format("Debian's packages give only {}", makeable_versions()),
                fmt::format("choose one of these, or let the engine reach a registry that has python:{}-slim, or load such an image: docker load", version));
  const ScopedDir work = work_folder(state);
  std::filesystem::permissions(work.path(), std::filesystem::perms(0755));  // apt downloads as a user of its own
  if (report) report({.what = what, .unit = "", .line = fmt::format("making it from the packages of Debian {}", suite)});
  run_mmdebstrap(suite, work, what, report, engine.interrupt());
  if (report) report({.what = what, .unit = "", .line = "importing it into the engine"});
  return engine.import_image(work.path() / "base.tar", reference, {{"hawse", "1"}, {"hawse.what", fmt::format("python {} from Debian {}", version, suite)}}, nullptr);
}

}  // namespace hawse::executor
