// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bench/core/row.hpp"
#include "bench/rows/nodes/peer_process.hpp"
#include "executor/python/packages.hpp"

namespace hawse::bench {
namespace {

// The versions that are compared with, all of them here.
const std::vector<std::string> kDora = {"dora-rs==1.1.0", "dora-rs-cli==1.1.0", "pyarrow==26.0.1", "numpy==2.4.6"};
const std::vector<std::string> kIceoryx2 = {"iceoryx2==0.10.0", "numpy==2.4.6"};

std::string last_line_of(const std::string& text) {
  const auto end = text.find_last_not_of(" \n");
  if (end == std::string::npos) return "no reason given";
  const auto line = text.find_first_not_of(" \n", text.rfind('\n', end) + 1);  // npos + 1 is 0
  return text.substr(line, end - line + 1);
}

PeerPackages install(const std::string& name, const std::vector<std::string>& requirements) {
  try {
    const auto state = state_dir() / "bench";
    std::filesystem::create_directories(state);
    executor::EnvironmentIndex index(state / "packages.sqlite");
    executor::PackageStore store(state, index);
    const executor::Interpreter python = executor::find_python("");
    const auto packages = store.install({.python = python.tag(), .platform = "", .interpreter = python}, requirements, nullptr);
    return {packages.folder, python.path, packages.summary};
  } catch (const Error& error) {
    throw Unavailable(fmt::format("{} can't be installed: {}", name, last_line_of(error.context())));
  }
}

}  // namespace

PeerPackages dora_packages() { return install("dora", kDora); }

PeerPackages iceoryx2_packages() { return install("iceoryx2's wheel", kIceoryx2); }

}  // namespace hawse::bench
