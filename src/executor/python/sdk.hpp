// SPDX-License-Identifier: Apache-2.0
//
// The compiled form (.pyc) of the package `hawse`. Nodes run with -B and write none; without them every start would compile the package anew, 20 ms.
#pragma once

#include <filesystem>
#include <string>

#include "executor/python/interpreter.hpp"

namespace hawse::executor {

std::string sdk_stamp(const std::filesystem::path& sdk);  // changes with any of its files

// Beside the package's own files, for this interpreter, where they are missing or old and we may write there. Python ignores one that is older than its source.
void compile_sdk(const std::filesystem::path& sdk, const Interpreter&);

}  // namespace hawse::executor
