// SPDX-License-Identifier: Apache-2.0
//
// Each row yields plausible samples, with counts as small as they can be. Real sessions, real containers where an engine answers; the peers are real, too, and are
// installed for it: only where HAWSE_BENCH_PEERS is set.
#include "bench/rows/nodes/node_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bench/rows/nodes/live_pipeline.hpp"
#include "executor/container/engine.hpp"

namespace hawse::bench {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// One pass that keeps what it is given.
class OnePass : public Pass {
 public:
  OnePass(const RowSpec& spec, bool with_peers) : with_peers_(with_peers) {
    for (const SeriesSpec& series : spec.series) roles_[series.key] = series.role;
  }
  unsigned number() const override { return 0; }
  Effort effort() const override { return Effort::quick; }
  bool peers() const override { return with_peers_; }
  std::size_t samples(std::size_t quick, std::size_t) const override { return std::min<std::size_t>(quick, 2); }
  bool wants(const std::string& key) const override { return !reasons.contains(key) && (with_peers_ || roles_.at(key) != Role::peer); }
  void measure(const std::string& key, const std::function<std::vector<float>()>& take) override {
    if (!wants(key)) return;
    try {
      const auto values = take();
      taken[key].insert(taken[key].end(), values.begin(), values.end());
    } catch (const Unavailable& error) {
      missing(key, error.what());
    }
  }
  void keep(const std::string& key, std::vector<float> values) override { taken[key] = std::move(values); }
  void missing(const std::string& key, const std::string& why) override {
    ASSERT_TRUE(roles_.contains(key)) << key;
    reasons[key] = why;
  }
  void version(const std::string& key, const std::string& version) override { versions[key] = version; }
  void fact(Fact fact) override { facts.push_back(std::move(fact)); }
  void interleave(std::vector<std::function<void()>> calls) override {
    for (const auto& call : calls) call();
  }
  std::string folder() override { return folder_.path().string(); }
  void progress(const std::string&) override {}

  std::map<std::string, std::vector<float>> taken;
  std::map<std::string, std::string> reasons, versions;
  std::vector<Fact> facts;

 private:
  const bool with_peers_;
  std::map<std::string, Role> roles_;
  ScopedDir folder_{std::filesystem::temp_directory_path(), "hawse-bench-test-"};
};

class NodeRows : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as the command does
    ::setenv("HAWSE_RESOURCES", HAWSE_TEST_RESOURCES, 1);
  }

  static RowSpec row(const std::string& id) {
    std::vector<RowSpec> rows;
    add_node_rows(rows);
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const RowSpec& each) { return each.row.id == id; });
    if (found == rows.end()) throw std::out_of_range("no row " + id);
    return *found;
  }

  static bool engine_answers() {
    try {
      executor::Engine engine;
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  // Every series that is wanted has samples of this size.
  static void expect_samples(OnePass& pass, const std::vector<std::string>& keys, double least, double most) {
    for (const auto& key : keys) {
      EXPECT_EQ(pass.reasons[key], "") << key;
      EXPECT_THAT(pass.taken[key], Not(IsEmpty())) << key;
      for (const float value : pass.taken[key]) {
        EXPECT_GT(value, least) << key;
        EXPECT_LT(value, most) << key;
      }
    }
  }
};

constexpr double kFastest_ns = 100, kHang_ns = 30e9;

TEST_F(NodeRows, name_in_their_targets_only_series_that_they_have) {
  std::vector<RowSpec> rows;
  add_node_rows(rows);
  EXPECT_EQ(rows.size(), 8u);
  for (const RowSpec& spec : rows) {
    std::set<std::string> keys;
    for (const SeriesSpec& series : spec.series) EXPECT_TRUE(keys.insert(series.key).second) << spec.row.id << ": " << series.key;
    for (const Target& target : spec.row.targets) {
      EXPECT_TRUE(keys.contains(target.of)) << spec.row.id << ": " << target.of;
      EXPECT_TRUE(target.against.empty() || keys.contains(target.against)) << spec.row.id << ": " << target.against;
    }
  }
}

TEST_F(NodeRows, time_round_trips_between_python_processes_that_look_poll_and_sleep) {
  const RowSpec spec = row("nodes/python-round-trip-1mib");
  OnePass pass(spec, false);
  spec.measure(pass);
  expect_samples(pass, {"hawse", "hawse, polling", "hawse, sleeping", "hawse, written", "hawse, polling, written"}, kFastest_ns, kHang_ns);
  EXPECT_EQ(pass.taken.count("iceoryx2, polling"), 0u);
}

TEST_F(NodeRows, time_one_way_at_every_size) {
  const RowSpec spec = row("nodes/python-one-way");
  OnePass pass(spec, false);
  spec.measure(pass);
  expect_samples(pass, {"hawse 64 B", "hawse 1 MiB", "hawse 40 MiB"}, kFastest_ns, kHang_ns);
}

TEST_F(NodeRows, count_frames_a_second_and_lose_none) {
  const RowSpec spec = row("nodes/python-rate");
  OnePass pass(spec, false);
  spec.measure(pass);
  expect_samples(pass, {"hawse 64 B", "hawse 1 MiB"}, 100, 1e8);
  EXPECT_THAT(pass.facts, Not(IsEmpty()));
  for (const Fact& fact : pass.facts) EXPECT_EQ(fact.ok, true) << fact.what << ": " << fact.seen;
}

TEST_F(NodeRows, time_a_chain_of_any_length) {
  const RowSpec spec = row("nodes/chain");
  OnePass pass(spec, false);
  spec.measure(pass);
  expect_samples(pass, {"1 node", "3 nodes", "10 nodes", "30 nodes", "100 nodes", "futex, 1", "futex, 3", "futex, 10", "futex, 30", "futex, 100"}, kFastest_ns, kHang_ns);
}

TEST_F(NodeRows, have_a_reason_where_a_pipeline_fails) {
  const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-bench-test-");
  LivePipeline pipeline(lay_out_nodes(folder.path().string()) + "/ping.yaml");
  try {
    pipeline.ask({{"bytes", 64}});  // no count: the node raises
    FAIL();
  } catch (const Unavailable& error) {
    EXPECT_THAT(error.what(), HasSubstr("exit code"));
  }
}

class ContainerRows : public NodeRows {
 protected:
  // Where no engine answers the container says so, and the process has its figures all the same.
  static void measure(const std::string& id, const std::vector<std::string>& processes, const std::vector<std::string>& containers, double least, double most) {
    const RowSpec spec = row(id);
    OnePass pass(spec, false);
    spec.measure(pass);
    expect_samples(pass, processes, least, most);
    if (engine_answers()) return expect_samples(pass, containers, least, most);
    for (const auto& key : containers) EXPECT_NE(pass.reasons[key], "") << key;
  }
};

TEST_F(ContainerRows, time_latency_in_turns) {
  measure("nodes/container-latency", {"process, round trip", "process, one way", "process, polling, round trip", "process, polling, one way"},
          {"container, round trip", "container, one way", "container, polling, round trip", "container, polling, one way"}, kFastest_ns, kHang_ns);
}

TEST_F(ContainerRows, time_a_chain_of_three_pythons_in_turns) { measure("nodes/three-pythons", {"process"}, {"container"}, kFastest_ns, kHang_ns); }

TEST_F(ContainerRows, measure_throughput_in_turns) { measure("nodes/container-throughput", {"process"}, {"container"}, 1e6, 1e12); }

TEST_F(ContainerRows, time_matrix_multiplication_in_turns) { measure("nodes/container-matmul", {"process"}, {"container"}, 1e4, kHang_ns); }

TEST_F(NodeRows, measure_the_peers_beside_it_and_leave_nothing_behind) {
  if (std::getenv("HAWSE_BENCH_PEERS") == nullptr) GTEST_SKIP() << "installs dora and iceoryx2's wheel: set HAWSE_BENCH_PEERS to run it";
  const auto shared_memory = [] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) names.insert(entry.path().filename());
    return names;
  };
  const auto before = shared_memory();
  for (const char* id : {"nodes/python-round-trip-1mib", "nodes/python-one-way", "nodes/python-rate"}) {
    const RowSpec spec = row(id);
    OnePass pass(spec, true);
    spec.measure(pass);
    for (const SeriesSpec& series : spec.series) {
      if (series.role != Role::peer) continue;
      expect_samples(pass, {series.key}, 1, 1e12);
      EXPECT_THAT(pass.versions[series.key], AnyOf(HasSubstr("dora-rs "), HasSubstr("iceoryx2 "))) << series.key;
    }
  }
  RowSpec first;
  first.measure = [](Pass&) {};
  add_dora_first_frame(first);
  OnePass pass(first, true);
  first.measure(pass);
  expect_samples(pass, {"dora"}, 1e6, 60e9);
  EXPECT_EQ(shared_memory(), before);
}

}  // namespace
}  // namespace hawse::bench
