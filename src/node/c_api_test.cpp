// SPDX-License-Identifier: Apache-2.0
//
// include/hawse/node.h: a program in C (c_api_program.c) over libhawse_node.so, with C++ nodes beside it, and what a process says that no run has started.
#include "hawse/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "node/scripted_node.hpp"

namespace hawse::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

std::size_t add_c_node(TestSupervisor& runtime, const char* mode, Json params = Json::object()) {
  params["mode"] = mode;
  return runtime.add_program(mode, {HAWSE_C_PROGRAM}, params);
}

MakeNode words(std::vector<std::string> all) {
  return scripted([all](Scripted& node) {
    node.on_produce = [all](Scripted& self) {
      if (self.count == all.size()) return false;
      self.output("out").send(self.output("out").text(all[self.count++]));
      return true;
    };
  });
}

MakeNode listener(Record& record) {
  return scripted([&record](Scripted& node) {
    node.on_process = [&record](Scripted&, const Input& in) { record.add(std::string(in.frame.text()) + (in.frame.info().given_again ? " again" : "")); };
  });
}

TEST(CApi, takes_every_kind_of_frame_through_three_nodes_in_c) {
  TestSupervisor runtime;
  const auto source = add_c_node(runtime, "source", {{"count", 200}}), between = add_c_node(runtime, "pass"), sink = add_c_node(runtime, "sink");
  runtime.connect(source, "out", between, "in");
  runtime.connect(between, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 0) << runtime.log(sink);
  EXPECT_EQ(runtime.wait(between), 0);
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_THAT(runtime.log(sink), HasSubstr("200 frames"));
  EXPECT_EQ(runtime.page(between).frames_in.load(), 200u);
  EXPECT_EQ(runtime.said(sink, "hello").at(0)["language"], "c");
}

TEST(CApi, a_source_ends_when_it_is_stopped) {
  TestSupervisor runtime;
  Record record;
  const auto source = add_c_node(runtime, "source", {{"count", 1'000'000'000}});
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) { node.on_process = [&](Scripted&, const Input&) { record.add(""); }; }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  record.await(3);
  runtime.stop(source);
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
}

TEST(CApi, each_error_has_its_code_and_message_and_the_stream_goes_on) {
  TestSupervisor runtime;
  runtime.limit_arenas(64 << 20);
  Record record;
  const auto source = runtime.add("source", words({"hello"}));
  const auto errors = add_c_node(runtime, "errors"), sink = runtime.add("sink", listener(record));
  runtime.connect(source, "out", errors, "in");
  runtime.connect(errors, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(errors), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(record.lines(), ElementsAre());
  std::vector<std::string> lines;
  std::istringstream log(runtime.log(errors));
  for (std::string line; std::getline(log, line);) lines.push_back(line.substr(line.find(' ') + 1));
  EXPECT_THAT(lines, ElementsAre(
      StartsWith("next before ready: HAWSE_ERROR_ORDER: hawse_node_next(): the node isn't ready"),
      StartsWith("allocate before ready: HAWSE_ERROR_ORDER: hawse_out_bytes(): the node isn't ready"),
      StartsWith("finish before ready: HAWSE_ERROR_ORDER: hawse_node_finish(): the node isn't ready"),
      "parameter of another type: HAWSE_ERROR_PARAM: parameter mode is \"errors\": give a whole number",
      "parameter that is missing: HAWSE_ERROR_PARAM: parameter none is missing: give text",
      "parameter within a number: HAWSE_ERROR_PARAM: parameter count is 100: give a mapping",
      StartsWith("parameter without a place: HAWSE_ERROR_INVALID: "),
      StartsWith("joined twice: HAWSE_ERROR_NOT_STARTED: "),
      StartsWith("ready twice: HAWSE_ERROR_ORDER: hawse_node_ready(): the node is ready already"),
      StartsWith("a struct that is too small: HAWSE_ERROR_INVALID: "),
      StartsWith("info without a place: HAWSE_ERROR_INVALID: "),
      "the node as a frame: HAWSE_ERROR_HANDLE: a node was given where a received frame is needed",
      "0 as a frame: HAWSE_ERROR_HANDLE: 0 was given for a received frame",
      StartsWith("nonsense as a frame: HAWSE_ERROR_HANDLE: a received frame was named by a handle that is none"),
      "a frame as the node: HAWSE_ERROR_HANDLE: a received frame was given where a node is needed",
      "output that isn't declared: HAWSE_ERROR_PORT: 'errors' has no output 'nowhere': its signature has 'out', 'words'",
      "input that isn't declared: HAWSE_ERROR_PORT: 'errors' has no input 'nowhere': its signature has 'in', 'left', 'right'",
      StartsWith("output without a name: HAWSE_ERROR_INVALID: "),
      StartsWith("allocate another type: HAWSE_ERROR_TYPE: hawse_out_bytes(): output 'words' of 'errors' doesn't carry bytes"),
      "forward another type: HAWSE_OK: ",  // it is text, which `words` carries
      StartsWith("flush of what isn't declared: HAWSE_ERROR_PORT: "),
      StartsWith("keep no flush: HAWSE_ERROR_ORDER: "),
      StartsWith("allocate too much: HAWSE_ERROR_INVALID: allocate a frame: it would be larger than 4294963200 bytes"),
      StartsWith("allocate a shape that overflows: HAWSE_ERROR_INVALID: allocate a frame: it would be larger than 4294963200 bytes"),
      StartsWith("allocate beyond the limit: HAWSE_ERROR_MEMORY: output 'out' has no room for a frame of 1 GiB"),
      StartsWith("allocate too many axes: HAWSE_ERROR_INVALID: "),
      StartsWith("allocate no dtype: HAWSE_ERROR_INVALID: "),
      StartsWith("allocate no pixels: HAWSE_ERROR_INVALID: "),
      StartsWith("allocate odd yuv420p: HAWSE_ERROR_INVALID: "),
      StartsWith("text without text: HAWSE_ERROR_INVALID: "),
      StartsWith("log without a level: HAWSE_ERROR_INVALID: "),
      "allocate: HAWSE_OK: ",
      StartsWith("grow a frame: HAWSE_ERROR_INVALID: resize a frame: it has 5 bytes and can't grow to 6"),
      "a frame to send as a received one: HAWSE_ERROR_HANDLE: a frame to send was given where a received frame is needed",
      StartsWith("no such type: HAWSE_ERROR_INVALID: "),
      "another type, as yet only said: HAWSE_OK: ",
      StartsWith("send another type: HAWSE_ERROR_TYPE: hawse_out_send(): output 'words' of 'errors' doesn't carry tensor"),
      StartsWith("send again: HAWSE_ERROR_HANDLE: a frame to send was named by a handle that is none, or no more"),
      StartsWith("write after sending: HAWSE_ERROR_HANDLE: "),
      "a shape that doesn't fit, as yet only said: HAWSE_OK: ",
      StartsWith("send a shape that doesn't fit: HAWSE_ERROR_INVALID: send a frame: its shape needs more than the 16 bytes"),
      "discard: HAWSE_OK: ",
      StartsWith("discard again: HAWSE_ERROR_HANDLE: "),
      "release: HAWSE_OK: ",
      StartsWith("release again: HAWSE_ERROR_HANDLE: "),
      StartsWith("read after the release: HAWSE_ERROR_HANDLE: "),
      "1 frames",
      StartsWith("next after the end: HAWSE_ERROR_ORDER: hawse_node_next(): its streams have ended"),
      StartsWith("allocate after the end: HAWSE_ERROR_ORDER: hawse_out_bytes(): its streams have ended"),
      StartsWith("send after the end: HAWSE_ERROR_ORDER: hawse_out_send(): its streams have ended"),
      StartsWith("finish twice: HAWSE_ERROR_ORDER: "),
      StartsWith("fail after the end: HAWSE_ERROR_ORDER: ")));
}

TEST(CApi, an_edge_to_a_port_that_the_signature_lacks_is_told_to_the_run) {
  TestSupervisor runtime;
  Record record;
  const auto odd = add_c_node(runtime, "source"), sink = runtime.add("sink", listener(record));
  runtime.connect(odd, "elsewhere", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(odd), 2);
  runtime.end(odd);
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_EQ(runtime.said(odd, "failed").at(0)["summary"], "an edge leads from the output 'elsewhere' of 'source', whose signature has 'out', 'words'");
}

TEST(CApi, a_node_that_fails_says_why_and_its_frame_is_given_again) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", words({"1", "2", "3", "4"}));
  const auto fails = add_c_node(runtime, "fail"), sink = runtime.add("sink", listener(record));
  runtime.connect(source, "out", fails, "in");
  runtime.connect(fails, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(fails), 1);
  EXPECT_THAT(runtime.said(fails, "failed").at(0)["summary"].get<std::string>(), StartsWith("the third frame"));
  EXPECT_EQ(runtime.said(fails, "failed").at(0)["sequence"], 3);
  EXPECT_EQ(runtime.said(fails, "failed").at(0)["phase"], "process");
  runtime.replace(fails, scripted([](Scripted& node) {
    node.on_process = [](Scripted& self, const Input& in) { self.output("out").send(self.output("out").text(std::string(in.frame.text()) + (in.frame.info().given_again ? " again" : ""))); };
  }));
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(record.lines(), ElementsAre("1", "2", "3 again", StartsWith("4")));
}

TEST(CApi, a_node_that_hands_over_ends_without_ending_its_streams) {
  TestSupervisor runtime;
  Record record;
  std::atomic<bool> go{false};
  const auto source = runtime.add("source", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      while (self.count == 2 && !go) self.context().sleep_until(plane::monotonic_ns() + 1'000'000);
      self.output("out").send(self.output("out").text(std::to_string(++self.count)));
      return self.count < 4;
    };
  }));
  const auto between = add_c_node(runtime, "pass"), sink = runtime.add("sink", listener(record));
  runtime.connect(source, "out", between, "in");
  runtime.connect(between, "out", sink, "in");
  runtime.start();
  record.await(2);
  runtime.hand_over(between);
  EXPECT_EQ(runtime.wait(between), 0);
  EXPECT_THAT(runtime.log(between), HasSubstr("2 frames"));
  EXPECT_TRUE(runtime.said(between, "finished").empty() && runtime.said(between, "failed").empty());
  runtime.replace(between, scripted([](Scripted& node) { node.on_process = [](Scripted& self, const Input& in) { self.output("out").forward(in.frame); }; }));
  go = true;
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(record.lines(), ElementsAre("1", "2", "3", "4"));
}

TEST(CApi, a_call_of_a_second_thread_is_refused_and_what_any_thread_may_do_is_done) {
  TestSupervisor runtime;
  std::atomic<bool> go{false};
  const auto source = runtime.add("source", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      while (!go) self.context().sleep_until(plane::monotonic_ns() + 1'000'000);
      self.output("out").send(self.output("out").text("x"));
      return false;
    };
  }));
  const auto threads = add_c_node(runtime, "threads");
  runtime.connect(source, "out", threads, "in");
  runtime.start();
  runtime.await(threads, "log");
  go = true;
  EXPECT_EQ(runtime.wait(threads), 0);
  EXPECT_EQ(runtime.log(threads), "info a call while another thread is in one: HAWSE_ERROR_THREAD: another thread is in a call of this node: its functions are for one at a time\n"
                                  "info release in another thread: HAWSE_OK: \ninfo 1 frames\n");
}

TEST(CApi, gives_sets_of_frames_that_belong_together) {
  TestSupervisor runtime;
  const auto at = [](std::vector<std::int64_t> times) {
    return scripted([times](Scripted& node) {
      node.on_produce = [times](Scripted& self) {
        if (self.count == times.size()) return false;
        OutFrame frame = self.output("out").text("x");
        frame.info().timestamp_ns = times[self.count++];
        self.output("out").send(std::move(frame));
        return true;
      };
    });
  };
  const auto left = runtime.add("left", at({10, 20, 30, 40})), right = runtime.add("right", at({11, 29, 41}));
  const auto join = add_c_node(runtime, "matched");
  runtime.connect(left, "out", join, "left");
  runtime.connect(right, "out", join, "right");
  runtime.match(join, {{"tolerance_ns", 2}, {"wait_ns", 60'000'000'000}, {"hold", 8}});
  runtime.start();
  EXPECT_EQ(runtime.wait(join), 0);
  EXPECT_EQ(runtime.log(join), "info set left 10 right 11\ninfo set left 30 right 29\ninfo set left 40 right 41\ninfo 0 frames\n");
}

TEST(CApi, hears_of_a_flush_and_passes_it_on) {
  TestSupervisor runtime;
  Record record;
  std::atomic<bool> flush{false};
  const auto source = runtime.add("source", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      if (self.count++ == 0) return self.output("out").send(self.output("out").text("old")), true;
      while (!flush) self.context().sleep_until(plane::monotonic_ns() + 1'000'000);
      self.output("out").flush();
      self.output("out").send(self.output("out").text("new"));
      return false;
    };
  }));
  const auto between = add_c_node(runtime, "pass");
  struct Hears : Scripted {
    explicit Hears(Record& where) : record(where) {
      on_process = [this](Scripted&, const Input& in) { record.add(std::string(in.frame.text())); };
    }
    bool flushed(std::string_view port) override { return record.add("flush " + std::string(port)), true; }
    Record& record;
  };
  const auto sink = runtime.add("sink", [&] { return std::make_unique<Hears>(record); });
  runtime.connect(source, "out", between, "in");
  runtime.connect(between, "out", sink, "in");
  runtime.start();
  record.await(1);
  flush = true;
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(record.lines(), ElementsAre("old", "flush in", "new"));
  EXPECT_THAT(runtime.log(between), HasSubstr("flushed"));
}

// As note_cost() in c_api_program.c.
struct CostOfCpp : Node {
  explicit CostOfCpp(Record& where, std::uint64_t most) : record(where), count(most) {}
  void note() {
    const auto now = [] { return static_cast<double>(plane::monotonic_ns()); };
    ++n;
    if (n % 64 == 0) least_ns = std::min(least_ns, (now() - begin_ns) / 63);
    if (n % 64 != 1) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    begin_ns = now();
  }
  void process(const Input&) override { note(); }
  bool produce() override {
    note();
    output("out").send(output("out").audio(16, 1, 16000));
    return n < count;
  }
  void finish() override { record.add(std::to_string(std::lround(least_ns))); }
  Record& record;
  std::uint64_t count, n = 0;
  double begin_ns = 0, least_ns = 1e9;
};

// Each end against one in C++ that does the same: of many runs of 64 frames the quickest, which nobody has interrupted.
std::string least_cost(bool in_c, bool receives) {
  TestSupervisor runtime;
  Record record;
  const std::uint64_t frames = 64 * 200;
  const auto cost = in_c ? add_c_node(runtime, "cost", {{"count", frames}}) : runtime.add("cost", [&] { return std::make_unique<CostOfCpp>(record, frames); });
  const auto other = runtime.add("other", scripted([&](Scripted& node) {
    node.on_process = [](Scripted&, const Input&) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
    node.on_produce = [&](Scripted& self) {
      if (self.count % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(4));  // it isn't at work, or waiting, while a run is received
      self.output("out").send(self.output("out").audio(16, 1, 16000));
      return ++self.count < frames;
    };
  }));
  if (receives)
    runtime.connect(other, "out", cost, "in", 256);
  else
    runtime.connect(cost, "out", other, "in", 8, plane::WhenFull::drop_oldest);
  runtime.start();
  EXPECT_EQ(runtime.wait(cost), 0);
  EXPECT_EQ(runtime.wait(other), 0);
  return in_c ? runtime.log(cost).substr(sizeof "info") : record.lines().at(0) + "\n";
}

TEST(CApi, costs_a_frame_what_it_says_here) {
  for (const bool receives : {false, true})
    for (const bool in_c : {false, true}) {
      const std::string ns = least_cost(in_c, receives);
      EXPECT_GT(std::stoi(ns), 0);
      std::cout << (receives ? "received" : "sent") << " in " << (in_c ? "C: " : "C++: ") << "ns a frame " << ns;
    }
}

TEST(CApi, tells_a_program_that_no_run_has_started) {
  hawse_node node = 7;
  EXPECT_EQ(hawse_node_join("{}", nullptr, &node), HAWSE_ERROR_NOT_STARTED);
  EXPECT_THAT(hawse_last_error(), HasSubstr("started by `hawse run`"));
  EXPECT_EQ(node, 7u);
  EXPECT_EQ(hawse_node_join("{\"inputs\": {\"in\": \"smell\"}}", nullptr, &node), HAWSE_ERROR_INVALID);
  EXPECT_THAT(hawse_last_error(), HasSubstr("the type 'smell', which there isn't"));
  EXPECT_EQ(hawse_node_join("[]", nullptr, &node), HAWSE_ERROR_INVALID);
  EXPECT_EQ(hawse_node_join("{\"matched\": 1}", nullptr, &node), HAWSE_ERROR_INVALID);
  EXPECT_EQ(hawse_node_join(nullptr, nullptr, &node), HAWSE_ERROR_INVALID);
  EXPECT_EQ(hawse_node_join("{}", std::string(65, 'x').c_str(), &node), HAWSE_ERROR_INVALID);
  EXPECT_EQ(hawse_node_join("{}", nullptr, nullptr), HAWSE_ERROR_INVALID);
}

TEST(CApi, an_errors_message_is_its_threads) {
  EXPECT_EQ(hawse_frame_release(0), HAWSE_ERROR_HANDLE);
  std::thread([] { EXPECT_STREQ(hawse_last_error(), ""); }).join();
  EXPECT_THAT(hawse_last_error(), HasSubstr("0 was given for a received frame"));
}

TEST(CApi, any_number_is_safe_as_a_handle) {
  for (int shift = 0; shift < 64; ++shift)
    for (const std::uint64_t near : {~std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{1}}) {
      const std::uint64_t handle = (std::uint64_t{1} << shift) + near;
      EXPECT_EQ(hawse_frame_release(handle), HAWSE_ERROR_HANDLE);
      EXPECT_EQ(hawse_out_send(handle), HAWSE_ERROR_HANDLE);
      EXPECT_EQ(hawse_node_leave(handle), HAWSE_ERROR_HANDLE);
      EXPECT_EQ(hawse_node_alive(handle), HAWSE_ERROR_HANDLE);
    }
  EXPECT_STREQ(hawse_error_name(HAWSE_ERROR_SYSTEM), "HAWSE_ERROR_SYSTEM");
  EXPECT_STREQ(hawse_error_name(-12), "");
  EXPECT_STREQ(hawse_error_name(1), "");
  EXPECT_EQ(hawse_dtype_bytes(HAWSE_COMPLEX128), 16u);
  EXPECT_EQ(hawse_dtype_bytes(16), 0u);
}

}  // namespace
}  // namespace hawse::node
