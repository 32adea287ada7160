// SPDX-License-Identifier: Apache-2.0
#include "plane/spin.hpp"

#include <gtest/gtest.h>

namespace hawse::plane {
namespace {

constexpr std::int64_t kLimit_ns = 20'000;

AdaptiveSpin spin_after(int waits, std::int64_t each_ns) {
  AdaptiveSpin spin;
  spin.set_limit(kLimit_ns);
  for (int i = 0; i < waits; ++i) spin.came(each_ns);
  return spin;
}

TEST(AdaptiveSpin, sleeps_at_once_until_it_has_seen_short_waits) {
  EXPECT_EQ(spin_after(0, 0).budget_ns(), 0);
  EXPECT_EQ(spin_after(10, 2'000).budget_ns(), kLimit_ns);
}

TEST(AdaptiveSpin, costs_an_idle_node_nothing) {
  AdaptiveSpin spin = spin_after(100, 1'000);
  for (int i = 0; i < 10; ++i) spin.came(33'000'000);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(spin.budget_ns(), 0);
    spin.came(33'000'000);
  }
}

TEST(AdaptiveSpin, forgets_one_pause_in_a_fast_stream_after_a_few_frames) {
  AdaptiveSpin spin = spin_after(100, 1'000);
  spin.came(5'000'000'000);
  for (int i = 0; i < 3; ++i) spin.came(1'000);
  EXPECT_EQ(spin.budget_ns(), kLimit_ns);
}

TEST(AdaptiveSpin, gives_up_for_longer_each_time_that_its_core_is_taken_away) {
  AdaptiveSpin spin = spin_after(100, 1'000);
  int skipped_before = 0;
  for (int round = 0; round < 6; ++round) {
    EXPECT_FALSE(spin.looked_again_after(4'000'000));
    int skipped = 0;
    while (spin.budget_ns() == 0) ++skipped;
    EXPECT_GT(skipped, skipped_before);
    skipped_before = skipped;
  }
  EXPECT_TRUE(spin.looked_again_after(2'000));  // an interrupt
  EXPECT_EQ(spin.budget_ns(), kLimit_ns);
}

TEST(AdaptiveSpin, goes_on_where_it_is_interrupted_for_a_small_part_of_the_time) {
  AdaptiveSpin spin;
  spin.set_limit(10'000'000);
  for (int i = 0; i < 10; ++i) spin.came(3'000'000);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(spin.looked_again_after(100'000)) << i;  // by the machine itself
    for (int look = 0; look < 2000; ++look) ASSERT_TRUE(spin.looked_again_after(1'000));
    ASSERT_EQ(spin.budget_ns(), 10'000'000);
  }
  EXPECT_FALSE(spin.looked_again_after(3'000'000) && spin.looked_again_after(3'000'000) && spin.looked_again_after(3'000'000)) << "by another process";
  EXPECT_EQ(spin.budget_ns(), 0);
}

TEST(AdaptiveSpin, looks_again_soon_once_others_leave_its_core_alone) {
  AdaptiveSpin spin = spin_after(100, 1'000);
  const auto skipped_after_one_more = [&] {
    EXPECT_FALSE(spin.looked_again_after(4'000'000));
    int skipped = 0;
    while (spin.budget_ns() == 0) ++skipped;
    return skipped;
  };
  for (int i = 0; i < 12; ++i) skipped_after_one_more();
  const int busy = skipped_after_one_more();
  for (int look = 0; look < 1'000'000; ++look) ASSERT_TRUE(spin.looked_again_after(1'000));  // a second
  EXPECT_TRUE(spin.looked_again_after(1'000'000));
  int tries = 0;
  while (spin.looked_again_after(4'000'000)) ++tries;  // until it is an eighth again
  EXPECT_GT(tries, 0);
  int skipped = 0;
  while (spin.budget_ns() == 0) ++skipped;
  EXPECT_LT(skipped, busy / 8);
}

TEST(AdaptiveSpin, with_a_limit_of_nothing_never_looks) {
  AdaptiveSpin spin;
  spin.set_limit(0);
  for (int i = 0; i < 100; ++i) spin.came(10);
  EXPECT_EQ(spin.budget_ns(), 0);
}

TEST(AdaptiveSpin, sleeps_at_once_where_others_need_the_core) {
  AdaptiveSpin spin;
  spin.set_limit(10'000'000);
  for (int i = 0; i < 10; ++i) spin.came(3'000'000);
  std::int64_t now_ns = 0;
  int clocks = 0;
  EXPECT_FALSE(look_before_sleep(spin, 0, -1, [&] { return ++clocks, now_ns += 3'000'000; }, [] { return false; }));
  EXPECT_EQ(clocks, 1);
}

TEST(AdaptiveSpin, looks_no_longer_than_its_limit) {
  AdaptiveSpin spin = spin_after(100, 1'000);
  std::int64_t now_ns = 0;
  const auto clock_ns = [&] { return now_ns += 1'000; };
  int looks = 0;
  EXPECT_FALSE(look_before_sleep(spin, 0, -1, clock_ns, [&] { return ++looks < 0; }));
  EXPECT_EQ(now_ns, kLimit_ns);
  now_ns = looks = 0;
  EXPECT_FALSE(look_before_sleep(spin, 0, 3'000, clock_ns, [&] { return ++looks < 0; }));
  EXPECT_EQ(now_ns, 3'000);
  EXPECT_TRUE(look_before_sleep(spin, now_ns, -1, clock_ns, [&] { return ++looks > 100; }));
}

}  // namespace
}  // namespace hawse::plane
