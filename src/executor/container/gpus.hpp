// SPDX-License-Identifier: Apache-2.0
//
// GPUs of a container: what the engine is asked for, and whether it has them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.hpp"
#include "executor/container/engine.hpp"

namespace hawse::executor {

nlohmann::json gpus_of(const std::string& gpus);  // DeviceRequests for "all", a count, or ids with commas between
// The same for Podman, whose service knows GPUs by their CDI names alone (from 5.4 on: earlier ones ignore whatever is asked for).
nlohmann::json cdi_gpus_of(const nlohmann::json& requests);
// The engine's words where it has none name neither the key nor what the machine has; any other error is passed through.
Error about_gpus(const nlohmann::json& body, const Error&);
// Throws Error(engine) where the engine has no such GPUs, which it says before it runs anything of the image; "": any image that it has. False: it has none, and can't tell.
bool check_gpus(const Engine&, const std::string& gpus, std::string image);

}  // namespace hawse::executor
