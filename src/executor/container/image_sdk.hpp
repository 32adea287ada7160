// SPDX-License-Identifier: Apache-2.0
//
// The package `hawse` as the containers of one image mount it: a copy with the .pyc files that the Python inside that image has made.
//
// A copy for each image, since whatever an image writes must reach its own containers only. Made once for an image and a version of the package, into
// STATE/sdk/IMAGE-STAMP; copies of the same image that a newer one has replaced are removed after a day.
#pragma once

#include <filesystem>
#include <string>

#include "executor/container/engine.hpp"

namespace hawse::executor {

void make_image_sdk(const Engine&, const std::string& image_id, const std::filesystem::path& sdk, const std::filesystem::path& state);
std::filesystem::path image_sdk(const std::string& image_id, const std::filesystem::path& sdk, const std::filesystem::path& state);  // `sdk` itself where none was made

}  // namespace hawse::executor
