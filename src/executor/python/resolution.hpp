// SPDX-License-Identifier: Apache-2.0
//
// What a set of requirements comes down to: every package with its exact version and the hashes of its files, as uv resolves it.
//
// An exact requirement is a line as uv and pip read it, with hashes: "numpy==1.26.4 --hash=sha256:f870...". A set of these needs no resolving.
// Threading: any thread.
#pragma once

#include <string>
#include <vector>

#include "executor/python/packages.hpp"

namespace hawse::executor {

struct Resolved {
  std::string name, version;
  std::string line;         // exact
  bool wheel = true;        // false: none for the target, it has to be built from its source distribution:
  std::string source_url;   // with the index's address as it gives it, without credentials
  std::string source_sha256;
};

// Throws Error(environment) with uv's own last lines, and where a package has no hash (a folder, a repository).
std::vector<Resolved> resolve(const PackageTarget&, const std::vector<std::string>& requirements, const std::filesystem::path& state, const Report&);

bool is_exact(const std::string& requirement);
std::vector<Resolved> parse_pylock(const std::string& toml);  // of PEP 751, as far as uv writes it

}  // namespace hawse::executor
