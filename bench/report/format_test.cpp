// SPDX-License-Identifier: Apache-2.0
#include "bench/report/format.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace hawse::bench {
namespace {

TEST(FormatValue, has_three_digits_and_a_unit_that_fits) {
  EXPECT_EQ(format_value(0.05, "ns"), "0.0500 ns");
  EXPECT_EQ(format_value(142, "ns"), "142 ns");
  EXPECT_EQ(format_value(2500, "ns"), "2.50 µs");
  EXPECT_EQ(format_value(1.395e9, "ns"), "1.40 s");
  EXPECT_EQ(format_value(3.6e12, "ns"), "3600 s");
  EXPECT_EQ(format_value(14.6 * 1048576, "B"), "14.6 MiB");
  EXPECT_EQ(format_value(146e6, "1/s"), "146 M/s");
  EXPECT_EQ(format_value(12, "1/s"), "12.0/s");
  EXPECT_EQ(format_value(12.34e9, "B/s"), "12.3 GB/s");
  EXPECT_EQ(format_value(0.0123, "percent"), "0.0123 %");
  EXPECT_EQ(format_value(1.0203, "ratio"), "1.02");
  EXPECT_EQ(format_value(1.0203, "ratio", 4), "1.020");
  EXPECT_EQ(format_value(7, "frames"), "7.00 frames");
}

TEST(FormatValue, takes_the_next_unit_where_rounding_would_print_a_thousand) {
  EXPECT_EQ(format_value(999.4, "ns"), "999 ns");
  EXPECT_EQ(format_value(999.6, "ns"), "1.00 µs");
  EXPECT_EQ(format_value(9.996, "ns"), "10.0 ns");
  EXPECT_EQ(format_value(999.6e6, "ns"), "1.00 s");
  EXPECT_EQ(format_value(1000, "B"), "0.977 KiB");
}

TEST(FormatValue, prints_zero_whole_bytes_and_negative_figures_plainly) {
  EXPECT_EQ(format_value(0, "ns"), "0 ns");
  EXPECT_EQ(format_value(64, "B"), "64 B");
  EXPECT_EQ(format_value(-2500, "ns"), "-2.50 µs");
}

TEST(FormatValue, prints_a_dash_for_what_is_no_number) {
  EXPECT_EQ(format_value(std::numeric_limits<double>::quiet_NaN(), "ns"), "–");
  EXPECT_EQ(format_value(std::numeric_limits<double>::infinity(), "ratio"), "–");
}

TEST(FormatInterval, has_the_unit_of_the_value_beside_it) {
  EXPECT_EQ(format_interval({980, 1100}, 1050, "ns"), "0.980–1.10");
  EXPECT_EQ(format_interval({0, 0}, 0, "percent"), "0–0");
}

TEST(FormatX, names_sizes_exactly_and_counts_plainly) {
  EXPECT_EQ(format_x(64, "frame bytes"), "64 B");
  EXPECT_EQ(format_x(1048576, "frame bytes"), "1 MiB");
  EXPECT_EQ(format_x(268435456, "frame bytes"), "256 MiB");
  EXPECT_EQ(format_x(20, "containers"), "20");
}

TEST(FormatChange, says_the_direction) {
  EXPECT_EQ(format_change(0.123), "+12.3 %");
  EXPECT_EQ(format_change(-0.5), "−50.0 %");
}

TEST(FormatDuration, is_short) {
  EXPECT_EQ(format_duration(42), "42 s");
  EXPECT_EQ(format_duration(123), "2 min 3 s");
  EXPECT_EQ(format_duration(3720), "1 h 2 min");
}

TEST(FormatDate, is_in_universal_time) { EXPECT_EQ(format_date(0), "1970-01-01 00:00 UTC"); }

TEST(Plural, counts_in_english) {
  EXPECT_EQ(plural(1, "pass"), "1 pass");
  EXPECT_EQ(plural(3, "pass"), "3 passes");
  EXPECT_EQ(plural(12345, "sample"), "12,345 samples");
}

}  // namespace
}  // namespace hawse::bench
