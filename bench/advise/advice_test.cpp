// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/advice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hawse::bench::advise {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kMiB = 1 << 20;

// A node that reads a file as fast as it can, ran 10 s, and costs a container nothing that can be told.
struct Case {
  NodeFacts facts;
  NodeFigures process = figures(80), container = figures(250);

  static NodeFigures figures(double start_ms) {
    NodeFigures f;
    f.lack = Lack::none;
    f.runs = 2;
    f.starts = 2;
    f.seconds = 10;
    f.start_ms = start_ms;
    f.frames = 1000;
    f.work_p50_ns = 1e6;
    f.work_p99_ns = 2e6;
    f.wait_p50_ns = 1e5;
    f.wait_p99_ns = 2e5;
    f.memory_peak_bytes = 40 * kMiB;
    return f;
  }
  void live_audio() { facts.live = facts.audio = true; }
  void no_container(Lack lack, const std::string& why) {
    container = NodeFigures{};
    container.lack = lack;
    container.why_not = why;
  }
  Advice advice() const { return choose(facts, process, container); }
};

TEST(Advice, batch_work_goes_into_a_container_that_costs_nothing) {
  const Advice advice = Case{}.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::container);
  EXPECT_EQ(advice.rule, "batch work belongs in containers");
  EXPECT_FALSE(advice.overruled);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("1.00 ms a frame as a process, 1.00 ms in a container: +0 %, no difference that can be told; 170 ms of start, once")));
}

TEST(Advice, a_container_that_costs_latency_is_overruled_and_said_so) {
  Case one;
  one.container.work_p50_ns = 1.4e6;
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::process);
  EXPECT_TRUE(advice.overruled);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("says container; measured here: 1.00 ms a frame as a process, 1.40 ms in a container: +40 %")));
}

TEST(Advice, a_difference_as_large_as_between_two_runs_of_the_same_counts_for_nothing) {
  Case one;
  one.container.work_p50_ns = 1.4e6;
  one.process.spread = 0.5;
  EXPECT_EQ(one.advice().executor, ExecutorKind::container);
}

TEST(Advice, a_difference_that_nobody_waits_for_counts_for_nothing) {
  Case one;
  one.live_audio();
  one.facts.others_code = true;
  one.process.work_p50_ns = 10'000;
  one.process.wait_p50_ns = one.container.wait_p50_ns = 10'000;
  one.container.work_p50_ns = 20'000;  // half as much again, but 10 us of the 10 ms from frame to frame
  EXPECT_EQ(one.advice().executor, ExecutorKind::container);
}

TEST(Advice, a_node_that_starts_often_and_runs_shortly_is_a_process) {
  Case one;
  one.process.life_s = 0.4;
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::process);
  EXPECT_EQ(advice.rule, "short tasks are native");
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("a container adds 170 ms to each start (250 ms instead of 80 ms), 42 % of that life")));
}

TEST(Advice, a_node_that_is_started_again_and_again_is_told_with_its_count) {
  Case one;
  one.process.life_s = 0.4;
  one.process.starts = 9;
  EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("was started 9 times in 10.0 s")));
}

TEST(Advice, a_life_of_ten_times_the_added_start_is_long) {
  Case one;
  one.process.life_s = 1.71;
  EXPECT_EQ(one.advice().executor, ExecutorKind::container);
  one.process.life_s = 1.69;
  EXPECT_EQ(one.advice().executor, ExecutorKind::process);
}

TEST(Advice, a_slow_start_that_both_have_makes_no_life_short) {
  Case one;
  one.process.start_ms = 5000;
  one.container.start_ms = 5100;
  one.process.life_s = 3;
  EXPECT_EQ(one.advice().executor, ExecutorKind::container);
}

TEST(Advice, real_time_audio_with_code_of_others_is_overruled_where_a_container_costs_nothing) {
  Case one;
  one.live_audio();
  one.facts.others_code = true;
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::container);
  EXPECT_TRUE(advice.overruled);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("the rule (real-time audio is native) says process; measured here: 1.10 ms a frame")));
}

TEST(Advice, real_time_audio_of_ones_own_code_stays_native) {
  Case one;
  one.live_audio();
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::process);
  EXPECT_FALSE(advice.overruled);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("only code of your own")));
}

TEST(Advice, real_time_audio_whose_slowest_frames_miss_their_time_in_a_container_stays_native) {
  Case one;
  one.live_audio();
  one.facts.others_code = true;
  one.container.work_p99_ns = 3e7;  // a frame comes every 10 ms
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::process);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("longer than a frame")));
}

TEST(Advice, on_live_input_the_wait_before_a_node_counts_and_on_files_it_does_not) {
  Case one;
  one.container.wait_p50_ns = 5e6;
  EXPECT_EQ(one.advice().executor, ExecutorKind::container);
  one.live_audio();
  one.facts.others_code = true;
  EXPECT_EQ(one.advice().executor, ExecutorKind::process);
}

TEST(Advice, live_input_without_a_rule_leaves_the_node_where_it_is) {
  Case one;
  one.facts.live = true;
  EXPECT_EQ(one.advice().executor, ExecutorKind::process);
  EXPECT_EQ(one.advice().rule, "");
  one.facts.now = ExecutorKind::container;
  EXPECT_EQ(one.advice().executor, ExecutorKind::container);
}

TEST(Advice, gpu_and_conflicts_ask_for_containers_on_live_input_too) {
  Case one;
  one.facts.live = true;
  one.facts.gpus = true;
  EXPECT_EQ(one.advice().executor, ExecutorKind::container);
  one.facts.gpus = false;
  one.facts.conflicts = {"numpy 1.26.4 here, 2.4.1 in recognise"};
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::container);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("each node has its own packages here")));
}

TEST(Advice, what_only_a_container_gives_keeps_a_node_there_even_if_it_lives_shortly) {
  Case one;
  one.facts.now = ExecutorKind::container;
  one.facts.only_container = {"the Debian packages libgl1"};
  one.process.life_s = 0.4;
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::container);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("libgl1")));
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("if it can do without, a process is better")));
}

TEST(Advice, a_container_section_that_is_not_in_force_keeps_nothing_there) {
  Case one;
  one.facts.only_container = {"its mounts"};
  one.process.life_s = 0.4;
  EXPECT_EQ(one.advice().executor, ExecutorKind::process);
}

TEST(Advice, without_an_engine_a_process_is_advised_but_nothing_is_written) {
  Case one;
  one.facts.now = ExecutorKind::container;
  one.no_container(Lack::engine, "no engine answers here");
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::process);
  EXPECT_TRUE(advice.decided);
  EXPECT_FALSE(advice.firm);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("no engine answers here")));
}

TEST(Advice, without_an_engine_what_a_process_goes_without_is_named) {
  Case one;
  one.facts.now = ExecutorKind::container;
  one.facts.only_container = {"Python 3.9 (a process gets the host's 3.11.7)"};
  one.no_container(Lack::engine, "no engine answers here");
  EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("as a process it goes without Python 3.9")));
}

TEST(Advice, what_fails_in_a_container_is_a_process_with_the_reason_and_the_files_it_lacks) {
  Case one;
  one.facts.now = ExecutorKind::container;
  one.facts.host_files = {"/opt/shim.so (LD_PRELOAD)"};
  one.no_container(Lack::failed, "was ended by signal 4");
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::process);
  EXPECT_TRUE(advice.firm);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("was ended by signal 4")));
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("/opt/shim.so (LD_PRELOAD)")));
}

TEST(Advice, what_fails_as_a_process_is_a_container) {
  Case one;
  one.process = NodeFigures{};
  one.process.lack = Lack::failed;
  one.process.why_not = "no module named tensorflow";
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::container);
  EXPECT_THAT(advice.reasons, Contains(HasSubstr("no module named tensorflow")));
}

TEST(Advice, what_runs_nowhere_stays_as_it_is) {
  Case one;
  one.facts.now = ExecutorKind::container;
  one.process = NodeFigures{};
  one.process.lack = Lack::failed;
  one.no_container(Lack::environment, "no such package");
  const Advice advice = one.advice();
  EXPECT_EQ(advice.executor, ExecutorKind::container);
  EXPECT_FALSE(advice.decided);
  EXPECT_FALSE(advice.memory_limit_bytes);
}

TEST(Advice, a_node_that_saw_no_frames_is_told_to_be_run_longer) {
  Case one;
  one.process.frames = one.container.frames = 0;
  EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("it saw no frames in 10.0 s: run longer with --seconds")));
  one.process.frames = one.container.frames = 3;
  EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("it saw only 3 frames, too few to compare")));
}

TEST(Advice, stock_nodes_are_never_put_into_containers) {
  for (const ExecutorKind now : {ExecutorKind::thread, ExecutorKind::process, ExecutorKind::container}) {
    Case one;
    one.facts.kind = pipeline::NodeKind::stock;
    one.facts.now = now;
    EXPECT_NE(one.advice().executor, ExecutorKind::container);
    EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("stock nodes don't run in containers")));
  }
}

TEST(Advice, a_stock_node_that_parses_outside_input_gets_a_process_of_its_own) {
  Case one;
  one.facts.kind = pipeline::NodeKind::stock;
  one.facts.now = ExecutorKind::thread;
  EXPECT_EQ(one.advice().executor, ExecutorKind::thread);
  one.facts.parses_outside_input = true;
  EXPECT_EQ(one.advice().executor, ExecutorKind::process);
}

TEST(Advice, limits_follow_from_the_largest_peak_seen_and_only_where_there_is_none) {
  Case one;
  one.container.memory_peak_bytes = 100 * kMiB;
  EXPECT_EQ(one.advice().memory_limit_bytes, 160 * kMiB);
  one.facts.memory_limit_bytes = 256 * kMiB;
  EXPECT_FALSE(one.advice().memory_limit_bytes);
  EXPECT_THAT(one.advice().reasons, Not(Contains(HasSubstr("nearly used up"))));
  one.facts.memory_limit_bytes = 104 * kMiB;
  EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("nearly used up (peak 100 MiB, files kept in memory included): 160 MiB leaves room")));
}

TEST(Advice, memory_limits_are_round_and_leave_half_as_much_again) {
  EXPECT_EQ(memory_limit_for(1), 32 * kMiB);
  EXPECT_EQ(memory_limit_for(32 * kMiB), 48 * kMiB);
  EXPECT_EQ(memory_limit_for(600 * kMiB), 960 * kMiB);
  EXPECT_EQ(memory_limit_for(3000 * kMiB), 4608 * kMiB);
  for (std::uint64_t peak = kMiB; peak < 8192 * kMiB; peak += 37 * kMiB) EXPECT_GE(memory_limit_for(peak), peak + peak / 2);
}

TEST(Advice, a_limit_of_cores_is_for_live_input_alone) {
  Case one;
  one.process.cpus = one.container.cpus = 0.3;
  one.process.cpus_peak = one.container.cpus_peak = 0.4;
  EXPECT_FALSE(one.advice().cpus_limit);
  one.facts.live = true;
  EXPECT_EQ(one.advice().cpus_limit, 0.75);
  one.facts.cpus_limit = 0.32;
  EXPECT_FALSE(one.advice().cpus_limit);
  EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("that limit sets its pace")));
}

TEST(Advice, a_memory_limit_that_was_met_is_said) {
  Case one;
  one.process.failure = "met its memory limit: 128 MiB, peak 128 MiB, killed";
  EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("met its memory limit")));
}

TEST(Advice, environments_that_differ_are_said) {
  Case one;
  one.process.environment = "python 3.11.7";
  one.container.environment = "python 3.9.2";
  EXPECT_THAT(one.advice().reasons, Contains(HasSubstr("python 3.11.7 as a process, python 3.9.2 in the container")));
}

}  // namespace
}  // namespace hawse::bench::advise
