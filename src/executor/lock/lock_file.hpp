// SPDX-License-Identifier: Apache-2.0
//
// The lock file of a pipeline: for each node that has an environment, what the manifest asked for and what exactly that came down to. It lies beside the
// manifest (captions.yaml.lock), is JSON with one package a line, and holds no path of a machine and no credentials.
//
// Pure: text and values. What a lock makes of a pipeline is a pipeline whose nodes ask for exactly that and nothing else: every package with its version and
// hashes, the base image by its digest, Debian's packages with their versions.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::executor {

struct LockedNode {
  nlohmann::json wants;               // of the manifest: executor, python, image, apt, packages
  std::string python;                 // "3.9.2"
  std::string base;                   // "hawse/python:3.9"; "" for a process
  std::string image;                  // the base by digest, "python@sha256:...", where a registry knows it, else by id, "sha256:..."
  std::vector<std::string> apt;       // "libgl1=1.6.0-1", with all that came along
  std::vector<std::string> packages;  // exact requirements; those of building from source begin with "build: "
  std::string environment;            // a hash over all of this and over the content of every installed file
};

struct LockFile {
  std::string uv;  // the version that resolved it
  std::map<std::string, LockedNode> nodes;
};

std::filesystem::path lock_path(const pipeline::Pipeline&);
bool has_environment(const pipeline::Node&);  // there is something to lock
nlohmann::json wants_of(const pipeline::Node&);

std::string to_text(const LockFile&);
LockFile parse_lock(const std::string& text);                  // throws Error(environment)
LockFile read_lock(const pipeline::Pipeline&);                 // likewise, where there is none
std::vector<std::string> differences(const LockFile&, const pipeline::Pipeline&);  // "node speech: packages is numpy<2, the lock was made for numpy<1"
void apply(const LockedNode&, pipeline::Node&);
// Every node exact. Throws Error(environment) that says what differs and how to renew it.
void apply(const LockFile&, pipeline::Pipeline&);
std::string environment_hash(const LockedNode&, const std::string& content);

}  // namespace hawse::executor
