// SPDX-License-Identifier: Apache-2.0
//
// A Python base image out of Debian's packages, where no image registry answers: mmdebstrap makes the file tree, the engine imports it.
#pragma once

#include <filesystem>
#include <string>

#include "executor/container/engine.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

std::string base_reference(const std::string& version);  // "3.9" -> "hawse/python:3.9"
bool can_make_base(const std::string& version);
std::string makeable_versions();  // "3.9 (bullseye), 3.11 (bookworm), 3.13 (trixie)"
// Half a minute and some hundred megabytes below `state`. The id. Throws Error(environment).
std::string make_base_image(const Engine&, const std::filesystem::path& state, const std::string& version, const Report&);

}  // namespace hawse::executor
