// SPDX-License-Identifier: Apache-2.0
#include "executor/container/gpus.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <sstream>

#include "executor/container/one_off.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

std::string gpus_in_words(const json& request) {
  if (request.contains("DeviceIDs")) return fmt::format("{}", fmt::join(request["DeviceIDs"].get<std::vector<std::string>>(), ","));
  return request["Count"] == -1 ? "all" : request["Count"].dump();
}

}  // namespace

json gpus_of(const std::string& gpus) {
  json request{{"Driver", ""}, {"Capabilities", json::array({json::array({"gpu"})})}};
  if (gpus == "all") {
    request["Count"] = -1;
  } else if (gpus.find_first_not_of("0123456789") == std::string::npos) {
    request["Count"] = std::stoi(gpus);
  } else {
    std::istringstream ids(gpus);
    request["DeviceIDs"] = json::array();
    for (std::string id; std::getline(ids, id, ',');) request["DeviceIDs"].push_back(id);
  }
  return json::array({request});
}

json cdi_gpus_of(const json& requests) {
  json cdi{{"Driver", "cdi"}, {"Capabilities", json::array({json::array({"gpu"})})}, {"DeviceIDs", json::array()}};
  const auto add = [&](const std::string& name) { cdi["DeviceIDs"].push_back("nvidia.com/gpu=" + name); };
  for (const auto& request : requests) {
    for (const auto& id : request.value("DeviceIDs", std::vector<std::string>())) add(id);
    const int count = request.value("Count", 0);
    if (count < 0) add("all");
    for (int number = 0; number < count; ++number) add(std::to_string(number));
  }
  return json::array({cdi});
}

Error about_gpus(const json& body, const Error& error) {
  const auto& host = body["HostConfig"];
  const bool lacks = error.context().find("device driver") != std::string::npos || error.context().find("CDI device") != std::string::npos;
  if (!host.contains("DeviceRequests") || !lacks) return error;
  std::error_code none;
  const bool device = std::filesystem::exists("/dev/nvidiactl", none) || std::filesystem::exists("/dev/dxg", none);
  return {ErrorCode::engine, error.operation(),
          fmt::format("gpus: {} was asked for, and the engine has no driver for GPUs ({}){}", gpus_in_words(host["DeviceRequests"][0]), error.context(),
                      device ? "" : "; this machine shows no GPU either (no /dev/nvidiactl)"),
          error.hint()};
}

bool check_gpus(const Engine& engine, const std::string& gpus, std::string image) {
  engine.check_knows_gpus();
  if (image.empty()) {
    const auto images = engine.images({});
    if (images.empty()) return false;
    image = images.front().id;
  }
  const json body{{"Image", image}, {"Entrypoint", {"/hawse/no-such-program"}}, {"HostConfig", {{"DeviceRequests", gpus_of(gpus)}}}};
  try {
    try_start(engine, body);
  } catch (const Unreachable&) {
    throw;
  } catch (const Error& error) {
    if (const Error said = about_gpus(body, error); said.context() != error.context()) throw Error(said.code(), "look for GPUs", said.context(), said.hint());
  }  // else it came as far as the program, which isn't there, or the image is of no use: then the start itself will say
  return true;
}

}  // namespace hawse::executor
