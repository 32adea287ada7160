// SPDX-License-Identifier: Apache-2.0
//
// What a node's container is allowed and given, as the engine wants to hear it. The whole of a node's confinement stands in container_spec.cpp.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "executor/container/engine.hpp"
#include "executor/executor.hpp"
#include "executor/warm.hpp"

namespace hawse::executor {

// Where things lie inside.
inline constexpr const char* kSocketInside = "/hawse/socket";
inline constexpr const char* kInitInside = "/hawse/init";
inline constexpr const char* kSdkInside = "/hawse/sdk";
inline constexpr const char* kPackagesInside = "/hawse/packages";

std::string inside(const pipeline::Node&, const std::filesystem::path& code_file);  // "/hawse/code/nodes.py"
std::string container_name(const Launch&);                                          // "hawse-SESSION-NODE-ATTEMPT"
// resources: where hawse-init lies; sdk: the folder with the package `hawse`; zygote: its program forks nodes.
nlohmann::json create_body(const Launch&, const std::filesystem::path& resources, const std::filesystem::path& sdk, const Labels&,
                           bool zygote = false);
void set_join(nlohmann::json& body, const std::filesystem::path& socket, const std::string& token);  // in place of Launch's

Recipe container_recipe(const pipeline::Node&, const Prepared&);  // of the zygote that a node is forked from

}  // namespace hawse::executor
