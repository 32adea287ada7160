// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/nodes/peer_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "base/files.hpp"
#include "bench/core/row.hpp"
#include "executor/python/interpreter.hpp"

namespace hawse::bench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

bool runs(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string stat;
  if (!std::getline(file, stat)) return false;
  return stat.at(stat.rfind(')') + 2) != 'Z';
}

// Python alone plays the peer: what is tried here is how it is talked to and ended.
class PeerProcessTest : public testing::Test {
 protected:
  void start(const std::string& program) {
    peer_.emplace(PeerPackages{folder_.path() / "no-packages", executor::find_python("").path, ""}, folder_.path() / "peer", std::vector<std::string>{"-c", program},
                  std::map<std::string, std::string>{});
  }
  std::string reason(const nlohmann::json& command) {
    try {
      peer_->ask(command);
      return "";
    } catch (const Unavailable& error) {
      return error.what();
    }
  }

  ScopedDir folder_{fs::temp_directory_path(), "hawse-bench-test-"};
  std::optional<PeerProcess> peer_;
};

constexpr const char* kEcho = R"(
import json, os
folder = os.environ["HAWSE_BENCH_CHANNEL"]
for line in open(folder + "/command"):
    command = json.loads(line)
    if "end" in command:
        break
    with open(folder + "/answer", "w") as answers:
        print(json.dumps({"id": 99}), json.dumps({"id": command["id"], "twice": 2 * command["n"], "long": "x" * 100000}), sep="\n", file=answers)
)";

TEST_F(PeerProcessTest, answers_by_number_whatever_else_it_says_and_however_long) {
  start(kEcho);
  EXPECT_EQ(peer_->ask({{"n", 4}}).at("twice"), 8);
  EXPECT_EQ(peer_->ask({{"n", 5}}).at("twice"), 10);
}

TEST_F(PeerProcessTest, that_ends_is_quoted_with_its_last_line) {
  start("print('one'); raise SystemExit('no luck today')");
  EXPECT_THAT(reason({{"n", 1}}), HasSubstr("no luck today"));
}

const std::string kMemory = "/dev/shm/hawse-bench-test-" + std::to_string(::getpid());
const std::string kMapsMemory = R"(
import json, mmap, os
shared = open(")" + kMemory + R"(", "w+b")
shared.truncate(4096)
mapped = mmap.mmap(shared.fileno(), 4096)
)";

TEST_F(PeerProcessTest, that_ends_when_told_leaves_no_shared_memory_either) {
  start(kMapsMemory + R"(
with open(os.environ["HAWSE_BENCH_CHANNEL"] + "/command") as commands, open(os.environ["HAWSE_BENCH_CHANNEL"] + "/answer", "w") as answers:
    for line in commands:
        command = json.loads(line)
        if "end" in command:
            break
        print(json.dumps({"id": command["id"]}), file=answers, flush=True)
)");
  peer_->ask({});
  ASSERT_TRUE(fs::exists(kMemory));
  peer_.reset();
  EXPECT_FALSE(fs::exists(kMemory));
}

TEST_F(PeerProcessTest, that_does_not_end_is_ended_with_its_children_and_its_shared_memory) {
  start(kMapsMemory + R"(
import subprocess, time
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
with open(os.environ["HAWSE_BENCH_CHANNEL"] + "/answer", "w") as answers:
    print(json.dumps({"id": 1, "child": child.pid}), file=answers)
time.sleep(1000)
)");
  const pid_t child = peer_->ask({}).at("child");
  ASSERT_TRUE(runs(child));
  ASSERT_TRUE(fs::exists(kMemory));
  peer_.reset();
  EXPECT_FALSE(fs::exists(kMemory));
  for (int i = 0; i < 500 && runs(child); ++i) ::usleep(10'000);  // SIGKILL takes its moment
  EXPECT_FALSE(runs(child));
}

}  // namespace
}  // namespace hawse::bench
