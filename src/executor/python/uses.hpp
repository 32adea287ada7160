// SPDX-License-Identifier: Apache-2.0
//
// Who uses an environment right now: a file of its own below state/uses/KEY for each session that does, locked as long as the session lives. The kernel
// gives the lock up with its process, however that ends, so a file that can be locked is a leftover and is removed by whoever finds it.
//
// A session takes its use before it looks whether the environment is there; whoever removes one makes it unfindable first and looks for uses then. So what
// a session has found stays.
// Threading: any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.hpp"

namespace hawse::executor {

class Use {
 public:
  Use(const std::filesystem::path& state, const std::string& key, const std::string& who);  // who: for people, "captions.yaml (process 4711)"
  Use(Use&&) = delete;
  ~Use();

 private:
  std::filesystem::path file_;
  UniqueFd fd_;
};

std::vector<std::string> users_of(const std::filesystem::path& state, const std::string& key);

}  // namespace hawse::executor
