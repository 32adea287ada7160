// SPDX-License-Identifier: Apache-2.0
//
// hawse-guard: see guard.hpp.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "executor/cgroup.hpp"
#include "executor/container/environments.hpp"
#include "executor/process_id.hpp"

namespace {

struct Left {
  std::string session;
  bool containers = false, done = false;
  std::vector<std::string> groups, cgroups, folders;
};

Left read_lines() {
  Left left;
  FILE* in = fdopen(3, "r");
  if (in == nullptr) return left;
  char* line = nullptr;
  std::size_t size = 0;
  for (ssize_t length = 0; (length = getline(&line, &size, in)) > 0;) {
    std::string text(line, static_cast<std::size_t>(length));
    if (text.back() == '\n') text.pop_back();
    const std::string word = text.substr(0, text.find(' '));
    const std::string rest = word.size() < text.size() ? text.substr(word.size() + 1) : "";
    if (word == "session") left.session = rest;
    if (word == "containers") left.containers = true;
    if (word == "group") left.groups.push_back(rest);
    if (word == "cgroup") left.cgroups.push_back(rest);
    if (word == "folder") left.folders.push_back(rest);
    if (word == "done") left.done = true;
  }
  free(line);
  fclose(in);
  return left;
}

}  // namespace

int main() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(number, SIG_IGN);
  const Left left = read_lines();
  if (left.done) return 0;
  for (const auto& group : left.groups) hawse::executor::kill_group(group);
  for (const auto& folder : left.cgroups) hawse::executor::remove_cgroup(folder);
  if (left.containers) {
    try {
      hawse::executor::kill_session(left.session);
    } catch (const std::exception&) {
      // The engine is gone, too: the next session's start sweeps by label.
    }
  }
  std::error_code error;
  for (const auto& folder : left.folders) std::filesystem::remove_all(folder, error);
  return 0;
}
