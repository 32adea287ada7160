// SPDX-License-Identifier: Apache-2.0
#include "cli/frame_text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <limits>
#include <optional>

#include "base/text.hpp"

namespace hawse::cli {
namespace {

using nlohmann::json;
using Payload = std::span<const std::byte>;

constexpr std::size_t kTextShown = 100;
constexpr std::size_t kValuesInText = 6;
constexpr std::size_t kBytesInText = 16;
constexpr std::int64_t kYear2000_ns = 946'684'800'000'000'000;  // what is later is a wall clock's, not a medium's

template <typename T>
T at(Payload payload, std::size_t index) {
  T value;
  std::memcpy(&value, payload.data() + index * sizeof(T), sizeof(T));
  return value;
}

double half(std::uint16_t bits) {  // IEEE 754 binary16
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double size = exponent == 0    ? std::ldexp(mantissa, -24)
                      : exponent == 31 ? (mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN())
                                       : std::ldexp(mantissa + 1024, exponent - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

json value_at(Dtype dtype, Payload payload, std::size_t index) {
  switch (dtype) {
    case Dtype::boolean: return at<std::uint8_t>(payload, index) != 0;
    case Dtype::int8: return at<std::int8_t>(payload, index);
    case Dtype::uint8: return at<std::uint8_t>(payload, index);
    case Dtype::int16: return at<std::int16_t>(payload, index);
    case Dtype::uint16: return at<std::uint16_t>(payload, index);
    case Dtype::int32: return at<std::int32_t>(payload, index);
    case Dtype::uint32: return at<std::uint32_t>(payload, index);
    case Dtype::int64: return at<std::int64_t>(payload, index);
    case Dtype::uint64: return at<std::uint64_t>(payload, index);
    case Dtype::float16: return half(at<std::uint16_t>(payload, index));
    case Dtype::bfloat16: {
      const std::uint32_t bits = std::uint32_t{at<std::uint16_t>(payload, index)} << 16;
      float value;
      std::memcpy(&value, &bits, sizeof value);
      return value;
    }
    case Dtype::float32: return at<float>(payload, index);
    case Dtype::float64: return at<double>(payload, index);
    case Dtype::complex64: return {at<float>(payload, 2 * index), at<float>(payload, 2 * index + 1)};
    case Dtype::complex128: return {at<double>(payload, 2 * index), at<double>(payload, 2 * index + 1)};
    case Dtype::none: break;
  }
  return nullptr;
}

std::size_t value_count(const FrameInfo& info, Payload payload) {
  const std::size_t bytes = bytes_of(info.dtype);
  return bytes == 0 ? 0 : payload.size() / bytes;
}

std::string hex(Payload payload, std::size_t most) {
  std::string text;
  for (const std::byte each : payload.first(std::min(payload.size(), most))) text += fmt::format("{:02x}", std::to_integer<unsigned>(each));
  return text;
}

std::string time_words(std::int64_t ns) {
  if (ns < kYear2000_ns) return fmt::format("{:.3f} s", static_cast<double>(ns) / 1e9);
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::localtime(static_cast<std::time_t>(ns / 1'000'000'000)), ns / 1'000'000 % 1000);
}

std::string value_words(const json& value) {
  if (!value.is_number_float()) return value.dump();
  return fmt::format("{:.4g}", value.get<double>());
}

// Loudness of what is heard, or the range of what was measured.
std::string numbers_words(const FrameInfo& info, Payload payload) {
  const std::size_t count = value_count(info, payload);
  if (count == 0) return "no values";
  const bool scalar = info.dtype != Dtype::complex64 && info.dtype != Dtype::complex128 && info.dtype != Dtype::boolean;
  if (scalar && (info.type == FrameType::audio || count > kValuesInText)) {
    double least = std::numeric_limits<double>::infinity(), most = -least, squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double value = value_at(info.dtype, payload, i).get<double>();
      least = std::min(least, value);
      most = std::max(most, value);
      squares += value * value;
    }
    const std::string range = fmt::format("{:.4g} ... {:.4g}", least, most);
    if (info.type == FrameType::audio) return range + fmt::format(", rms {:.4g}", std::sqrt(squares / static_cast<double>(count)));
    if (info.type != FrameType::tensor) return range;
    return fmt::format("{}, {}, ... ({})", value_words(value_at(info.dtype, payload, 0)), value_words(value_at(info.dtype, payload, 1)), range);
  }
  std::vector<std::string> words;
  for (std::size_t i = 0; i < std::min(count, kValuesInText); ++i) words.push_back(value_words(value_at(info.dtype, payload, i)));
  return fmt::format("{}{}", fmt::join(words, ", "), count > kValuesInText ? ", ..." : "");
}

// Whole characters of UTF-8.
std::string shortened(std::string_view text) {
  if (text.size() <= kTextShown) return std::string(text);
  std::size_t end = kTextShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string content_words(const FrameInfo& info, Payload payload) {
  const std::string_view chars(reinterpret_cast<const char*>(payload.data()), payload.size());
  if (info.type == FrameType::text || info.type == FrameType::json)
    return json(shortened(chars)).dump(-1, ' ', false, json::error_handler_t::replace);
  if (info.dtype != Dtype::none) return numbers_words(info, payload);
  return hex(payload, kBytesInText) + (payload.size() > kBytesInText ? "..." : "");
}

bool has_rate(const FrameInfo& info) { return info.rate_numerator != 0 && info.rate_denominator != 0; }
double rate_of(const FrameInfo& info) { return static_cast<double>(info.rate_numerator) / info.rate_denominator; }

}  // namespace

std::string text_of(const FrameInfo& info, Payload payload) {
  std::string text = fmt::format("#{} {}", info.sequence, to_string(info.type));
  if (info.dtype != Dtype::none) text += fmt::format(" {}", to_string(info.dtype));
  if (!info.shape.empty()) text += fmt::format(" [{}]", fmt::join(info.shape, ", "));
  if (info.format != PixelFormat::none) text += fmt::format(" {}", to_string(info.format));
  if (has_rate(info)) text += fmt::format(" {:g} Hz", rate_of(info));
  if (info.dtype == Dtype::none) text += " " + format_bytes(payload.size());
  text += " at " + time_words(info.timestamp_ns);
  if (info.given_again) text += " given again";
  return text + ": " + strip_control(content_words(info, payload));
}

json json_of(const FrameInfo& info, Payload payload) {
  json out = {{"sequence", info.sequence}, {"type", to_string(info.type)}, {"timestamp_ns", info.timestamp_ns}, {"bytes", payload.size()}};
  if (info.duration_ns != 0) out["duration_ns"] = info.duration_ns;
  if (info.dtype != Dtype::none) out["dtype"] = to_string(info.dtype);
  if (!info.shape.empty()) out["shape"] = info.shape;
  if (info.format != PixelFormat::none) out["format"] = to_string(info.format);
  if (has_rate(info)) out["rate"] = rate_of(info);
  if (info.given_again) out["given_again"] = true;
  const std::string_view chars(reinterpret_cast<const char*>(payload.data()), payload.size());
  if (info.type == FrameType::json) {
    json parsed = json::parse(chars, nullptr, false);
    if (!parsed.is_discarded()) {
      out["json"] = std::move(parsed);
      return out;
    }
  }
  if (info.type == FrameType::text || info.type == FrameType::json) {
    out["text"] = chars;
  } else if (const std::size_t count = value_count(info, payload); count != 0) {
    json& values = out["values"] = json::array();
    for (std::size_t i = 0; i < std::min(count, kValuesShown); ++i) values.push_back(value_at(info.dtype, payload, i));
    if (count > kValuesShown) out["cut"] = true;
  } else {
    out["hex"] = hex(payload, kValuesShown);
    if (payload.size() > kValuesShown) out["cut"] = true;
  }
  return out;
}

}  // namespace hawse::cli
