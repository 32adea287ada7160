// SPDX-License-Identifier: Apache-2.0
//
// A Python package that has no wheel for a container's Python becomes one: built once, inside a container of the environment's own image, by the backend that
// its source names (PEP 517, with PyPA's `build`). Where that fails and the image has no compiler, it is built in the image plus Debian's.
//
// A build has no network, no capabilities and sees nothing but its own folders: the host fetches the source and, with uv, what the build requires. Wheels are kept
// in the store under a hash of image, source and requirements of building. Threading: any thread; two that want the same wheel build it once (a file lock).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "executor/container/images.hpp"
#include "executor/python/packages.hpp"
#include "executor/python/resolution.hpp"

namespace hawse::executor {

class SourceBuilder {
 public:
  SourceBuilder(const Engine& engine, Images& images, PackageStore& store, EnvironmentIndex& index, std::filesystem::path state)
      : engine_(engine), images_(images), store_(store), index_(index), state_(std::move(state)) {}

  // `building`: exact requirements of building, of a lock file; empty: as the source says. Throws Error(environment) with the build's own last lines.
  std::filesystem::path wheel(const Image&, const PackageTarget&, const Resolved&, const std::vector<std::string>& building, const Report&);
  std::vector<std::string> requirements(const Image&, const PackageTarget&, const Resolved&, const Report&);  // of building it, as its source says

 private:
  struct Work;
  std::filesystem::path make(const std::string& key, const Image&, const PackageTarget&, const Resolved&, const std::vector<std::string>& building, const Report&);
  void unpack(Work&, const PackageTarget&, const Resolved&, const Report&);
  void build_in(const Image&, Work&, const PackageTarget&, std::vector<std::string> building, const Report&);

  const Engine& engine_;
  Images& images_;
  PackageStore& store_;
  EnvironmentIndex& index_;
  std::filesystem::path state_;
};

}  // namespace hawse::executor
