// SPDX-License-Identifier: Apache-2.0
//
// A container that runs one command to its end and is gone: to ask an image what is in it, or to do a step of an installation.
// It has no network, no capabilities, a read-only root, and the labels by which leftovers are found.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "executor/container/engine.hpp"

namespace hawse::executor {

struct OneOff {
  int exit_code = 0;
  std::string output;  // the last lines of both streams
};
OneOff run_one_off(const Engine&, const std::string& image, const std::vector<std::string>& command, const std::string& user, const nlohmann::json& mounts);

void try_start(const Engine&, nlohmann::json body);  // makes it, starts it and removes it; throws Error where that fails

bool image_has_file(const Engine&, const std::string& image, const std::string& path);  // in a container that isn't started: nothing of the image runs

}  // namespace hawse::executor
