// SPDX-License-Identifier: Apache-2.0
#include "executor/container/container_spec.hpp"

#include <sys/stat.h>

#include <cctype>

#include "base/files.hpp"
#include "executor/container/gpus.hpp"
#include "executor/container/image_sdk.hpp"
#include "executor/zygote.hpp"
#include "pipeline/default_limits.hpp"

namespace hawse::executor {

using nlohmann::json;
using pipeline::Node;
using pipeline::NodeKind;

namespace {

constexpr const char* kTmp = "rw,noexec,nosuid,nodev,size=64m,mode=1777";

json bind_mount(const std::filesystem::path& source, const std::string& target, bool write = false) {
  return {{"Type", "bind"}, {"Source", source.string()}, {"Target", target}, {"ReadOnly", !write}};
}

// Single files of the code, never their folder: what else lies there is none of the node's business.
json mounts_of(const Launch& launch, const std::filesystem::path& resources, const std::filesystem::path& sdk) {
  const Node& node = *launch.node;
  json mounts = json::array({bind_mount(launch.socket, kSocketInside), bind_mount(resources / "hawse-init", kInitInside)});
  if (node.kind == NodeKind::python) {
    mounts.push_back(bind_mount(sdk, kSdkInside));
    for (const auto& file : node.code_files) mounts.push_back(bind_mount(file, inside(node, file)));
  } else {
    mounts.push_back(bind_mount(node.source_file, inside(node, node.source_file)));
  }
  if (!launch.prepared->packages.empty()) mounts.push_back(bind_mount(launch.prepared->packages, kPackagesInside));
  for (const auto& mount : node.container.mounts) mounts.push_back(bind_mount(mount.source, mount.target, mount.write));
  return mounts;
}

json command_of(const Node& node, bool zygote) {
  if (node.kind == NodeKind::program) return json::array({inside(node, node.source_file)});
  json command = {"python3", "-I", "-u", "-B", std::string(kSdkInside) + "/hawse/_main.py"};
  if (zygote) command.push_back("zygote");
  return command;
}

// PATH comes from the image, or from the engine where the image says nothing. Of the host's environment nothing gets in.
json environment_of(const Launch& launch) {
  std::map<std::string, std::string> variables{{"LANG", "C.UTF-8"}, {"HOME", "/tmp"}, {"PYTHONDONTWRITEBYTECODE", "1"}};
  for (const auto& [name, value] : launch.node->env) variables[name] = value;
  variables["HAWSE_SOCKET"] = kSocketInside;
  variables["HAWSE_TOKEN"] = launch.token;
  variables["HAWSE_FD"] = "3";
  json list = json::array();
  for (const auto& [name, value] : variables) list.push_back(name + "=" + value);
  return list;
}

json host_config(const Launch& launch, const std::filesystem::path& resources, const std::filesystem::path& sdk) {
  const Node& node = *launch.node;
  json config{{"NetworkMode", node.container.network},
              {"ReadonlyRootfs", true},
              {"CapDrop", {"ALL"}},
              {"SecurityOpt", {"no-new-privileges"}},
              {"PidsLimit", *pids_limit(node)},
              {"IpcMode", node.limits.shm_bytes ? "private" : "none"},
              {"Tmpfs", {{"/tmp", kTmp}}},
              {"Mounts", mounts_of(launch, resources, sdk)},
              {"Init", false},
              {"AutoRemove", false},
              // The node's output goes through pipes of ours. What gets here is what init says before it has them.
              {"LogConfig", {{"Type", "json-file"}, {"Config", {{"max-size", "64k"}, {"max-file", "1"}}}}}};
  if (const auto bytes = node.limits.own_memory_bytes()) config["Memory"] = config["MemorySwap"] = *bytes;  // the two alike: no swap
  if (node.limits.cpus) config["NanoCpus"] = static_cast<std::int64_t>(*node.limits.cpus * 1e9);
  if (node.limits.shm_bytes) config["ShmSize"] = *node.limits.shm_bytes;
  if (node.limits.file_bytes) config["Ulimits"] = json::array({{{"Name", "fsize"}, {"Soft", *node.limits.file_bytes}, {"Hard", *node.limits.file_bytes}}});
  if (!node.container.gpus.empty()) config["DeviceRequests"] = gpus_of(node.container.gpus);
  return config;
}

}  // namespace

std::string inside(const Node& node, const std::filesystem::path& code_file) {
  const auto relative = code_file.lexically_relative(node.source_file.parent_path());
  const bool below = !relative.empty() && *relative.begin() != "..";
  return "/hawse/code/" + (below ? relative : code_file.filename()).string();
}

std::string container_name(const Launch& launch) {
  std::string node;
  for (const char c : launch.node->id) node += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ? c : '_';
  return "hawse-" + launch.session + "-" + node + "-" + std::to_string(launch.attempt);
}

json create_body(const Launch& launch, const std::filesystem::path& resources, const std::filesystem::path& sdk, const Labels& labels, bool zygote) {
  return {{"Image", launch.prepared->image},
          {"Entrypoint", json::array({kInitInside})},
          {"Cmd", command_of(*launch.node, zygote)},
          {"Env", environment_of(launch)},
          {"User", launch.node->container.user},
          {"WorkingDir", "/tmp"},
          {"Labels", labels},
          {"Healthcheck", {{"Test", {"NONE"}}}},
          {"NetworkDisabled", launch.node->container.network == "none"},
          {"HostConfig", host_config(launch, resources, sdk)}};
}

void set_join(json& body, const std::filesystem::path& socket, const std::string& token) {
  for (auto& mount : body["HostConfig"]["Mounts"])
    if (mount["Target"] == kSocketInside) mount["Source"] = socket.string();
  for (auto& variable : body["Env"])
    if (variable.get_ref<const std::string&>().starts_with("HAWSE_TOKEN=")) variable = "HAWSE_TOKEN=" + token;
}

Recipe container_recipe(const Node& node, const Prepared& prepared) {
  Launch nowhere;
  nowhere.node = &node;
  nowhere.prepared = &prepared;
  Recipe recipe;
  recipe.container = create_body(nowhere, resources_dir(), image_sdk(prepared.image, resources_dir() / "python", state_dir()), {}, true);
  recipe.import = Zygote::import_message(prepared, true, true);
  struct stat init {};
  ::stat((resources_dir() / "hawse-init").c_str(), &init);
  recipe.key = key_of(node, {recipe.container, recipe.import, init.st_ino, init.st_mtim.tv_sec, init.st_mtim.tv_nsec});
  recipe.container["Labels"] = Labels{{"hawse.node", node.id}};
  if (!prepared.packages.empty()) recipe.container["Labels"]["hawse.packages"] = prepared.packages.filename().string();
  recipe.timeout_ns = node.start_timeout_ns;
  return recipe;
}

}  // namespace hawse::executor
