// SPDX-License-Identifier: Apache-2.0
//
// Small text work that every message of ours needs: the nearest known name, sizes and durations with units.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hawse {

// The known name nearest to `name` by Damerau-Levenshtein distance (at most a third of its length, at least 1, plus 1); "" if none is near.
std::string nearest(std::string_view name, const std::vector<std::string>& known);

// "512MiB", "1.5 GB", "64k" (KiB, MiB, GiB, TiB = 1024; kB, MB, GB, TB and k, M, G = 1000), "4096" = bytes. nullopt: not a size.
std::optional<std::uint64_t> parse_bytes(std::string_view);
std::string format_bytes(std::uint64_t);            // "512 MiB", "1.2 KiB", "0 B"
// "250ms", "1.5s", "2m", "1h", "80us"; a bare number is seconds. nullopt: not a duration.
std::optional<std::int64_t> parse_duration_ns(std::string_view);
std::string format_duration_ns(std::int64_t);       // "1.23 ms", "450 ns", "2.0 s", "3 min 20 s"

std::string strip_control(std::string_view);        // control characters but \n and \t out as \xNN: a node's text never drives the terminal

}  // namespace hawse
