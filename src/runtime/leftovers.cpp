// SPDX-License-Identifier: Apache-2.0
#include "runtime/leftovers.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/files.hpp"
#include "executor/cgroup.hpp"
#include "executor/process_id.hpp"

namespace hawse::runtime {
namespace fs = std::filesystem;
namespace {

bool owner_lives(const fs::path& folder) {
  const std::string owner = read_file(folder / "owner", 4096);
  return executor::process_id(static_cast<pid_t>(std::strtol(owner.c_str(), nullptr, 10))) == owner;
}

void sweep(const fs::path& folder) {
  // A session that is just being made has no owner yet: its folder is left alone for a minute.
  const bool young = fs::file_time_type::clock::now() - fs::last_write_time(folder) < std::chrono::minutes(1);
  if (fs::exists(folder / "owner") ? owner_lives(folder) : young) return;
  const std::string session = folder.filename().string().substr(0, folder.filename().string().find('-'));
  for (const auto& group : executor::cgroups_of(session)) executor::remove_cgroup(group);
  fs::remove_all(folder);
}

}  // namespace

void sweep_sessions() noexcept {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_dir(), error)) {
    try {
      if (entry.is_directory()) sweep(entry.path());
    } catch (const std::exception&) {
      // Another start is removing it at this moment.
    }
  }
}

}  // namespace hawse::runtime
