// SPDX-License-Identifier: Apache-2.0
//
// A control group for one process node, under cgroup v2 or v1, whichever the machine has and lets us write.
//
// v2: one folder, below our own cgroup, beside it or at the top, whichever can have the controllers and is ours to write. v1: a folder in each hierarchy that a
// limit needs. Removed, with all that runs in it, at the end, which waits for what takes a while to die; remove() doesn't.
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
  void kill() noexcept;    // every process in it, what it forks meanwhile included
  bool remove() noexcept;  // kills, and removes it unless something in it takes a while to die
  bool can_limit_cpus() const { return cpus_why_not_.empty(); }
  std::string version() const;

 private:
  Cgroup() = default;
  static std::optional<Cgroup> make_v2(const std::filesystem::path& folder, const pipeline::Limits&, bool settle, std::string* why);

  std::vector<std::filesystem::path> folders_;  // v1: memory's first, that of pids last, where there is one
  std::optional<CgroupView> view_;
  bool v2_ = false, swaps_ = false;
  std::string cpus_why_not_;
};

// Kills what runs in the folder of a control group and removes it, in ten seconds at most (the guard does that for a runtime that was killed).
void remove_cgroup(const std::filesystem::path& folder) noexcept;

std::vector<std::filesystem::path> cgroups_of(const std::string& session);  // folders that Cgroup::make() made for names "SESSION-..."

}  // namespace hawse::executor
