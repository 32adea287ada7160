// SPDX-License-Identifier: Apache-2.0
#include "bench/report/format.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <span>

#include <fmt/core.h>

namespace hawse::bench {
namespace {

struct Scale {
  double factor;  // one of the larger unit in the series' own
  const char* suffix;
};

// From small to large.
constexpr Scale kTime[] = {{1, " ns"}, {1e3, " µs"}, {1e6, " ms"}, {1e9, " s"}};
constexpr Scale kBytes[] = {{1, " B"}, {1024, " KiB"}, {1048576, " MiB"}, {1073741824, " GiB"}};
constexpr Scale kRate[] = {{1, "/s"}, {1e3, " k/s"}, {1e6, " M/s"}, {1e9, " G/s"}};
constexpr Scale kByteRate[] = {{1, " B/s"}, {1e3, " kB/s"}, {1e6, " MB/s"}, {1e9, " GB/s"}};

std::span<const Scale> scales_of(std::string_view unit) {
  if (unit == "ns") return kTime;
  if (unit == "B") return kBytes;
  if (unit == "1/s") return kRate;
  if (unit == "B/s") return kByteRate;
  return {};
}

// The next larger unit is due where this one would be printed as 1000.
Scale scale_for(double value, std::string_view unit) {
  const auto scales = scales_of(unit);
  if (scales.empty()) return {1, ""};
  std::size_t at = 0;
  while (at + 1 < scales.size() && std::abs(value) >= 999.5 * scales[at].factor) ++at;
  return scales[at];
}

// Three significant digits (or as many as are asked for) without an exponent: 0.0123, 1.23, 12.3, 123, 1234.
std::string digits(double value, int significant = 3) {
  if (value == 0) return "0";
  int decimals = significant - 1 - static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (std::abs(value) * std::pow(10., decimals) >= std::pow(10., significant) - 0.5) --decimals;  // 9.996 is 10.0, not 10.00
  return fmt::format("{:.{}f}", value, std::clamp(decimals, 0, 9));
}

std::string suffix_of(const Scale& scale, std::string_view unit) {
  if (*scale.suffix != '\0') return scale.suffix;
  if (unit == "percent") return " %";
  return unit == "ratio" || unit.empty() ? "" : fmt::format(" {}", unit);
}

}  // namespace

std::string format_value(double value, std::string_view unit, int significant) {
  if (!std::isfinite(value)) return "–";
  const Scale scale = scale_for(value, unit);
  const bool whole_bytes = unit == "B" && scale.factor == 1 && value == std::floor(value);
  return (whole_bytes ? fmt::format("{:.0f}", value) : digits(value / scale.factor, significant)) + suffix_of(scale, unit);
}

std::string format_interval(const Interval& interval, double value, std::string_view unit) {
  const Scale scale = scale_for(value, unit);
  return fmt::format("{}–{}", digits(interval.low / scale.factor), digits(interval.high / scale.factor));
}

std::string format_x(double x, std::string_view x_name) {
  if (x_name.find("byte") == std::string_view::npos) return fmt::format("{:g}", x);
  std::size_t at = 0;
  while (at + 1 < std::size(kBytes) && std::fmod(x, kBytes[at + 1].factor) == 0 && x != 0) ++at;
  return fmt::format("{:g}{}", x / kBytes[at].factor, kBytes[at].suffix);
}

std::string format_change(double relative) {
  return std::isfinite(relative) ? fmt::format("{}{} %", relative < 0 ? "−" : "+", digits(std::abs(relative) * 100)) : "–";
}

std::string format_date(std::int64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc);
  return text;
}

std::string format_duration(std::int64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

std::string format_count(std::size_t count) {
  std::string text = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string plural(std::size_t count, std::string_view one) {
  const bool hisses = one.ends_with("s") || one.ends_with("x") || one.ends_with("ch");
  return fmt::format("{} {}{}", format_count(count), one, count == 1 ? "" : hisses ? "es" : "s");
}

}  // namespace hawse::bench
