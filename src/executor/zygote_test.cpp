// SPDX-License-Identifier: Apache-2.0
//
// What is made of a zygote's words: user code's process can write any bytes there.
#include "executor/zygote.hpp"

#include <gtest/gtest.h>

#include <random>

namespace hawse::executor {
namespace {

using nlohmann::json;

TEST(ZygoteWords, are_known_fields_of_known_messages) {
  EXPECT_EQ(Zygote::heard(R"({"type":"reaped","number":7,"code":3,"max_rss_bytes":4096,"threads":["a"],"more":[1]})"),
            (json{{"type", "reaped"}, {"number", 7}, {"code", 3}, {"max_rss_bytes", 4096}, {"threads", true}}));
  EXPECT_EQ(Zygote::heard(R"({"type":"exited","signal":9})"), (json{{"type", "exited"}, {"signal", 9}}));
  EXPECT_EQ(Zygote::heard(R"({"type":"exited","code":{"a":"b"}})"), (json{{"type", "exited"}, {"code", 0}}));
}

TEST(ZygoteWords, of_any_other_kind_are_none) {
  for (const char* bytes : {"", "[]", "1", "null", "\"reaped\"", "{", "{}", R"({"type":1})", R"({"type":null})", R"({"type":["reaped"]})", R"({"type":"fork","number":1})"})
    EXPECT_TRUE(Zygote::heard(bytes).is_null()) << bytes;
}

json any_value(std::mt19937& choice, int depth) {
  switch (choice() % (depth > 0 ? 9 : 7)) {
    case 0: return nullptr;
    case 1: return choice() % 2 == 0;
    case 2: return static_cast<std::int64_t>(choice()) - (std::int64_t{1} << 31);
    case 3: return std::uint64_t{choice()} << 32;
    case 4: return 1e300;
    case 5: return "reaped";
    case 6: return "exited";
    case 7: return json::array({any_value(choice, depth - 1)});
    default: break;
  }
  json object = json::object();
  for (const char* name : {"type", "number", "code", "signal", "max_rss_bytes", "threads"})
    if (choice() % 2 == 0) object[name] = any_value(choice, depth - 1);
  return object;
}

TEST(ZygoteWords, of_any_shape_harm_nobody) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 choice(seed);
  unsigned heard = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = any_value(choice, 3).dump();
    if (choice() % 4 == 0) bytes[choice() % bytes.size()] = static_cast<char>(choice());
    const json known = Zygote::heard(bytes);
    if (known.is_null()) continue;
    ++heard;
    for (const auto& [name, value] : known.items()) EXPECT_TRUE(name == "type" ? value.is_string() : name == "threads" ? value.is_boolean() : value.is_number_integer()) << known;
  }
  EXPECT_GT(heard, 100u);
  const std::string deep = R"({"type":"reaped","number":1,"code":)" + std::string(32'000, '[') + std::string(32'000, ']') + "}";
  EXPECT_EQ(Zygote::heard(deep), (json{{"type", "reaped"}, {"number", 1}, {"code", 0}}));
}

}  // namespace
}  // namespace hawse::executor
