// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_store.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace hawse::runtime {
namespace {

LogLine line(const std::string& node, const std::string& text) { return {.node = node, .stream = "stdout", .text = text}; }

std::vector<LogLine> all_of(const LogStore& store) {
  std::vector<LogLine> lines;
  for (const LogLine* next = store.after(0); next != nullptr; next = store.after(next->id)) lines.push_back(*next);
  return lines;
}

TEST(LogStore, gives_lines_back_in_the_order_in_which_they_came) {
  LogStore store(1 << 20);
  store.add(line("a", "1"));
  store.add(line("b", "2"));
  store.add(line("a", "3"));
  const auto lines = all_of(store);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].text + lines[1].text + lines[2].text, "123");
  EXPECT_EQ(lines[2].number, 2u) << "numbers are a node's own";
  EXPECT_EQ(lines[1].number, 1u);
}

TEST(LogStore, a_node_that_prints_without_end_pushes_out_its_own_lines_only) {
  constexpr std::size_t kShare = 64 << 10;
  LogStore store(kShare);
  store.add(line("quiet", "only"));
  std::size_t kept_bytes = 0;
  for (int i = 0; i < 100'000; ++i) store.add(line("storm", "line " + std::to_string(i)));
  std::size_t quiet = 0;
  for (const auto& each : all_of(store)) {
    if (each.node == "quiet") ++quiet;
    else kept_bytes += each.text.size() + kLogLineBytes;
  }
  EXPECT_EQ(quiet, 1u);
  EXPECT_LE(kept_bytes, kShare);
  EXPECT_GT(kept_bytes, kShare / 2);
  EXPECT_EQ(all_of(store).back().number, 100'000u);
}

TEST(LogStore, keeps_a_line_that_is_larger_than_the_share) {
  LogStore store(100);
  store.add(line("a", "small"));
  store.add(line("a", std::string(1000, 'x')));
  ASSERT_EQ(all_of(store).size(), 1u);
  EXPECT_EQ(all_of(store)[0].number, 2u);
}

TEST(LogStore, a_line_that_was_skipped_leaves_a_gap_in_its_nodes_numbers) {
  LogStore store(1 << 20);
  store.add(line("a", "1"));
  store.skip("a");
  store.skip("a");
  store.add(line("a", "4"));
  EXPECT_EQ(all_of(store)[1].number, 4u);
  EXPECT_EQ(store.skipped("a"), 2u);
  EXPECT_EQ(store.skipped("b"), 0u);
}

TEST(LogLimit, admits_a_burst_then_no_more_than_its_rate) {
  LogLimit limit;
  constexpr std::size_t kText = 1024 - kLogLineBytes;
  std::int64_t now_ns = 1;
  std::size_t admitted = 0;
  while (limit.admits(kText, now_ns)) ++admitted;
  EXPECT_EQ(admitted, kLogBurstBytes / 1024);
  for (admitted = 0; now_ns < 2'000'000'000; now_ns += 500) admitted += limit.admits(kText, now_ns) ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(admitted), 2.0 * kLogBytesASecond / 1024, 2) << "whatever the time between two lines";
}

TEST(LogLimit, a_node_that_has_been_silent_has_its_burst_again) {
  LogLimit limit;
  while (limit.admits(1000, 1)) {
  }
  std::size_t admitted = 0;
  while (limit.admits(1024 - kLogLineBytes, 100'000'000'000)) ++admitted;
  EXPECT_EQ(admitted, kLogBurstBytes / 1024);
}

}  // namespace
}  // namespace hawse::runtime
