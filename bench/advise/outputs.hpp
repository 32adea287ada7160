// SPDX-License-Identifier: Apache-2.0
//
// Keeps a measurement away from the user's files: whatever the manifest names and a node may write goes into a temporary folder instead.
//
//   a sink's path (it only takes frames)   a file in the folder; where the user's file is there, and the sink is the user's own, a copy of it
//   another node's path, nothing there     a file in the folder: it can only be for writing
//   another node's path, something there   left alone, since it is most likely read (a model); looked at again afterwards
//   a mount that may be written            a copy of it
// What a node writes on its own account, without the manifest naming it, can't be seen.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::bench::advise {

struct Redirected {
  std::string node, name, from, to;  // "sink", "uri" (or "mounts"), "/home/me/faces.mp4", where it goes instead
};

inline constexpr std::uint64_t kLargestCopyBytes = 256ull << 20;

// Changes params and mounts of the pipeline, for one run. Throws Error where a copy can't be made.
std::vector<Redirected> redirect_outputs(pipeline::Pipeline&, const std::filesystem::path& folder);
// Why this node can't be run in a container without touching the user's files; "": it can.
std::string why_not_in_container(const pipeline::Node&);

// Files and folders that nodes are given and that stay in place.
class LeftAlone {
 public:
  explicit LeftAlone(const pipeline::Pipeline&);
  std::vector<std::string> changed() const;  // "/home/me/model.bin (param model of speech)"

 private:
  struct State {
    std::uintmax_t bytes = 0;
    std::filesystem::file_time_type time;
    bool operator==(const State&) const = default;
  };
  static State state_of(const std::filesystem::path&);
  std::map<std::string, std::pair<std::string, State>> files_;  // path: (who was given it, how it was)
};

}  // namespace hawse::bench::advise
