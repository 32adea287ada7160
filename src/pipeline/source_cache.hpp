// SPDX-License-Identifier: Apache-2.0
//
// What read_source.py has said of a file, kept for as long as everything that it looked at is as it was: to start an interpreter for it takes longer than all else
// that a warm start does.
//
// Kept is the text of an answer, in one of a fixed number of files below the state folder, beside a stamp of each path that the reader looked at: files that it read,
// names that it looked for and didn't find, folders of packages. A path that has changed shortly before the reader began, or since, may change again within one tick of
// the file system's clock: such an answer isn't kept.
// Errors. None: what can't be kept or found is read again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace hawse::pipeline {

class SourceCache {
 public:
  // reader: what reads, whose change makes all of it void.
  SourceCache(const std::filesystem::path& source, const std::vector<std::filesystem::path>& reader);

  std::optional<nlohmann::ordered_json> find() const noexcept;
  // After the read that began when this was made.
  void keep(const nlohmann::ordered_json& answer, std::vector<std::filesystem::path> looked_at) const noexcept;

 private:
  const std::vector<std::filesystem::path> reader_;
  const std::string source_;
  const std::int64_t begun_ns_;
};

}  // namespace hawse::pipeline
