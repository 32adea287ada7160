// SPDX-License-Identifier: Apache-2.0
//
// Names, sizes, durations and untrusted text. Independent of the locale.
#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace hawse {
namespace {

// Damerau-Levenshtein in its "optimal string alignment" form: insert, delete, replace, swap of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kKi = 1024.0;
constexpr Unit kByteUnits[] = {
    {"", 1}, {"B", 1}, {"k", 1e3}, {"K", 1e3}, {"kB", 1e3}, {"KB", 1e3}, {"M", 1e6}, {"MB", 1e6}, {"G", 1e9}, {"GB", 1e9},
    {"T", 1e12}, {"TB", 1e12}, {"KiB", kKi}, {"MiB", kKi * kKi}, {"GiB", kKi * kKi * kKi}, {"TiB", kKi * kKi * kKi * kKi}};
constexpr Unit kDurationUnits[] = {{"", 1e9}, {"ns", 1}, {"us", 1e3}, {"\u00b5s", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}, {"d", 86400e9}};

// A non-negative decimal number, blanks, a unit.
template <std::size_t N>
std::optional<double> parse_quantity(std::string_view text, const Unit (&units)[N]) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  for (const Unit& unit : units)
    if (unit.name == text) return std::round(number * unit.factor);
  return std::nullopt;
}

std::string print(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Three digits that tell: 1.23, 12.3, 123.
std::string three_digits(double value) { return print(value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value); }

void append_escaped(std::string& out, unsigned char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "\\x%02x", byte);
  out += text;
}

// Length of the well-formed UTF-8 sequence at the front; 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) || (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
  return length;
}

}  // namespace

std::string nearest(std::string_view name, const std::vector<std::string>& known) {
  std::size_t best = std::max<std::size_t>(1, name.size() / 3) + 2;
  std::string found;
  for (const std::string& candidate : known) {
    const std::size_t here = distance(name, candidate);
    if (here >= best || here >= std::max(name.size(), candidate.size())) continue;  // nothing in common is not near
    best = here;
    found = candidate;
  }
  return found;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const std::optional<double> bytes = parse_quantity(text, kByteUnits);
  if (!bytes || *bytes > 9e15) return std::nullopt;  // below 2^53 a double is exact
  return static_cast<std::uint64_t>(*bytes);
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr const char* kNames[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1023.5) {
    value /= 1024;
    ++unit;
  }
  const double tenths = std::round(value * 10) / 10;
  const bool whole = value >= 99.95 || tenths == std::floor(tenths);
  return print(whole ? "%.0f " : "%.1f ", value) + kNames[unit];
}

std::optional<std::int64_t> parse_duration_ns(std::string_view text) {
  const std::optional<double> ns = parse_quantity(text, kDurationUnits);
  if (!ns || *ns > 9e18) return std::nullopt;
  return static_cast<std::int64_t>(*ns);
}

std::string format_duration_ns(std::int64_t ns) {
  if (ns < 0) return ns == std::numeric_limits<std::int64_t>::min() ? "-292 years" : "-" + format_duration_ns(-ns);
  const double value = static_cast<double>(ns);
  if (ns < 1000) return std::to_string(ns) + " ns";
  if (value < 999.5e3) return three_digits(value / 1e3) + " us";
  if (value < 999.5e6) return three_digits(value / 1e6) + " ms";
  if (value < 59.95e9) return print("%.1f s", value / 1e9);
  const std::int64_t seconds = (ns + 500'000'000) / 1'000'000'000;
  if (seconds < 3600) return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  return std::to_string(seconds / 3600) + " h " + std::to_string(seconds % 3600 / 60) + " min";
}

std::string strip_control(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    std::size_t length = sequence_length(text);
    const bool c1 = length == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;  // U+009B is a CSI
    if (length == 0 || c1 || first == 0x7f || (first < 0x20 && first != '\n' && first != '\t')) {
      length = std::max<std::size_t>(length, 1);
      for (std::size_t i = 0; i < length; ++i) append_escaped(out, static_cast<unsigned char>(text[i]));
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace hawse
