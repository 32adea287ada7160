// SPDX-License-Identifier: Apache-2.0
//
// Nodes over their control sockets and the real plane: the whole life, growth, failure, replacement.
#include "node/host.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "node/port_output.hpp"
#include "node/scripted_node.hpp"

namespace hawse::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

MakeNode counting(std::uint64_t frames, std::size_t payload_bytes = 8) {
  return scripted([=](Scripted& node) {
    node.on_produce = [=](Scripted& self) {
      if (self.count == frames) return false;
      OutFrame frame = self.output("out").allocate(payload_bytes);
      ++self.count;
      std::copy_n(reinterpret_cast<const std::byte*>(&self.count), sizeof self.count, frame.bytes().begin());
      self.output("out").send(std::move(frame));
      return true;
    };
  });
}

std::uint64_t number_in(const Frame& frame) { return frame.as<std::uint64_t>()[0]; }

MakeNode collecting(Record& record) {
  return scripted([&record](Scripted& node) {
    node.on_process = [&record](Scripted&, const Input& in) { record.add(std::to_string(number_in(in.frame))); };
  });
}

std::vector<std::string> numbers(std::uint64_t first, std::uint64_t last) {
  std::vector<std::string> all;
  for (std::uint64_t i = first; i <= last; ++i) all.push_back(std::to_string(i));
  return all;
}

TEST(Host, takes_a_stream_through_a_chain_of_nodes_to_its_end) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", counting(100));
  const auto doubled = runtime.add("double", scripted([](Scripted& node) {
    node.on_process = [](Scripted& self, const Input& in) {
      EXPECT_EQ(in.port, "in");
      OutFrame out = self.output("out").like(in.frame);
      out.as<std::uint64_t>()[0] = 2 * number_in(in.frame);
      self.output("out").send(std::move(out));
    };
  }));
  const auto sink = runtime.add("sink", collecting(record));
  const auto first = runtime.connect(source, "out", doubled, "in");
  runtime.connect(doubled, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.wait(doubled), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
  const auto lines = record.lines();
  ASSERT_EQ(lines.size(), 100u);
  EXPECT_EQ(lines.front(), "2");
  EXPECT_EQ(lines.back(), "200");
  EXPECT_EQ(runtime.view(first).writer().copies.load(), 0u);
  EXPECT_EQ(runtime.page(doubled).frames_in.load(), 100u);
  EXPECT_EQ(runtime.page(doubled).frames_out.load(), 100u);
  EXPECT_EQ(runtime.page(doubled).processing.count.load(), 100u);
  EXPECT_EQ(runtime.page(doubled).state.load(), static_cast<std::uint32_t>(plane::NodeState::finished));
  EXPECT_EQ(runtime.said(doubled, "finished").size(), 1u);
  EXPECT_TRUE(runtime.said(doubled, "failed").empty());
}

TEST(Host, calls_a_node_in_the_promised_order) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", counting(2));
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_setup = [&](Scripted& self, const Params&) { record.add("setup " + self.id()); };
    node.on_process = [&](Scripted&, const Input&) { record.add("process"); };
    node.on_ended = [&](Scripted&, const std::string& port) { record.add("ended " + port); };
    node.on_finish = [&](Scripted&) { record.add("finish"); };
    node.on_close = [&](Scripted&) { record.add("close"); };
  }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(record.lines(), ElementsAre("setup sink", "process", "process", "ended in", "finish", "close"));
  const auto ready = runtime.said(sink, "ready");
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_GE(ready[0].at("phases").at("setup_ns").get<std::int64_t>(), 0);
}

TEST(Host, completes_the_parameters_from_the_signature) {
  TestSupervisor runtime;
  Record record;
  const Json declared = {{"gain", {{"type", "float"}, {"default", 1.5}}}, {"wait", {{"type", "duration"}, {"default", "20ms"}}},
                         {"size", {{"type", "size"}, {"default", "4 MiB"}}}, {"none", {{"type", "str"}, {"default", nullptr}}},
                         {"audio", {{"type", "dict"}, {"fields", {{"rate", {{"type", "int"}, {"default", 16000}}}}}}}};
  const auto node = runtime.add(
      "node", scripted([&](Scripted& scripted_node) {
        scripted_node.on_setup = [&](Scripted&, const Params& params) {
          record.add(std::to_string(params.number("gain")) + " " + std::to_string(params.duration_ns("wait")) + " " + std::to_string(params.bytes("size")) + " " +
                     std::to_string(params.has("none")) + " " + std::to_string(params.child("audio").integer("rate")) + " " +
                     std::to_string(params.child("audio").integer("channels")) + " " + std::to_string(params.child("absent").has("x")) + " " + params.json("audio"));
          EXPECT_THROW(params.integer("gain"), std::invalid_argument);
          EXPECT_THROW(params.text("none"), std::invalid_argument);
          EXPECT_THROW(params.child("gain"), std::invalid_argument);
        };
        scripted_node.on_produce = [](Scripted&) { return false; };
      }),
      {{"audio", {{"channels", 2}}}}, declared);
  runtime.start();
  EXPECT_EQ(runtime.wait(node), 0);
  EXPECT_THAT(record.lines(), ElementsAre(R"(1.500000 20000000 4194304 0 16000 2 0 {"channels":2,"rate":16000})"));
}

TEST(Host, reports_an_exception_with_its_type_its_phase_and_the_frame_in_hand) {
  TestSupervisor runtime;
  const auto source = runtime.add("source", counting(10));
  const auto sink = runtime.add("sink", scripted([](Scripted& node) {
    node.on_process = [](Scripted&, const Input& in) {
      if (in.frame.info().sequence == 3) throw std::runtime_error("can't stand three");
    };
  }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 1);
  const auto failed = runtime.said(sink, "failed");
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].at("summary"), "can't stand three");
  EXPECT_EQ(failed[0].at("traceback"), "std::runtime_error: can't stand three");
  EXPECT_EQ(failed[0].at("phase"), "process");
  EXPECT_EQ(failed[0].at("sequence"), 3);
  EXPECT_TRUE(runtime.said(sink, "finished").empty());
}

TEST(Host, fails_in_setup_before_it_says_ready_and_still_closes) {
  TestSupervisor runtime;
  Record record;
  const auto node = runtime.add("node", scripted([&](Scripted& scripted_node) {
    scripted_node.on_setup = [](Scripted&, const Params& params) { params.integer("missing"); };
    scripted_node.on_close = [&](Scripted&) { record.add("close"); };
  }));
  runtime.start();
  EXPECT_EQ(runtime.wait(node), 1);
  EXPECT_TRUE(runtime.said(node, "ready").empty());
  ASSERT_EQ(runtime.said(node, "failed").size(), 1u);
  EXPECT_THAT(runtime.said(node, "failed")[0].at("summary").get<std::string>(), HasSubstr("parameter missing is missing"));
  EXPECT_EQ(runtime.said(node, "failed")[0].at("phase"), "setup");
  EXPECT_THAT(record.lines(), ElementsAre("close"));
}

TEST(Host, grows_for_a_larger_frame_and_for_frames_that_a_reader_keeps) {
  TestSupervisor runtime;
  constexpr std::uint64_t kFrames = 200;
  const auto source = runtime.add("source", scripted([](Scripted& node) {
    node.on_produce = [](Scripted& self) {
      OutFrame frame = self.output("out").allocate(self.count < 100 ? 100 : 100'000);
      std::fill(frame.bytes().begin(), frame.bytes().end(), static_cast<std::byte>(self.count));
      self.output("out").send(std::move(frame));
      return ++self.count < kFrames;
    };
  }));
  Record record;
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [](Scripted& self, const Input& in) { self.kept.push_back(in.frame); };
    node.on_finish = [&](Scripted& self) {
      for (std::size_t i = 0; i < self.kept.size(); ++i) {
        const auto bytes = self.kept[i].bytes();
        if (bytes.size() != (i < 100 ? 100u : 100'000u)) record.add("frame " + std::to_string(i) + " has the wrong size");
        if (!std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == static_cast<std::byte>(i); })) record.add("frame " + std::to_string(i) + " was overwritten");
      }
      record.add(std::to_string(self.kept.size()) + " frames");
    };
  }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(record.lines(), ElementsAre("200 frames"));
  const auto grow = runtime.said(source, "grow");
  ASSERT_GE(grow.size(), 3u);
  EXPECT_EQ(grow[0].at("slots"), 12);         // the queue, and four more
  EXPECT_EQ(grow[0].at("slot_bytes"), 128);
  EXPECT_GE(grow.back().at("slot_bytes").get<std::uint64_t>(), 100'000u * 5 / 4);
}

std::uint64_t mapped_bytes() {
  std::ifstream maps("/proc/self/maps");
  std::uint64_t bytes = 0;
  for (std::string line; std::getline(maps, line);)
    if (line.find("hawse-arena") != std::string::npos) {
      const auto dash = line.find('-');
      bytes += std::stoull(line.substr(dash + 1), nullptr, 16) - std::stoull(line.substr(0, dash), nullptr, 16);
    }
  return bytes;
}

// The first frame of few that is much larger. `silent`: after it nothing more is sent, and the node has to wake for the memory alone.
void give_back_after_one_large_frame(bool silent) {
  constexpr std::size_t kUsual = 1 << 20, kLarge = 48 << 20;
  TestSupervisor runtime;
  std::atomic<bool> over{false};
  const auto source = runtime.add("source", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      OutFrame frame = self.output("out").allocate(self.count == 20 ? kLarge : kUsual);
      ++self.count;
      std::ranges::fill(frame.bytes(), static_cast<std::byte>(self.count));
      self.output("out").send(std::move(frame));
      const std::int64_t pause_ns = silent && self.count > 25 ? 60'000'000'000 : 20'000'000;
      return self.context().sleep_until(plane::monotonic_ns() + pause_ns) && !over;
    };
  }));
  std::atomic<std::uint64_t> most{0};
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted& self, const Input& in) {
      ++self.count;
      EXPECT_EQ(in.frame.bytes().size(), self.count == 21 ? kLarge : kUsual);
      EXPECT_TRUE(std::ranges::all_of(in.frame.bytes(), [&](std::byte b) { return b == static_cast<std::byte>(self.count); }));
      most = std::max(most.load(), mapped_bytes());
    };
  }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  runtime.await(source, "give_back");
  while (mapped_bytes() > most / 4) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // writer and reader
  EXPECT_EQ(runtime.arena_count(source, 0), 1u);
  over = true;
  if (silent) runtime.stop(source);
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
  const auto grow = runtime.said(source, "grow");
  ASSERT_EQ(grow.size(), 2u);
  EXPECT_EQ(grow[1].at("slots"), 2) << "one large frame makes no stream of them";
  EXPECT_EQ(runtime.said(source, "give_back").size(), 1u);
}

TEST(Host, gives_the_memory_of_one_large_frame_back_while_the_stream_goes_on) { give_back_after_one_large_frame(false); }

TEST(Host, gives_the_memory_of_one_large_frame_back_when_it_falls_silent) { give_back_after_one_large_frame(true); }

TEST(Host, takes_more_slots_where_large_frames_follow_each_other) {
  TestSupervisor runtime;
  const auto source = runtime.add("source", scripted([](Scripted& node) {
    node.on_produce = [](Scripted& self) {
      OutFrame frame = self.output("out").allocate(self.count < 2 ? 100 : 17 << 20);
      self.output("out").send(std::move(frame));
      return ++self.count < 8;
    };
  }));
  const auto sink = runtime.add("sink", scripted([](Scripted& node) {
    node.on_process = [](Scripted& self, const Input& in) { self.kept.push_back(in.frame); };
  }));
  runtime.connect(source, "out", sink, "in", 2);
  runtime.start();
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
  const auto grow = runtime.said(source, "grow");
  ASSERT_EQ(grow.size(), 3u);
  EXPECT_EQ(grow[1].at("slots"), 2);
  EXPECT_EQ(grow[2].at("slots"), 6);  // the rule: the queue, and four more
}

TEST(Host, fails_with_the_reason_where_a_frame_may_not_be_that_large) {
  TestSupervisor runtime;
  runtime.limit_arenas(1 << 20);
  const auto source = runtime.add("source", counting(1, 64 << 20));
  Record record;
  const auto sink = runtime.add("sink", collecting(record));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(source), 1);
  const auto failed = runtime.said(source, "failed");
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_THAT(failed[0].at("summary").get<std::string>(), HasSubstr("no room for a frame of 64 MiB"));
  EXPECT_THAT(failed[0].at("summary").get<std::string>(), HasSubstr("the test allows no more"));
  EXPECT_EQ(runtime.said(source, "grow").size(), 2u);  // by the rule, then with as little as will do
}

TEST(Host, makes_do_with_few_slots_where_the_limit_leaves_no_more) {
  TestSupervisor runtime;
  runtime.limit_arenas(5 << 20);
  const auto source = runtime.add("source", counting(50, 1 << 20));
  Record record;
  const auto sink = runtime.add("sink", collecting(record));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_EQ(record.lines(), numbers(1, 50));
}

TEST(Host, ends_a_source_when_asked_to_stop) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", counting(~0ull));
  const auto sink = runtime.add("sink", collecting(record));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  record.await(10);
  runtime.stop(source);
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_EQ(record.lines(), numbers(1, record.lines().size()));  // nothing that was sent is lost
}

TEST(Host, ends_a_source_that_sleeps_when_asked_to_stop) {
  TestSupervisor runtime;
  const auto source = runtime.add("source", scripted([](Scripted& node) {
    node.on_produce = [](Scripted& self) { return self.context().sleep_until(std::numeric_limits<std::int64_t>::max()); };
  }));
  runtime.start();
  runtime.stop(source);
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.said(source, "finished").size(), 1u);
}

TEST(Host, hands_over_what_it_holds_and_ends_no_stream) {
  TestSupervisor runtime;
  Record seen, record;
  std::atomic<bool> asked = false;
  const auto source = runtime.add("source", counting(50));
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted& self, const Input& in) {
      if (number_in(in.frame) % 2 == 0) self.kept.push_back(in.frame);
      seen.add("");
      while (number_in(in.frame) == 10 && !asked) std::this_thread::yield();
    };
    node.on_finish = [](Scripted&) { ADD_FAILURE() << "its stream has not ended"; };
    node.on_close = [](Scripted& self) { self.kept.clear(); };
  }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  seen.await(10);
  runtime.hand_over(sink);
  asked = true;
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_TRUE(runtime.said(sink, "finished").empty() && runtime.said(sink, "failed").empty());
  const auto taken = seen.lines().size();  // 10, or more where the request was slower than the frames
  runtime.replace(sink, collecting(record));
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_EQ(runtime.wait(source), 0);
  std::vector<std::string> expected;
  for (const auto& number : numbers(1, 50))
    if (const auto n = std::stoul(number); n > taken || n % 2 == 0) expected.push_back(number);
  EXPECT_EQ(record.lines(), expected) << "what it kept, then what it hadn't taken";
}

TEST(Host, ends_a_source_whose_readers_are_gone) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", counting(~0ull));
  const auto sink = runtime.add("sink", scripted([](Scripted& node) {
    node.on_process = [](Scripted&, const Input& in) {
      if (number_in(in.frame) == 20) throw std::runtime_error("enough");
    };
  }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 1);
  runtime.end(sink);
  EXPECT_EQ(runtime.wait(source), 0);
}

TEST(Host, leaves_a_blocking_send_when_the_runtime_hangs_up) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", counting(~0ull));
  std::mutex held;
  held.lock();
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted&, const Input&) { const std::lock_guard wait(held); };
  }));
  runtime.connect(source, "out", sink, "in", 2);
  runtime.start();
  while (runtime.page(source).state.load() != static_cast<std::uint32_t>(plane::NodeState::waiting)) std::this_thread::yield();
  runtime.hang_up(source);
  EXPECT_EQ(runtime.wait(source), 1);
  runtime.end(source);
  held.unlock();
  EXPECT_EQ(runtime.wait(sink), 0);
}

TEST(Host, gives_a_replacement_every_frame_that_its_predecessor_held) {
  TestSupervisor runtime;
  Record record;
  constexpr std::uint64_t kFrames = 60;
  const auto source = runtime.add("source", counting(kFrames));
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted& self, const Input& in) {
      if (number_in(in.frame) >= 18) self.kept.push_back(in.frame);
      if (number_in(in.frame) == 20) throw std::runtime_error("dies with 18, 19 and 20 in its hands");
      if (number_in(in.frame) < 18) record.add(std::to_string(number_in(in.frame)));
    };
  }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 1);
  Record again;
  runtime.replace(sink, scripted([&](Scripted& node) {
    node.on_process = [&](Scripted&, const Input& in) {
      record.add(std::to_string(number_in(in.frame)));
      if (in.frame.info().given_again) again.add(std::to_string(number_in(in.frame)));
    };
  }));
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(record.lines(), numbers(1, kFrames));
  ASSERT_GE(again.lines().size(), 3u);
  EXPECT_EQ(again.lines().front(), "18");
}

TEST(Host, takes_time_and_trace_over_from_the_input) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", scripted([](Scripted& node) {
    node.on_produce = [](Scripted& self) {
      OutFrame frame = self.output("out").text("x");
      if (self.count == 0) frame.info().timestamp_ns = 0;  // media starts at zero: that is a time, too
      self.output("out").send(std::move(frame));
      return ++self.count < 2;
    };
  }));
  const auto middle = runtime.add("middle", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted& self, const Input& in) {
      const FrameInfo& info = in.frame.info();
      record.add((info.timestamp_ns == 0 ? "zero " : "clock ") + std::to_string(info.trace_id));
      self.output("out").send(self.output("out").text("y"));
    };
    node.on_finish = [](Scripted& self) { self.output("out").send(self.output("out").text("last")); };
  }));
  Record sink_record;
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted&, const Input& in) {
      const FrameInfo& info = in.frame.info();
      sink_record.add((info.timestamp_ns == 0 ? "zero " : "clock ") + std::to_string(info.trace_id));
    };
  }));
  runtime.connect(source, "out", middle, "in");
  runtime.connect(middle, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 0);
  auto expected = record.lines();
  ASSERT_EQ(expected.size(), 2u);
  EXPECT_EQ(expected[0].substr(0, 5), "zero ");
  EXPECT_EQ(expected[1].substr(0, 6), "clock ");
  EXPECT_NE(expected[0].substr(5), expected[1].substr(6));
  expected.push_back(expected.back());  // what finish() sends belongs to the last input
  EXPECT_EQ(sink_record.lines(), expected);
}

TEST(Host, counts_a_forwarded_frame_as_one_copy) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", counting(5));
  const auto middle = runtime.add("middle", scripted([](Scripted& node) {
    node.on_process = [](Scripted& self, const Input& in) { self.output("out").forward(in.frame); };
  }));
  const auto sink = runtime.add("sink", collecting(record));
  runtime.connect(source, "out", middle, "in");
  const auto edge = runtime.connect(middle, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_EQ(record.lines(), numbers(1, 5));
  EXPECT_EQ(runtime.view(edge).writer().copies.load(), 5u);
}

TEST(Host, merges_several_sources_fairly_and_waits_for_the_end_of_all) {
  TestSupervisor runtime;
  Record record;
  std::vector<std::size_t> sources;
  for (int i = 0; i < 3; ++i) sources.push_back(runtime.add("source" + std::to_string(i), counting(50)));
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted&, const Input& in) { record.add(std::string(in.port)); };
    node.on_ended = [&](Scripted&, const std::string& port) { record.add("end of " + port); };
  }));
  runtime.connect(sources[0], "out", sink, "a");
  runtime.connect(sources[1], "out", sink, "a");
  runtime.connect(sources[2], "out", sink, "b");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 0);
  const auto lines = record.lines();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "a"), 100);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "b"), 50);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "end of a"), 1);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "end of b"), 1);
}

TEST(Host, gives_one_frame_to_all_readers_of_a_port) {
  TestSupervisor runtime;
  Record first, second;
  const auto source = runtime.add("source", counting(300));
  const auto a = runtime.add("a", collecting(first));
  const auto b = runtime.add("b", collecting(second));
  runtime.connect(source, "out", a, "in");
  runtime.connect(source, "out", b, "in", 2);
  runtime.start();
  EXPECT_EQ(runtime.wait(a), 0);
  EXPECT_EQ(runtime.wait(b), 0);
  EXPECT_EQ(first.lines(), numbers(1, 300));
  EXPECT_EQ(second.lines(), numbers(1, 300));
}

TEST(Host, lets_a_node_write_to_an_output_that_nobody_reads) {
  TestSupervisor runtime;
  const auto node = runtime.add("node", scripted([](Scripted& scripted_node) {
    scripted_node.on_produce = [](Scripted& self) {
      EXPECT_FALSE(self.has_output("out"));
      EXPECT_FALSE(self.output("out").connected());
      self.output("out").send(self.output("out").tensor({4, 4}, Dtype::float32));
      return ++self.count < 3;
    };
  }));
  runtime.start();
  EXPECT_EQ(runtime.wait(node), 0);
}

TEST(Host, refuses_frames_that_a_reader_would_have_to_refuse) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", scripted([&](Scripted& node) {
    node.on_produce = [&](Scripted& self) {
      Output& out = self.output("out");
      const auto expect_refused = [&](OutFrame frame, const char* why) {
        try {
          out.send(std::move(frame));
          record.add(std::string("sent: ") + why);
        } catch (const std::invalid_argument& error) {
          record.add(error.what());
        }
      };
      OutFrame large = out.tensor({4, 4}, Dtype::float32);
      large.info().shape = {4, 5};
      expect_refused(std::move(large), "shape");
      OutFrame deep = out.tensor({1}, Dtype::uint8);
      deep.info().shape.assign(9, 1);
      expect_refused(std::move(deep), "rank");
      expect_refused(OutFrame(), "empty");
      EXPECT_THROW(out.tensor({1ull << 40, 1ull << 40}, Dtype::float32), std::invalid_argument);
      EXPECT_THROW(out.image(3, 3, PixelFormat::yuv420p), std::invalid_argument);
      EXPECT_THROW(out.text("abc").resize(4), std::invalid_argument);
      return false;
    };
  }));
  Record none;
  const auto sink = runtime.add("sink", collecting(none));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_THAT(record.lines(), ElementsAre(HasSubstr("its shape needs more than the 64 bytes"), HasSubstr("9 dimensions"), HasSubstr("is empty")));
  EXPECT_TRUE(none.lines().empty());
}

TEST(Host, gives_back_frames_that_are_dropped_in_another_thread_or_after_the_end) {
  TestSupervisor runtime;
  const auto source = runtime.add("source", counting(100));
  Frame survivor;
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted&, const Input& in) {
      std::thread([frame = in.frame] { EXPECT_EQ(number_in(frame), frame.info().sequence); }).join();
      survivor = in.frame;
    };
  }));
  runtime.connect(source, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_EQ(runtime.wait(source), 0);
  EXPECT_EQ(number_in(survivor), 100u);
}

TEST(Host, shows_a_sign_of_life_in_work_that_takes_long) {
  TestSupervisor runtime;
  std::atomic<std::uint64_t> at_first = 0, later = 0;
  const auto source = runtime.add("source", counting(1));
  std::size_t works = 0;
  works = runtime.add("works", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted& self, const Input&) {
      at_first = runtime.page(works).since_ns.load();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      self.context().alive();
      later = runtime.page(works).since_ns.load();
    };
  }));
  runtime.connect(source, "out", works, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(works), 0);
  EXPECT_GE(later, at_first + 2'000'000);
}

TEST(Host, filters_its_log_and_shortens_what_is_too_long_for_a_message) {
  TestSupervisor runtime;
  const auto node = runtime.add("node", scripted([](Scripted& scripted_node) {
    scripted_node.on_produce = [](Scripted& self) {
      self.log(LogLevel::warning, "careful");
      self.log(LogLevel::info, std::string(1 << 20, '\x01'));
      self.log(LogLevel::info, "\xff isn't UTF-8");
      for (std::uint64_t i = 1; i <= 1000; ++i) self.context().progress("work", i, 1000, "steps");
      return false;
    };
  }));
  runtime.start();
  EXPECT_EQ(runtime.wait(node), 0);
  EXPECT_THAT(runtime.log(node), HasSubstr("warning careful\n"));
  EXPECT_THAT(runtime.log(node), HasSubstr("(1048576 bytes)"));
  EXPECT_THAT(runtime.log(node), HasSubstr("isn't UTF-8"));
  const auto progress = runtime.said(node, "progress");
  EXPECT_LT(progress.size(), 1000u);
  EXPECT_EQ(progress.back().at("done"), 1000);
}

// A node that looks is busy, one that sleeps says that it waits.
TEST(Host, looks_for_its_next_frame_as_long_as_it_is_told_before_it_sleeps) {
  if (plane::has_one_core()) GTEST_SKIP() << "nobody looks where only one processor may be used";
  for (const std::int64_t spin_ns : {std::int64_t{0}, std::int64_t{500'000'000}}) {
    TestSupervisor runtime;
    Record record;
    std::atomic<std::uint64_t> wanted{0};
    const auto source = runtime.add("source", scripted([&](Scripted& node) {
      node.on_produce = [&](Scripted& self) {
        while (wanted <= self.count) self.context().sleep_until(plane::monotonic_ns() + 1'000'000);
        if (wanted > 1'000'000) return false;
        OutFrame frame = self.output("out").allocate(8);
        ++self.count;
        self.output("out").send(std::move(frame));
        return true;
      };
    }));
    const auto reader = runtime.add("reader", scripted([&](Scripted& node) { node.on_process = [&](Scripted&, const Input&) { record.add("frame"); }; }));
    runtime.connect(source, "out", reader, "in");
    runtime.spin(reader, spin_ns);
    runtime.start();
    const auto is = [&](plane::NodeState state) { return runtime.page(reader).state.load() == static_cast<std::uint32_t>(state); };
    bool as_told = false;
    for (std::uint64_t frames = 1; frames <= 20 && !as_told; ++frames) {  // it has to learn that they come that fast
      wanted = frames;
      while (runtime.page(reader).processing.count.load() < frames) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      as_told = is(spin_ns > 0 ? plane::NodeState::busy : plane::NodeState::waiting);
    }
    EXPECT_TRUE(as_told) << spin_ns;
    while (!is(plane::NodeState::waiting)) std::this_thread::yield();  // nor does it look for ever
    wanted = 2'000'000;
    EXPECT_EQ(runtime.wait(reader), 0);
  }
}

}  // namespace
}  // namespace hawse::node
