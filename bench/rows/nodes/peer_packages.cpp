// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>

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
  const auto begin = text.rfind('\n', end);
  const std::string line = text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1) + 1);
  return line.substr(std::min(line.find_first_not_of(' '), line.size()));
}

PeerPackages install(const std::vector<std::string>& requirements) {
  const auto state = state_dir() / "bench";
  std::filesystem::create_directories(state);
  executor::EnvironmentIndex index(state / "packages.sqlite");
  executor::PackageStore store(state, index);
  const executor::Interpreter python = executor::find_python("");
  const auto packages = store.install({.python = python.tag(), .platform = "", .interpreter = python, .compile = {}}, requirements, nullptr);
  return {packages.folder, python.path, packages.summary};
}

const PeerPackages& installed_once(const std::string& name, const std::vector<std::string>& requirements, std::optional<PeerPackages>& known, std::string& failed) {
  if (!known && failed.empty()) {
    try {
      known = install(requirements);
    } catch (const Error& error) {
      failed = fmt::format("{} can't be installed: {}", name, last_line_of(error.context()));
    }
  }
  if (!known) throw Unavailable(failed);
  return *known;
}

}  // namespace

const PeerPackages& dora_packages() {
  static std::optional<PeerPackages> known;
  static std::string failed;
  return installed_once("dora", kDora, known, failed);
}

const PeerPackages& iceoryx2_packages() {
  static std::optional<PeerPackages> known;
  static std::string failed;
  return installed_once("iceoryx2's wheel", kIceoryx2, known, failed);
}

}  // namespace hawse::bench
