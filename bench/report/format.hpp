// SPDX-License-Identifier: Apache-2.0
//
// Figures as people read them: three significant digits, a unit that fits. Units are those of SeriesSpec: ns, B, B/s, 1/s, percent, ratio;
// another unit is printed as it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/stats/stats.hpp"

namespace hawse::bench {

// "1.40 s", "2.50 µs", "14.6 MiB", "12.3 GB/s", "146 M/s", "0.012 %", "1.02"; "–" for what is no number.
std::string format_value(double value, std::string_view unit, int significant = 3);
// "1.38–1.43": both ends in the unit in which format_value shows the value that they stand beside.
std::string format_interval(const Interval&, double value, std::string_view unit);
// x of a growth series: "64 B", "1 MiB" where its name speaks of bytes, else "20".
std::string format_x(double x, std::string_view x_name);
// "+12.3 %" of 0.123.
std::string format_change(double relative);
std::string format_date(std::int64_t unix_s);                 // "2026-11-24 14:05 UTC"
std::string format_duration(std::int64_t seconds);            // "1 h 2 min", "2 min 3 s"
std::string format_count(std::size_t count);                  // "12,345"
std::string plural(std::size_t count, std::string_view one);  // "1 pass", "3 passes"

}  // namespace hawse::bench
