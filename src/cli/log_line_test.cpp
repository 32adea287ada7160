// SPDX-License-Identifier: Apache-2.0
#include "cli/log_line.hpp"

#include <gtest/gtest.h>

namespace hawse::cli {
namespace {

using nlohmann::json;

std::string level(const std::string& text) { return level_of({{"stream", "stdout"}}, structured(text)); }

TEST(LogLine, is_structured_only_where_it_is_a_whole_object) {
  EXPECT_EQ(structured(R"({"a": [1, {"b": null}]})")["a"][0], 1);
  for (const char* text : {"", "{", "{}x", "[1]", "7", "{'a': 1}", R"({"a": 1} and more})", "{\"a\": \"\x01\"}"}) EXPECT_TRUE(structured(text).is_null()) << text;
}

TEST(LogLine, that_nests_too_deeply_is_text) {
  std::string deep = R"({"a":)" + std::string(500, '[') + std::string(500, ']') + "}";
  EXPECT_TRUE(structured(deep).is_null());
}

TEST(LogLine, takes_its_level_from_the_run_then_from_its_own_json_then_is_info) {
  EXPECT_EQ(level_of({{"level", "debug"}}, structured(R"({"level": "error"})")), "debug");
  EXPECT_EQ(level(R"({"level": "WARN"})"), "warning");
  EXPECT_EQ(level(R"({"levelname": "CRITICAL"})"), "error");
  EXPECT_EQ(level(R"({"severity": "Debug"})"), "debug");
  EXPECT_EQ(level(R"({"level": 30, "severity": "error"})"), "error");
  EXPECT_EQ(level(R"({"level": "loud"})"), "info");
  EXPECT_EQ(level("plain"), "info");
}

TEST(LogLine, levels_are_in_order) {
  EXPECT_LT(level_number("debug"), level_number("info"));
  EXPECT_LT(level_number("info"), level_number("warning"));
  EXPECT_LT(level_number("warning"), level_number("error"));
  EXPECT_EQ(level_number(""), level_number("debug"));
}

}  // namespace
}  // namespace hawse::cli
