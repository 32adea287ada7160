// SPDX-License-Identifier: Apache-2.0
//
// Matched inputs: the cases that C++ and Python share, then nodes on the real plane.
#include "node/matcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/files.hpp"
#include "node/scripted_node.hpp"

namespace hawse::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

std::vector<Json> shared_cases() { return Json::parse(read_file(HAWSE_TEST_DATA "/matching.json")).at("cases").get<std::vector<Json>>(); }

TEST(Matcher, gives_the_sets_and_drops_of_every_shared_case) {
  const std::vector<Json> cases = shared_cases();
  ASSERT_GE(cases.size(), 10u);
  for (const Json& one : cases) {
    std::vector<std::string> dropped, set;
    std::vector<std::vector<std::string>> sets;
    Matcher<std::string> matcher({one.at("tolerance"), one.at("wait"), one.at("hold")}, one.at("inputs"), [&](std::string&& item) { dropped.push_back(item); });
    for (const Json& step : one.at("steps")) {
      if (step[0] == "add") matcher.add(step[1], step[1].dump() + ":" + step[2].dump(), step[2], step[3]);
      if (step[0] == "end") matcher.end(step[1]);
      if (step[0] == "expire") matcher.expire(step[1]);
      while (matcher.take(set)) sets.push_back(set);
    }
    EXPECT_EQ(Json(sets), one.at("sets")) << one.at("name");
    EXPECT_EQ(Json(dropped), one.at("dropped")) << one.at("name");
  }
}

TEST(Matcher, says_when_the_first_gives_up_and_whether_it_has_room) {
  Matcher<int> matcher({5, 100, 2}, 2, [](int&&) {});
  EXPECT_LT(matcher.deadline_ns(), 0);
  matcher.add(0, 1, 10, 1000);
  matcher.add(1, 2, 90, 1050);
  EXPECT_EQ(matcher.deadline_ns(), 1100);
  EXPECT_TRUE(matcher.has_room(0));
  matcher.add(0, 3, 20, 1060);
  EXPECT_FALSE(matcher.has_room(0));
  matcher.expire(1100);
  EXPECT_TRUE(matcher.has_room(0));
  EXPECT_EQ(matcher.deadline_ns(), 1150);
}

// ---- on the plane --------------------------------------------------------------------------------------------------------

struct Joins : Node {
  explicit Joins(Record& where) : record(where) {}
  void process_matched(const Matched& in) override {
    record.add(std::string(in["a"].text()) + "+" + std::string(in["b"].text()));
    if (has_output("out")) output("out").send(output("out").text("joined"));
  }
  void input_ended(std::string_view port) override { record.add("ended " + std::string(port)); }
  void finish() override { record.add("finish"); }
  Record& record;
};

MakeNode timed_texts(std::vector<std::int64_t> times, std::string prefix) {
  return scripted([=](Scripted& node) {
    node.on_produce = [=](Scripted& self) {
      if (self.count == times.size()) return false;
      OutFrame frame = self.output("out").text(prefix + std::to_string(times[self.count]));
      frame.info().timestamp_ns = times[self.count++];
      self.output("out").send(std::move(frame));
      return true;
    };
  });
}

constexpr std::int64_t kLong_ns = 60'000'000'000;

struct Joined {
  TestSupervisor runtime;
  Record record;
  std::size_t a = 0, b = 0, join = 0, edge_a = 0, edge_b = 0;

  Joined(MakeNode left, MakeNode right, std::int64_t wait_ns, std::uint32_t hold, MakeNode node = {}) {
    a = runtime.add("a", std::move(left));
    b = runtime.add("b", std::move(right));
    join = runtime.add("join", node ? std::move(node) : [this] { return std::make_unique<Joins>(record); });
    edge_a = runtime.connect(a, "out", join, "a");
    edge_b = runtime.connect(b, "out", join, "b");
    runtime.match(join, {{"tolerance_ns", 2}, {"wait_ns", wait_ns}, {"hold", hold}});
  }
  std::uint64_t unmatched(std::size_t edge) { return runtime.view(edge).reader().unmatched.load(); }
};

TEST(Host, gives_matched_frames_at_once_and_counts_what_has_no_partner) {
  Joined run(timed_texts({10, 20, 30, 50, 60}, "a"), timed_texts({11, 29, 40, 51}, "b"), kLong_ns, 8);
  const auto sink = run.runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [](Scripted& self, const Input& in) { self.log(LogLevel::info, std::to_string(in.frame.info().timestamp_ns)); };
  }));
  run.runtime.connect(run.join, "out", sink, "in");
  run.runtime.start();
  EXPECT_EQ(run.runtime.wait(run.join), 0);
  EXPECT_EQ(run.runtime.wait(sink), 0);
  std::vector<std::string> sets;
  for (const std::string& line : run.record.lines())
    if (line.find('+') != std::string::npos) sets.push_back(line);
  EXPECT_THAT(sets, ElementsAre("a10+b11", "a30+b29", "a50+b51"));
  EXPECT_EQ(run.record.lines().back(), "finish");
  EXPECT_EQ(run.unmatched(run.edge_a), 2u);
  EXPECT_EQ(run.unmatched(run.edge_b), 1u);
  EXPECT_EQ(run.runtime.log(sink), "info 10\ninfo 29\ninfo 50\n") << "what is sent takes the earliest time of its set";
  EXPECT_EQ(run.runtime.page(run.join).frames_in.load(), 9u);
  EXPECT_EQ(run.runtime.page(run.join).processing.count.load(), 3u);
}

TEST(Host, holds_no_more_of_an_input_than_it_may_and_loses_nothing_by_it) {
  std::vector<std::int64_t> many;
  for (std::int64_t i = 0; i < 200; ++i) many.push_back(10 * i);
  // The second source begins when the first has filled its edge and all that may be held.
  std::atomic<bool> begun{false};
  Joined* joined = nullptr;
  auto late = scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      while (!begun.exchange(true) && joined->runtime.view(joined->edge_a).writer().frames.load() < 4 + 8) self.context().sleep_until(plane::monotonic_ns() + 1'000'000);
      OutFrame frame = self.output("out").text("b" + std::to_string(many[self.count]));
      frame.info().timestamp_ns = many[self.count++];
      self.output("out").send(std::move(frame));
      return self.count < many.size();
    };
  });
  Joined run(timed_texts(many, "a"), std::move(late), kLong_ns, 4);
  joined = &run;
  run.runtime.start();
  EXPECT_EQ(run.runtime.wait(run.join), 0);
  EXPECT_EQ(run.record.lines().size(), 203u);
  EXPECT_EQ(run.unmatched(run.edge_a) + run.unmatched(run.edge_b), 0u);
}

TEST(Host, lets_a_frame_go_when_its_wait_is_over) {
  Joined* joined = nullptr;
  auto silent = scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      while (joined->unmatched(joined->edge_a) < 3) self.context().sleep_until(plane::monotonic_ns() + 1'000'000);
      return false;
    };
  });
  Joined run(timed_texts({1, 20, 300}, "a"), std::move(silent), 20'000'000, 64);
  joined = &run;
  run.runtime.start();
  EXPECT_EQ(run.runtime.wait(run.join), 0);
  EXPECT_EQ(run.unmatched(run.edge_a), 3u);
}

TEST(Host, gives_frames_that_wait_for_partners_to_the_replacement) {
  Record record;
  auto fails = [&record] {
    struct Fails : Joins {
      using Joins::Joins;
      void process_matched(const Matched&) override { throw std::runtime_error("no"); }
    };
    return std::make_unique<Fails>(record);
  };
  Joined run(timed_texts({10, 20, 30}, "a"), timed_texts({10, 20, 30}, "b"), kLong_ns, 8, fails);
  run.runtime.start();
  EXPECT_EQ(run.runtime.wait(run.join), 1);
  run.runtime.replace(run.join, [&record] { return std::make_unique<Joins>(record); });
  EXPECT_EQ(run.runtime.wait(run.join), 0);
  std::vector<std::string> sets;
  for (const std::string& line : record.lines())
    if (line.find('+') != std::string::npos) sets.push_back(line);
  EXPECT_THAT(sets, ElementsAre("a10+b10", "a20+b20", "a30+b30"));
}

TEST(Host, says_so_where_a_node_has_no_process_matched) {
  Joined run(timed_texts({10}, "a"), timed_texts({10}, "b"), kLong_ns, 8, scripted([](Scripted&) {}));
  run.runtime.start();
  EXPECT_EQ(run.runtime.wait(run.join), 1);
  EXPECT_THAT(run.runtime.said(run.join, "failed")[0].at("summary").get<std::string>(), HasSubstr("this node has no process_matched()"));
}

}  // namespace
}  // namespace hawse::node
