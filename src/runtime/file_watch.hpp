// SPDX-License-Identifier: Apache-2.0
//
// Tells when one of some files has been written anew: also by an editor that puts another file in its place, so it is their folders that are watched (inotify).
//
// Threading: the loop's thread.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "base/fd.hpp"
#include "runtime/loop.hpp"

namespace hawse::runtime {

class FileWatch {
 public:
  FileWatch(Loop&, std::function<void(const std::filesystem::path&)> changed);
  void add(const std::filesystem::path& file);  // absolute

 private:
  void read_changes();

  std::function<void(const std::filesystem::path&)> changed_;
  UniqueFd fd_;
  std::map<int, std::filesystem::path> folders_;  // by inotify's number
  std::set<std::filesystem::path> files_;
  Loop::Handle watch_;
};

}  // namespace hawse::runtime
