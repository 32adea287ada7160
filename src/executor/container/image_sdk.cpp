// SPDX-License-Identifier: Apache-2.0
#include "executor/container/image_sdk.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "base/files.hpp"
#include "executor/container/one_off.hpp"
#include "executor/python/file_lock.hpp"
#include "executor/python/sdk.hpp"

namespace hawse::executor {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

void copy_sources(const fs::path& from, const fs::path& to) {
  fs::create_directory(to / "hawse");
  for (const auto& entry : fs::directory_iterator(from / "hawse"))
    if (entry.is_regular_file()) fs::copy_file(entry.path(), to / "hawse" / entry.path().filename());
  constexpr auto kReadable = fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec | fs::perms::others_read | fs::perms::others_exec;
  for (const auto& folder : {to, to / "hawse"}) fs::permissions(folder, kReadable);
}

std::string name_of(const std::string& image_id) { return sha256_hex(image_id).substr(0, 12); }

fs::path place_of(const std::string& image_id, const fs::path& sdk, const fs::path& state) {
  return state / "sdk" / (name_of(image_id) + "-" + sdk_stamp(sdk).substr(0, 12));
}

void remove_old(const fs::path& current) {
  const std::string image = current.filename().string().substr(0, 13);  // with its dash
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(current.parent_path(), ignored)) {
    const bool replaced = entry.path().filename().string().starts_with(image) && entry.path() != current;
    if (replaced && entry.last_write_time(ignored) < fs::file_time_type::clock::now() - std::chrono::hours(24)) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

void make_image_sdk(const Engine& engine, const std::string& image_id, const fs::path& sdk, const fs::path& state) {
  const fs::path place = place_of(image_id, sdk, state);
  if (fs::exists(place / "hawse")) return;
  fs::create_directories(place.parent_path());
  const FileLock lock(state / "store" / "locks" / ("sdk-" + name_of(image_id)));
  if (fs::exists(place / "hawse")) return;
  const ScopedDir made(place.parent_path(), "making-");
  copy_sources(sdk, made.path());
  const json mounts = json::array({{{"Type", "bind"}, {"Source", made.path().string()}, {"Target", "/hawse/sdk"}, {"ReadOnly", false}}});
  // A Python without compileall makes none, and its nodes start more slowly.
  run_one_off(engine, image_id, {"python3", "-I", "-m", "compileall", "-q", "/hawse/sdk"}, fmt::format("{}:{}", ::geteuid(), ::getegid()), mounts);
  fs::create_directory(place);
  fs::rename(made.path() / "hawse", place / "hawse");
  remove_old(place);
}

fs::path image_sdk(const std::string& image_id, const fs::path& sdk, const fs::path& state) {
  const fs::path place = place_of(image_id, sdk, state);
  return fs::exists(place / "hawse") ? place : sdk;
}

}  // namespace hawse::executor
