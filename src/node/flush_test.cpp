// SPDX-License-Identifier: Apache-2.0
//
// Flushes through C++ nodes on the real plane: what they overtake, who is blocked, who hears of them how often.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "node/scripted_node.hpp"

namespace hawse::node {
namespace {

using testing::ElementsAre;

// What it gets goes into the record, a flush as "flush PORT".
struct Recorder : Node {
  explicit Recorder(Record& where, bool passes = true) : record(where), pass_on(passes) {}
  void process(const Input& in) override { take(in); }
  bool flushed(std::string_view port) override {
    record.add("flush " + std::string(port));
    return pass_on;
  }
  virtual void take(const Input& in) {
    record.add(std::string(in.frame.text()));
    if (has_output("out")) output("out").send(output("out").text(in.frame.text()));
  }
  Record& record;
  bool pass_on;
};

// "old 0", "old 1", ... until told to flush; then "new".
MakeNode talker(std::atomic<bool>& flush, std::uint64_t most) {
  return scripted([&flush, most](Scripted& node) {
    node.on_produce = [&flush, most](Scripted& self) {
      if (self.count < most) {
        self.output("out").send(self.output("out").text("old " + std::to_string(self.count++)));
        return true;
      }
      while (!flush) self.context().sleep_until(plane::monotonic_ns() + 1'000'000);
      self.output("out").flush();
      self.output("out").send(self.output("out").text("new"));
      return false;
    };
  });
}

TEST(Flush, voids_what_waits_and_comes_before_what_follows) {
  TestSupervisor runtime;
  Record record;
  std::atomic<bool> flush{false};
  const auto source = runtime.add("source", talker(flush, 6));
  const auto reader = runtime.add("reader", [&] {
    struct Waits : Recorder {
      using Recorder::Recorder;
      void take(const Input& in) override {
        Recorder::take(in);
        while (in.frame.text() == "old 0" && !interrupted()) context().sleep_until(plane::monotonic_ns() + 1'000'000);
      }
    };
    return std::make_unique<Waits>(record);
  });
  const auto edge = runtime.connect(source, "out", reader, "in");
  runtime.start();
  record.await(1);
  while (runtime.view(edge).writer().frames.load() < 6) std::this_thread::yield();
  flush = true;
  EXPECT_EQ(runtime.wait(reader), 0);
  EXPECT_THAT(record.lines(), ElementsAre("old 0", "flush in", "new"));
  EXPECT_EQ(runtime.view(edge).reader().flushed.load() + runtime.view(edge).writer().flushed.load(), 5u);
  EXPECT_EQ(runtime.view(edge).writer().dropped.load(), 0u);
}

TEST(Flush, of_a_long_queue_leaves_nobody_asleep_before_what_follows) {
  TestSupervisor runtime;
  Record record;
  std::atomic<bool> in_hand{false}, sent{false}, over{false};
  const auto source = runtime.add("source", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      for (int i = 0; i < 1000; ++i) self.output("out").send(self.output("out").text("old"));
      while (!in_hand) std::this_thread::yield();
      self.output("out").flush();
      self.output("out").send(self.output("out").text("new"));
      sent = true;
      while (!over) std::this_thread::yield();  // nothing more that could wake the reader
      return false;
    };
  }));
  const auto reader = runtime.add("reader", [&] {
    struct Waits : Recorder {
      Waits(Record& where, std::atomic<bool>& now, std::atomic<bool>& all) : Recorder(where), in_hand(now), sent(all) {}
      void take(const Input& in) override {
        Recorder::take(in);
        in_hand = true;
        while (!sent) std::this_thread::yield();
      }
      std::atomic<bool>&in_hand, &sent;
    };
    return std::make_unique<Waits>(record, in_hand, sent);
  });
  const auto edge = runtime.connect(source, "out", reader, "in", 2000);
  runtime.start();
  record.await(3);
  over = true;
  EXPECT_EQ(runtime.wait(reader), 0);
  EXPECT_THAT(record.lines(), ElementsAre("old", "flush in", "new"));
  EXPECT_EQ(runtime.view(edge).reader().flushed.load(), 999u);
}

TEST(Flush, frees_a_node_that_is_blocked_and_goes_through_it) {
  TestSupervisor runtime;
  Record middle, last;
  std::atomic<bool> flush{false}, go{false};
  const auto source = runtime.add("source", talker(flush, 1));
  const auto between = runtime.add("between", [&] {
    struct Many : Recorder {
      using Recorder::Recorder;
      void take(const Input& in) override {
        record.add(std::string(in.frame.text()));
        for (int i = 0; i < (in.frame.text() == "new" ? 1 : 100); ++i) output("out").send(output("out").text(in.frame.text()));
        record.add("done");
      }
    };
    return std::make_unique<Many>(middle);
  });
  const auto sink = runtime.add("sink", [&] {
    struct Holds : Recorder {
      Holds(Record& where, std::atomic<bool>& when) : Recorder(where), open(when) {}
      void take(const Input& in) override {
        Recorder::take(in);
        while (!open) context().sleep_until(plane::monotonic_ns() + 1'000'000);
      }
      std::atomic<bool>& open;
    };
    return std::make_unique<Holds>(last, go);
  });
  runtime.connect(source, "out", between, "in");
  const auto edge = runtime.connect(between, "out", sink, "in", 2);
  runtime.start();
  last.await(1);
  while (runtime.view(edge).writer().frames.load() < 3) std::this_thread::yield();  // one in hand, two on the edge: it is blocked
  flush = true;
  middle.await(5);
  EXPECT_THAT(middle.lines(), ElementsAre("old 0", "done", "flush in", "new", "done"));
  go = true;
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(last.lines(), ElementsAre("old 0", "flush in", "new"));
  EXPECT_EQ(runtime.view(edge).reader().flushed.load() + runtime.view(edge).writer().flushed.load(), 99u) << "two that waited, 97 without room";
}

TEST(Flush, of_a_diamond_is_heard_once_and_ends_where_a_node_keeps_it) {
  TestSupervisor runtime;
  Record one, other, joined, behind;
  std::atomic<bool> flush{true};
  const auto source = runtime.add("source", talker(flush, 0));
  const auto a = runtime.add("a", [&] { return std::make_unique<Recorder>(one); });
  const auto b = runtime.add("b", [&] { return std::make_unique<Recorder>(other); });
  const auto join = runtime.add("join", [&] { return std::make_unique<Recorder>(joined, false); });
  const auto sink = runtime.add("sink", [&] { return std::make_unique<Recorder>(behind); });
  runtime.connect(source, "out", a, "in");
  runtime.connect(source, "out", b, "in");
  runtime.connect(a, "out", join, "in");
  runtime.connect(b, "out", join, "in");
  runtime.connect(join, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(one.lines(), ElementsAre("flush in", "new"));
  EXPECT_THAT(other.lines(), ElementsAre("flush in", "new"));
  EXPECT_THAT(joined.lines(), ElementsAre("flush in", "new", "new"));
  EXPECT_THAT(behind.lines(), ElementsAre("new", "new"));
}

TEST(Flush, without_end_takes_no_more_than_its_turn) {
  TestSupervisor runtime;
  Record record;
  std::atomic<bool> sent{false}, over{false};
  const auto flood = runtime.add("flood", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      self.output("out").flush();
      return !over;
    };
  }));
  const auto honest = runtime.add("honest", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      for (int i = 0; i < 5; ++i) self.output("out").send(self.output("out").text("frame"));
      sent = true;
      return false;
    };
  }));
  const auto reader = runtime.add("reader", [&] {
    struct Reader : Recorder {
      Reader(Record& where, std::atomic<bool>& all, std::atomic<bool>& end) : Recorder(where), sent(all), over(end) {}
      bool flushed(std::string_view port) override {
        while (!sent || (!interrupted() && !over)) std::this_thread::yield();  // the next one is there
        if (record.lines().size() > 100) over = true;
        return Recorder::flushed(port);
      }
      void input_ended(std::string_view port) override {
        if (port == "honest") over = true;
      }
      std::atomic<bool>&sent, &over;
    };
    return std::make_unique<Reader>(record, sent, over);
  });
  runtime.connect(flood, "out", reader, "flood");
  runtime.connect(honest, "out", reader, "honest");
  runtime.start();
  EXPECT_EQ(runtime.wait(reader), 0);
  const std::vector<std::string> lines = record.lines();
  const auto last = std::find(lines.rbegin(), lines.rend(), "frame");
  EXPECT_EQ(std::ranges::count(lines, "frame"), 5);
  EXPECT_LE(std::count(last, lines.rend(), "flush flood"), 6);
}

TEST(Flush, of_a_matched_input_drops_what_it_holds_for_a_partner) {
  TestSupervisor runtime;
  Record record;
  std::atomic<bool> held{false};
  const auto send_at = [](Scripted& self, std::int64_t time) {
    OutFrame frame = self.output("out").text(self.id() + std::to_string(time));
    frame.info().timestamp_ns = time;
    self.output("out").send(std::move(frame));
  };
  const auto a = runtime.add("a", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      send_at(self, 10);
      while (!held) std::this_thread::yield();
      self.output("out").flush();
      send_at(self, 20);
      return false;
    };
  }));
  const auto b = runtime.add("b", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      record.await(1);
      send_at(self, 10);
      send_at(self, 20);
      return false;
    };
  }));
  const auto join = runtime.add("join", [&] {
    struct Joins : Recorder {
      using Recorder::Recorder;
      void process_matched(const Matched& in) override { record.add(std::string(in["a"].text()) + "+" + std::string(in["b"].text())); }
    };
    return std::make_unique<Joins>(record);
  });
  const auto edge_a = runtime.connect(a, "out", join, "a"), edge_b = runtime.connect(b, "out", join, "b");
  runtime.match(join, {{"tolerance_ns", 2}, {"wait_ns", 60'000'000'000}, {"hold", 8}});
  runtime.start();
  while (runtime.view(edge_a).reader().frames.load() < 1) std::this_thread::yield();
  held = true;
  EXPECT_EQ(runtime.wait(join), 0);
  EXPECT_THAT(record.lines(), ElementsAre("flush a", "a20+b20"));
  EXPECT_EQ(runtime.view(edge_a).reader().unmatched.load(), 1u);
  EXPECT_EQ(runtime.view(edge_b).reader().unmatched.load(), 1u);
}

}  // namespace
}  // namespace hawse::node
