// SPDX-License-Identifier: Apache-2.0
//
// Environments: packages that exclude each other in one pipeline, the same packages installed twice from nothing, and on another day.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "base/files.hpp"
#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/processes.hpp"
#include "bench/rows/life/row_parts.hpp"

namespace hawse::bench::life {
namespace {

using nlohmann::json;
using pipeline::ExecutorKind;
namespace fs = std::filesystem;

std::string said_first(LiveSession& session, const std::string& node) {
  const auto lines = session.log(node);
  return lines.empty() ? "nothing" : lines.front();
}

std::string numpy_of(const std::string& said) {
  const auto place = said.find("numpy ");
  return place == std::string::npos ? "" : said.substr(place);
}

void conflict(Pass& pass, ExecutorKind kind) {
  if (kind == ExecutorKind::container) engine_or_unavailable();
  LiveSession session(load_pipeline(scenario(pass, "conflicts.yaml"), moved_to(kind)));
  session.finish_in_order();
  const std::string variant = pipeline::to_string(kind), old_one = said_first(session, "old"), new_one = said_first(session, "new");
  pass.fact({"two versions of NumPy in one pipeline", variant, fmt::format("{}; {}", old_one, new_one),
             numpy_of(old_one).starts_with("numpy 1.") && numpy_of(new_one).starts_with("numpy 2.")});
  const json summary = session.first("summary", "");
  for (const auto& edge : summary["edges"])
    if (edge["from"] == "old.out")
      pass.fact({"frames from the one to the other, content checked behind them", variant, fmt::format("{} of {}", edge["received"].get<std::uint64_t>(), edge["frames"].get<std::uint64_t>()),
                 edge["received"] == edge["frames"] && edge["frames"] == 20});
}

// Each variant on its own: that one can't be had says nothing of the other.
void each_kind(Pass& pass, const std::string& what, const std::function<void(ExecutorKind)>& one) {
  for (const auto kind : {ExecutorKind::process, ExecutorKind::container}) {
    try {
      one(kind);
    } catch (const Unavailable& error) {
      pass.fact({what, pipeline::to_string(kind), error.what(), std::nullopt});
    }
  }
}

RowSpec conflicts_row() {
  RowSpec spec = row("conflicts", "Dependency conflicts", "Dependencies that exclude each other",
                     "one pipeline with two Python nodes, one after the other, that need NumPy 1 and NumPy 2: as processes of one interpreter, and in containers with Python 3.9 and 3.13");
  spec.quick_passes = spec.full_passes = 1;
  spec.seconds_a_pass = 3;
  spec.measure = [](Pass& pass) { each_kind(pass, "two versions of NumPy in one pipeline", [&](ExecutorKind kind) { conflict(pass, kind); }); };
  return spec;
}

constexpr const char* kAnotherDay = "the content of all its files, on another day, by its lock file";

using Digests = std::map<std::string, std::string>;  // path below the environment -> SHA-256

struct Installed {
  std::string hash;
  Digests files;
};

// By `hawse build` or `hawse lock`, in a fresh folder of state and with an empty cache of the installer.
Installed install(const fs::path& manifest, ExecutorKind kind, const fs::path& fresh, std::vector<std::string> command = {"build"}, std::map<std::string, std::string> env = {}) {
  fs::create_directories(fresh);
  command.insert(command.begin(), hawse_command().string());
  command.insert(command.end(), {"-q", manifest.string(), "--executor", std::string("node=") + pipeline::to_string(kind)});
  env.insert({{"HAWSE_STATE", (fresh / "state").string()}, {"UV_CACHE_DIR", (fresh / "cache").string()}});
  const RunResult done = run_command(command, env);
  if (done.status.signalled || done.status.value != 0) throw Unavailable("the packages can't be installed: " + last_line(done));
  const fs::path store = fresh / "state/store/packages";
  Installed installed;
  for (const auto& environment : fs::directory_iterator(store)) {
    installed.hash = environment.path().filename().string();
    for (const auto& entry : fs::recursive_directory_iterator(environment.path()))
      if (entry.is_regular_file()) installed.files[entry.path().lexically_relative(environment.path()).string()] = sha256_hex(read_file(entry.path()));
  }
  if (installed.files.empty()) throw Unavailable("it left no packages in " + store.string());
  return installed;
}

std::string digest(const Digests& files) {
  std::string text;
  for (const auto& [path, hash] : files) text += hash + "  " + path + "\n";
  return sha256_hex(text);
}

std::vector<std::string> differing(const Digests& one, const Digests& other) {
  std::vector<std::string> paths;
  for (const auto& [path, hash] : one)
    if (const auto found = other.find(path); found == other.end() || found->second != hash) paths.push_back(path);
  for (const auto& [path, hash] : other)
    if (!one.contains(path)) paths.push_back(path);
  return paths;
}

void install_twice(Pass& pass, ExecutorKind kind) {
  if (kind == ExecutorKind::container) engine_or_unavailable();
  const auto manifest = scenario(pass, "pinned.yaml");
  const std::string variant = pipeline::to_string(kind);
  const fs::path folder = manifest.parent_path() / variant;
  const Installed one = install(manifest, kind, folder / "one"), two = install(manifest, kind, folder / "two");
  pass.fact({"the environment's hash, twice", variant, one.hash == two.hash ? one.hash : one.hash + " and " + two.hash, one.hash == two.hash});
  const auto different = differing(one.files, two.files);
  const std::string seen = different.empty() ? fmt::format("{} files, SHA-256 of them all {}", one.files.size(), digest(one.files).substr(0, 16))
                                             : fmt::format("{} of {} files differ, {} among them", different.size(), one.files.size(), different.front());
  pass.fact({"the content of all its files, twice", variant, seen, different.empty()});
}

// uv leaves out whatever came to the index after that day, so the lock is made as it would have been made then.
constexpr const char* kThatDay = "2023-06-01";

void install_on_another_day(Pass& pass, ExecutorKind kind) {
  if (kind == ExecutorKind::container) engine_or_unavailable();
  const auto manifest = scenario(pass, "unpinned.yaml");
  const fs::path folder = manifest.parent_path() / (std::string("day-") + pipeline::to_string(kind));
  const Installed then = install(manifest, kind, folder / "then", {"lock"}, {{"UV_EXCLUDE_NEWER", std::string(kThatDay) + "T00:00:00Z"}});
  const Installed today = install(manifest, kind, folder / "today"), locked = install(manifest, kind, folder / "locked", {"build", "--locked"});
  if (differing(then.files, today.files).empty()) throw Unavailable(fmt::format("the index has nothing newer than on {}: nothing is shown by it", kThatDay));
  const auto different = differing(then.files, locked.files);
  pass.fact({kAnotherDay, pipeline::to_string(kind),
             fmt::format("locked on {}, installed on {:%F}: {} of {} files differ; without the lock {}", kThatDay, std::chrono::system_clock::now(), different.size(), then.files.size(),
                         differing(then.files, today.files).size()),
             different.empty()});
}

RowSpec reproducibility_row() {
  RowSpec spec = row("reproducibility", "Reproducibility", "The same packages, installed twice from nothing",
                     "`hawse build` of a node with two pinned packages into two fresh folders of state, each with an empty cache of the installer: the environment's hash, and a hash over path and "
                     "content of every file. Then of one that pins nothing: locked as on a day of 2023, and built today with `--locked`, again from nothing");
  spec.quick_passes = spec.full_passes = 1;
  spec.seconds_a_pass = 20;
  spec.measure = [](Pass& pass) {
    each_kind(pass, "the environment's hash, twice", [&](ExecutorKind kind) { install_twice(pass, kind); });
    each_kind(pass, kAnotherDay, [&](ExecutorKind kind) { install_on_another_day(pass, kind); });
  };
  return spec;
}

}  // namespace

void add_environment_rows(std::vector<RowSpec>& rows) {
  rows.push_back(conflicts_row());
  rows.push_back(reproducibility_row());
}

}  // namespace hawse::bench::life
