// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/nodes/live_pipeline.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bench/core/row.hpp"

namespace hawse::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kWatchdog{120};  // against a hang, no limit on speed

Session start(const std::string& manifest, const std::map<std::string, std::string>& variables) {
  try {
    return Pipeline(manifest, variables).start();
  } catch (const Error& error) {
    throw Unavailable(error.what());
  }
}

}  // namespace

std::string lay_out_nodes(const std::string& folder) {
  const fs::path from = resources_dir() / "bench" / "nodes", to = fs::path(folder) / "nodes";
  std::error_code error;
  if (!fs::is_directory(from, error)) throw Unavailable(fmt::format("the benchmark's nodes aren't installed: {} isn't there", from.string()));
  if (!fs::exists(to)) fs::copy(from, to, fs::copy_options::recursive);
  return to.string();
}

LivePipeline::LivePipeline(const std::string& manifest, const std::map<std::string, std::string>& variables) : session_(start(manifest, variables)) {}

Frame LivePipeline::answer(const nlohmann::json& command) {
  try {
    Output& input = session_.input("command");
    input.send(input.json(command.dump()));
    if (auto frame = session_.receive("samples", kWatchdog)) return *frame;
    if (!session_.ended("samples")) throw Unavailable(fmt::format("its nodes gave no answer to {} within {} s", command.dump(), kWatchdog.count()));
  } catch (const Stopped&) {
    // It ended before it took the command.
  }
  throw Unavailable(fmt::format("its pipeline ended over {}: exit code {}", command.dump(), session_.wait()));
}

std::vector<float> LivePipeline::ask(const nlohmann::json& command) {
  const Frame frame = answer(command);
  const auto samples = frame.as<float>();
  return {samples.begin(), samples.end()};
}

nlohmann::json LivePipeline::ask_json(const nlohmann::json& command) { return nlohmann::json::parse(answer(command).text()); }

}  // namespace hawse::bench
