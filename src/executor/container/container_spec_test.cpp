// SPDX-License-Identifier: Apache-2.0
//
// What a node's limits and GPUs become in the request that goes to the engine.
#include "executor/container/container_spec.hpp"

#include <gtest/gtest.h>

#include "executor/container/gpus.hpp"

namespace hawse::executor {
namespace {

using nlohmann::json;

json host_config_of(pipeline::Node node) {
  node.id = "node";
  node.executor = pipeline::ExecutorKind::container;
  node.kind = pipeline::NodeKind::program;
  node.source_file = "/work/program";
  const Prepared prepared;
  Launch launch;
  launch.node = &node;
  launch.prepared = &prepared;
  launch.session = "abc";
  return create_body(launch, "/resources", "/sdk", {}).at("HostConfig");
}

json gpus(const std::string& text) {
  pipeline::Node node;
  node.container.gpus = text;
  return host_config_of(node).at("DeviceRequests").at(0);
}

TEST(ContainerSpec, asks_for_all_gpus_a_count_or_some_by_their_ids) {
  const json capabilities = json::array({json::array({"gpu"})});
  EXPECT_EQ(gpus("all"), (json{{"Driver", ""}, {"Capabilities", capabilities}, {"Count", -1}}));
  EXPECT_EQ(gpus("2"), (json{{"Driver", ""}, {"Capabilities", capabilities}, {"Count", 2}}));
  EXPECT_EQ(gpus("GPU-1f,MIG-2a"), (json{{"Driver", ""}, {"Capabilities", capabilities}, {"DeviceIDs", {"GPU-1f", "MIG-2a"}}}));
}

TEST(ContainerSpec, asks_for_no_gpu_unless_one_is_named) { EXPECT_FALSE(host_config_of({}).contains("DeviceRequests")); }

TEST(ContainerSpec, limits_memory_with_swap_less_an_arena_that_counts) {
  pipeline::Node node;
  node.limits.memory_bytes = 128u << 20;
  EXPECT_EQ(host_config_of(node)["Memory"], 128u << 20);
  node.limits.arena_bytes = 32u << 20;
  node.limits.arena_in_memory = true;
  const json host = host_config_of(node);
  EXPECT_EQ(host["Memory"], 96u << 20);
  EXPECT_EQ(host["MemorySwap"], 96u << 20);
}

TEST(ContainerSpec, limits_cpus_pids_files_and_shared_memory) {
  pipeline::Node node;
  node.limits.cpus = 0.5;
  node.limits.pids = 20;
  node.limits.file_bytes = 1u << 20;
  node.limits.shm_bytes = 2u << 20;
  const json host = host_config_of(node);
  EXPECT_EQ(host["NanoCpus"], 500'000'000);
  EXPECT_EQ(host["PidsLimit"], 20);
  EXPECT_EQ(host["Ulimits"], json::array({(json{{"Name", "fsize"}, {"Soft", 1u << 20}, {"Hard", 1u << 20}})}));
  EXPECT_EQ(host["ShmSize"], 2u << 20);
  EXPECT_EQ(host["IpcMode"], "private");
}

TEST(ContainerSpec, limits_processes_also_where_the_manifest_does_not) { EXPECT_EQ(host_config_of({})["PidsLimit"], 256); }

TEST(ContainerSpec, asks_podman_for_gpus_by_their_cdi_names) {
  const auto names = [](const std::string& gpus) { return cdi_gpus_of(gpus_of(gpus)).at(0).at("DeviceIDs"); };
  EXPECT_EQ(cdi_gpus_of(gpus_of("all")).at(0).at("Driver"), "cdi");
  EXPECT_EQ(names("all"), json({"nvidia.com/gpu=all"}));
  EXPECT_EQ(names("2"), json({"nvidia.com/gpu=0", "nvidia.com/gpu=1"}));
  EXPECT_EQ(names("GPU-1f,MIG-2a"), json({"nvidia.com/gpu=GPU-1f", "nvidia.com/gpu=MIG-2a"}));
}

}  // namespace
}  // namespace hawse::executor
