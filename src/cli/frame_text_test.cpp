// SPDX-License-Identifier: Apache-2.0
#include "cli/frame_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace hawse::cli {
namespace {

using testing::HasSubstr;

template <typename T, std::size_t N>
std::span<const std::byte> bytes_in(const std::array<T, N>& values) {
  return std::as_bytes(std::span(values));
}
std::span<const std::byte> bytes_in(std::string_view text) { return std::as_bytes(std::span(text)); }

FrameInfo info_of(FrameType type, Dtype dtype = Dtype::none, std::vector<std::uint64_t> shape = {}) {
  FrameInfo info;
  info.type = type;
  info.dtype = dtype;
  info.shape = std::move(shape);
  info.sequence = 17;
  info.timestamp_ns = 1'234'000'000;
  return info;
}

TEST(FrameText, tells_audio_by_its_form_and_its_loudness) {
  FrameInfo info = info_of(FrameType::audio, Dtype::float32, {4, 1});
  info.rate_numerator = 16000;
  const std::string text = text_of(info, bytes_in(std::array<float, 4>{-0.5f, 0.5f, 0.5f, -0.5f}));
  EXPECT_EQ(text, "#17 audio float32 [4, 1] 16000 Hz at 1.234 s: -0.5 ... 0.5, rms 0.5");
}

TEST(FrameText, keeps_text_in_one_line_and_off_the_terminals_controls) {
  const std::string text = text_of(info_of(FrameType::text), bytes_in("two\nlines \x1b[31m"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr(R"("two\nlines)"));
}

TEST(FrameText, cuts_long_text_between_two_characters) {
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\u00e4";
  const std::string text = text_of(info_of(FrameType::text), bytes_in(umlauts));
  EXPECT_EQ(text.find("\ufffd"), std::string::npos);
  EXPECT_THAT(text, HasSubstr("..."));
}

TEST(FrameText, shows_a_small_tensor_whole_and_of_a_large_one_its_range) {
  EXPECT_THAT(text_of(info_of(FrameType::tensor, Dtype::int16, {3}), bytes_in(std::array<std::int16_t, 3>{1, -2, 3})), HasSubstr(": 1, -2, 3"));
  std::array<std::int32_t, 100> many;
  for (int i = 0; i < 100; ++i) many[static_cast<std::size_t>(i)] = i;
  EXPECT_THAT(text_of(info_of(FrameType::tensor, Dtype::int32, {100}), bytes_in(many)), HasSubstr(": 0, 1, ... (0 ... 99)"));
}

TEST(FrameJson, has_content_by_type) {
  EXPECT_EQ(json_of(info_of(FrameType::text), bytes_in("hello"))["text"], "hello");
  EXPECT_EQ(json_of(info_of(FrameType::json), bytes_in(R"({"a": [1]})"))["json"]["a"][0], 1);
  EXPECT_EQ(json_of(info_of(FrameType::json), bytes_in("{broken"))["text"], "{broken");
  EXPECT_EQ(json_of(info_of(FrameType::bytes), bytes_in("\x01\xff"))["hex"], "01ff");
  const auto tensor = json_of(info_of(FrameType::tensor, Dtype::uint8, {2}), bytes_in(std::array<std::uint8_t, 2>{7, 255}));
  EXPECT_EQ(tensor["values"], nlohmann::json({7, 255}));
  EXPECT_FALSE(tensor.contains("cut"));
}

TEST(FrameJson, says_where_it_is_cut) {
  const std::array<std::uint8_t, 1000> many{};
  const auto tensor = json_of(info_of(FrameType::tensor, Dtype::uint8, {1000}), bytes_in(many));
  EXPECT_EQ(tensor["values"].size(), kValuesShown);
  EXPECT_EQ(tensor["cut"], true);
}

TEST(FrameJson, knows_every_dtype) {
  const std::array<std::uint16_t, 4> halves = {0x3c00, 0xc000, 0x0001, 0x7c00};
  const auto values = json_of(info_of(FrameType::tensor, Dtype::float16, {4}), bytes_in(halves))["values"];
  EXPECT_EQ(values[0], 1.0);
  EXPECT_EQ(values[1], -2.0);
  EXPECT_DOUBLE_EQ(values[2], 5.960464477539063e-08);
  EXPECT_EQ(json_of(info_of(FrameType::tensor, Dtype::bfloat16, {1}), bytes_in(std::array<std::uint16_t, 1>{0x3fc0}))["values"][0], 1.5);
  EXPECT_EQ(json_of(info_of(FrameType::tensor, Dtype::complex64, {1}), bytes_in(std::array<float, 2>{1, -2}))["values"][0], nlohmann::json({1.0, -2.0}));
  EXPECT_EQ(json_of(info_of(FrameType::tensor, Dtype::boolean, {1}), bytes_in(std::array<std::uint8_t, 1>{1}))["values"][0], true);
}

}  // namespace
}  // namespace hawse::cli
