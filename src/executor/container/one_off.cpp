// SPDX-License-Identifier: Apache-2.0
#include "executor/container/one_off.hpp"

#include "executor/container/ownership.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

// Removed whatever happens in between.
class Removed {
 public:
  Removed(const Engine& engine, std::string id) : engine_(engine), id_(std::move(id)) {}
  Removed(const Removed&) = delete;
  Removed& operator=(const Removed&) = delete;
  ~Removed() {
    try {
      engine_.remove(id_);
    } catch (const std::exception&) {  // the engine is gone: the next sweep removes it
    }
  }

 private:
  const Engine& engine_;
  std::string id_;
};

}  // namespace

OneOff run_one_off(const Engine& engine, const std::string& image, const std::vector<std::string>& command, const std::string& user, const json& mounts) {
  const json body{{"Image", image},
                  {"Entrypoint", json::array({command.front()})},
                  {"Cmd", std::vector<std::string>(command.begin() + 1, command.end())},
                  {"User", user},
                  {"Labels", owner_labels("")},
                  {"NetworkDisabled", true},
                  {"HostConfig",
                   {{"NetworkMode", "none"}, {"ReadonlyRootfs", true}, {"CapDrop", {"ALL"}}, {"SecurityOpt", {"no-new-privileges"}}, {"Mounts", mounts},
                    {"LogConfig", {{"Type", "json-file"}, {"Config", {{"max-size", "64k"}}}}}}}};
  const std::string id = engine.create("", body);
  const Removed removed(engine, id);
  engine.start(id);
  OneOff result;
  result.exit_code = engine.wait(id);
  result.output = engine.logs(id, 20);
  return result;
}

void try_start(const Engine& engine, json body) {
  body["Labels"] = owner_labels("");
  body["NetworkDisabled"] = true;
  body["HostConfig"]["NetworkMode"] = "none";
  const std::string id = engine.create("", body);
  const Removed removed(engine, id);
  engine.start(id);
}

bool image_has_file(const Engine& engine, const std::string& image, const std::string& path) {
  const std::string id = engine.create("", {{"Image", image}, {"Cmd", {"/nothing"}}, {"Labels", owner_labels("")}, {"HostConfig", {{"NetworkMode", "none"}}}});
  const Removed removed(engine, id);
  return engine.has_file(id, path);
}

}  // namespace hawse::executor
