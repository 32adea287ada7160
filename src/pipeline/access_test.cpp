// SPDX-License-Identifier: Apache-2.0
#include "pipeline/testing.hpp"

namespace hawse::pipeline {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> access_of(const std::string& node) {
  const Pipeline pipeline = TestProject().load("version: 1\nnodes: {t: {node: test/source}, a: " + node + "}\nedges: [t -> a]\n");
  return may_touch(pipeline.nodes.at(1), pipeline);
}

TEST(Access, a_container_is_closed_unless_it_was_opened) {
  EXPECT_THAT(access_of("{node: 'nodes.py:Open', executor: container}"),
              ElementsAre("network: none", "files: nothing of the host but its own code and packages (read-only)", "gpus: none", "user: 65534:65534",
                          "limits: pids 256 (the default), arena 2 GiB"));
}

TEST(Access, a_container_shows_everything_that_was_opened) {
  EXPECT_THAT(access_of("{node: 'nodes.py:Open', executor: container, container: {network: host, mounts: ['./models:/m', './models:/w:rw'], gpus: "
                        "all, user: root}, env: {TOKEN: x}, limits: {memory: 1GiB, cpus: 0.5, pids: 9, shm: 1MiB, file: 8MiB, arena: 64MiB, arena_of: node}}"),
              ElementsAre("network: host (the host's own: everything that listens on it)",
                          "files: nothing of the host but its own code and packages (read-only)", "mount: /project/models at /m (read-only)",
                          "mount: /project/models at /w (may write)", "gpus: all", "user: root", "env: TOKEN",
                          "limits: memory 1 GiB, cpus 0.5, pids 9, /dev/shm 1 MiB, file 8 MiB, arena 64 MiB (of its memory)"));
}

TEST(Access, a_process_can_reach_what_its_user_can) {
  EXPECT_THAT(access_of("{node: 'nodes.py:Open'}"), ElementsAre("files and network: everything that your user can reach", "limits: arena 2 GiB"));
}

TEST(Access, a_thread_shows_the_files_that_its_params_name) {
  EXPECT_THAT(access_of("{node: text/srt, params: {path: out.srt}}"), ElementsAre("file /project/out.srt (param path)"));
  EXPECT_THAT(access_of("{node: text/srt, params: {path: 'rtmp://x/y'}}"), ElementsAre("rtmp://x/y (param path)"));
  EXPECT_THAT(access_of("{node: text/print}"), ElementsAre("nothing"));
}

TEST(Access, the_values_of_environment_variables_are_not_shown) {
  EXPECT_THAT(access_of("{node: 'nodes.py:Open', env: {TOKEN: secret}}"), testing::Not(Contains(HasSubstr("secret"))));
}

}  // namespace
}  // namespace hawse::pipeline
