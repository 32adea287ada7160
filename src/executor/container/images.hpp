// SPDX-License-Identifier: Apache-2.0
//
// The image that a node's container is made from: an official Python image, one of ours (hawse/python:X.Y, made from Debian's packages where no
// registry answers), the one that the manifest names, or any of these with system packages on top (hawse/env:HASH).
//
// Cached under a hash of what shapes it and nothing else: an unchanged image costs one or two calls of the engine.
// Every image of ours has the label hawse=1. Threading: any thread; two that want the same image make it once (a file lock).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "executor/container/engine.hpp"
#include "executor/executor.hpp"
#include "executor/python/environment_index.hpp"

namespace hawse::executor {

inline constexpr const char* kDefaultPython = "3.11";

struct Image {
  std::string id;         // "sha256:..."
  std::string reference;  // "hawse/python:3.9"
};

// What is inside, found out by running it once.
struct ImagePython {
  std::string version;   // "3.9.2"
  std::string tag;       // "3.9"
  std::string platform;  // as uv names it: "x86_64-manylinux_2_28"
};

class Images {
 public:
  // on_request: as Making says.
  Images(const Engine& engine, EnvironmentIndex& index, std::filesystem::path state, bool on_request = false)
      : engine_(engine), index_(index), state_(std::move(state)), on_request_(on_request) {}

  Image ready(const pipeline::ContainerOptions&, const Report&);       // base, pulled or made where needed, plus apt
  Image python_base(const std::string& version, const Report&);        // "3.9"
  Image make_base(const std::string& version, const Report&);          // from Debian's packages, even where there is one already
  ImagePython python_of(const Image&);                                 // throws Error(environment) where it has no python3
  void compile(const Image&, const std::filesystem::path& packages);   // .pyc files, by the Python inside
  // Throws Error(environment) where it is built on musl; hint: empty for that of a Python node.
  void refuse_musl(const Image&, const std::string& hint = "");
  bool has_compiler(const Image&);
  Image with_compiler(const Image&, const Report&);                    // that image plus Debian's compiler and, where its Python is Debian's, its headers

  // For a lock file: the exact versions ("libgl1=1.6.0-1") that `image` has beyond `base`, and that `image` is what these make of it.
  std::vector<std::string> added_packages(const Image& base, const Image& image);
  void note_as_made_of(const Image& base, const std::vector<std::string>& added, const Image& image);

 private:
  Image named(const std::string& reference, const Report&);
  Image with_apt(const Image& base, std::vector<std::string> packages, const Report&);
  bool pull(const std::string& reference, const Report&);  // false: no registry answers, or it has no such image

  const Engine& engine_;
  EnvironmentIndex& index_;
  std::filesystem::path state_;
  bool on_request_;
};

}  // namespace hawse::executor
