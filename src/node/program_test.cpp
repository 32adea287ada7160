// SPDX-License-Identifier: Apache-2.0
//
// A user's C++ node, built as a program of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "node/scripted_node.hpp"

namespace hawse::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Program, runs_as_a_process_and_ends_with_what_the_node_did) {
  TestSupervisor runtime;
  Record record;
  const auto source = runtime.add("source", scripted([](Scripted& node) {
    node.on_produce = [](Scripted& self) {
      OutFrame frame = self.output("out").audio(4, 1, 16000);
      for (float& sample : frame.as<float>()) sample = static_cast<float>(self.count);
      self.output("out").send(std::move(frame));
      return ++self.count < 10;
    };
  }));
  const auto gain = runtime.add_program("gain", {HAWSE_GAIN_PROGRAM}, {{"gain", 3}});
  const auto sink = runtime.add("sink", scripted([&](Scripted& node) {
    node.on_process = [&](Scripted&, const Input& in) { record.add(std::to_string(static_cast<int>(in.frame.as<float>()[3]))); };
  }));
  runtime.connect(source, "out", gain, "audio");
  runtime.connect(gain, "out", sink, "in");
  runtime.start();
  EXPECT_EQ(runtime.wait(sink), 0);
  EXPECT_EQ(runtime.wait(gain), 0);
  EXPECT_THAT(record.lines(), ElementsAre("0", "3", "6", "9", "12", "15", "18", "21", "24", "27"));
}

TEST(Program, exits_at_once_when_the_runtime_is_gone) {
  TestSupervisor runtime;
  const auto gain = runtime.add_program("gain", {HAWSE_GAIN_PROGRAM});
  const auto source = runtime.add("source", scripted([](Scripted& node) {
    node.on_produce = [](Scripted& self) { return self.context().sleep_until(std::numeric_limits<std::int64_t>::max()); };
  }));
  runtime.connect(source, "out", gain, "audio");
  runtime.start();
  runtime.hang_up(gain);
  EXPECT_EQ(runtime.wait(gain), 1);
  runtime.stop(source);
  runtime.end(gain);
  EXPECT_EQ(runtime.wait(source), 0);
}

TEST(Program, says_how_it_is_meant_to_be_started) {
  SpawnOptions options;
  options.argv = {HAWSE_GAIN_PROGRAM};
  const RunResult result = run_to_end(options);
  EXPECT_EQ(result.status.value, 2);
  EXPECT_THAT(result.err, HasSubstr("started by `hawse run`"));
}
}  // namespace
}  // namespace hawse::node
