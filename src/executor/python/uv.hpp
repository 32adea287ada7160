// SPDX-License-Identifier: Apache-2.0
//
// uv, which resolves and installs Python packages for us: where it is, and with which settings of this host it runs.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "executor/executor.hpp"

namespace hawse::executor {

// Runs it in `folder`. Throws Error(environment) with its own last lines, without credentials.
void run_uv(const std::vector<std::string>& arguments, const std::filesystem::path& folder, const std::string& what, const Report&, Interrupt* = nullptr);

// How to call it: $HAWSE_UV, resources_dir()/uv, uv on PATH, or `python3 -m uv`. Throws Error(environment) with what to install.
std::vector<std::string> find_uv();

// Its environment: ours, with pip's settings (PIP_*, pip.conf) where uv has none of its own, so that whoever set up pip has set up this.
std::map<std::string, std::string> uv_environment();

// Those of its settings that decide what a requirement resolves to: a part of the key of every package folder.
std::string uv_settings(const std::map<std::string, std::string>& environment);

std::string without_credentials(const std::string& text);  // "https://me:secret@host/" -> "https://host/"

}  // namespace hawse::executor
