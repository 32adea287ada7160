// SPDX-License-Identifier: Apache-2.0
//
// A control group for one process node, under cgroup v2 or v1, whichever the machine has and lets us write.
//
// v2: one folder, below our own cgroup, beside it or at the top, whichever has the controllers for us. v1: a folder in each hierarchy that a limit needs. Removed, with all that runs in it, at the end.
// Threading: one thread; kill() from any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "executor/cgroup_view.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

class Cgroup {
 public:
  // nullopt: none can be made here (`why` says the reason): rlimits are what is left.
  static std::optional<Cgroup> make(const std::string& name, const pipeline::Limits&, std::string* why);
  Cgroup(Cgroup&&) noexcept = default;
  Cgroup& operator=(Cgroup&&) noexcept = default;
  ~Cgroup();

  std::vector<std::string> entry_files() const;  // a process with one thread that writes "0" into each of these is in
  std::vector<std::filesystem::path> folders() const { return folders_; }
  Usage usage() const noexcept { return view_->usage(); }
  void kill() noexcept;  // every process in it
  std::string version() const { return std::string(v2_ ? "cgroup v2" : "cgroup v1") + (swaps_ ? " (swap isn't limited: the kernel doesn't count it)" : ""); }

 private:
  Cgroup() = default;
  static std::optional<Cgroup> make_v2(const std::filesystem::path& folder, const pipeline::Limits&, std::string* why);

  std::vector<std::filesystem::path> folders_;  // v1: memory's first, where there is one
  std::optional<CgroupView> view_;
  bool v2_ = false, swaps_ = false;
};

// Kills what runs in the folder of a control group and removes it (the guard does that for a runtime that was killed).
void remove_cgroup(const std::filesystem::path& folder) noexcept;

std::vector<std::filesystem::path> cgroups_of(const std::string& session);  // folders that Cgroup::make() made for names "SESSION-..."

}  // namespace hawse::executor
