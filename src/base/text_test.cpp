// SPDX-License-Identifier: Apache-2.0
#include "base/text.hpp"

#include <gtest/gtest.h>

namespace hawse {
namespace {

TEST(Text, finds_the_nearest_name) {
  const std::vector<std::string> known = {"when_full", "queue", "executor", "in"};
  EXPECT_EQ(nearest("queu", known), "queue");
  EXPECT_EQ(nearest("quuee", known), "queue");
  EXPECT_EQ(nearest("excutor", known), "executor");
  EXPECT_EQ(nearest("when-full", known), "when_full");
  EXPECT_EQ(nearest("zebra", known), "");
  EXPECT_EQ(nearest("xy", known), "");
  EXPECT_EQ(nearest("", known), "");
}

TEST(Text, reads_sizes) {
  EXPECT_EQ(parse_bytes("4096"), 4096u);
  EXPECT_EQ(parse_bytes("512MiB"), 512u << 20);
  EXPECT_EQ(parse_bytes("1.5 GB"), 1500000000u);
  EXPECT_EQ(parse_bytes("64k"), 64000u);
  EXPECT_EQ(parse_bytes("0"), 0u);
  EXPECT_EQ(parse_bytes("2TiB"), 2ull << 40);
  for (const char* wrong : {"", "-1", "12 parsecs", "MiB", "1e3", "1.2.3", " 5", "99999999TB", "1MiBx", "nan", "inf"}) EXPECT_FALSE(parse_bytes(wrong)) << wrong;
}

TEST(Text, writes_sizes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1000), "1000 B");
  EXPECT_EQ(format_bytes(1229), "1.2 KiB");
  EXPECT_EQ(format_bytes(512u << 20), "512 MiB");
  EXPECT_EQ(format_bytes((1u << 20) - 1), "1 MiB");
  EXPECT_EQ(format_bytes(~0ull), "16 EiB");
}

TEST(Text, reads_durations) {
  EXPECT_EQ(parse_duration_ns("250ms"), 250'000'000);
  EXPECT_EQ(parse_duration_ns("1.5s"), 1'500'000'000);
  EXPECT_EQ(parse_duration_ns("2m"), 120'000'000'000);
  EXPECT_EQ(parse_duration_ns("1h"), 3'600'000'000'000);
  EXPECT_EQ(parse_duration_ns("7d"), 604'800'000'000'000);
  EXPECT_EQ(parse_duration_ns("80us"), 80'000);
  EXPECT_EQ(parse_duration_ns("3"), 3'000'000'000);
  for (const char* wrong : {"", "-1s", "s", "1 week", "9999999999h", "1s2"}) EXPECT_FALSE(parse_duration_ns(wrong)) << wrong;
}

TEST(Text, writes_durations) {
  EXPECT_EQ(format_duration_ns(450), "450 ns");
  EXPECT_EQ(format_duration_ns(1'230'000), "1.23 ms");
  EXPECT_EQ(format_duration_ns(12'300), "12.3 us");
  EXPECT_EQ(format_duration_ns(2'000'000'000), "2.0 s");
  EXPECT_EQ(format_duration_ns(200'000'000'000), "3 min 20 s");
  EXPECT_EQ(format_duration_ns(3'720'000'000'000), "1 h 2 min");
  EXPECT_EQ(format_duration_ns(-450), "-450 ns");
  EXPECT_EQ(format_duration_ns(999'999), "1.00 ms");
}

TEST(Text, never_lets_text_drive_the_terminal) {
  EXPECT_EQ(strip_control("plain\ttext\nover lines"), "plain\ttext\nover lines");
  EXPECT_EQ(strip_control("\x1b[31mred\r"), "\\x1b[31mred\\x0d");
  EXPECT_EQ(strip_control("sch\u00f6n \u65e5\u672c \U0001f6a2"), "sch\u00f6n \u65e5\u672c \U0001f6a2");
  EXPECT_EQ(strip_control("\xc2\x9b" "2J"), "\\xc2\\x9b2J");
  EXPECT_EQ(strip_control("\x9b\xff\xe2\x82\x7f"), "\\x9b\\xff\\xe2\\x82\\x7f");
  EXPECT_EQ(strip_control(std::string(1, '\0')), "\\x00");
}

}  // namespace
}  // namespace hawse
