// SPDX-License-Identifier: Apache-2.0
//
// A frame as a line of text or as JSON, its content shortened. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "hawse/frame.hpp"

namespace hawse::cli {

// "#17 audio float32 [512, 1] 16000 Hz at 1.234 s: -0.5 ... 0.48, rms 0.11"
std::string text_of(const FrameInfo&, std::span<const std::byte> payload);

// sequence, type, timestamp_ns, bytes, and where they apply duration_ns, dtype, shape, format, rate, given_again; the content under `text` (whole), `json` (whole),
// `values` (the first kValuesShown, in memory order; complex ones as pairs) or `hex` (as many bytes); `cut` where that isn't all of it.
nlohmann::json json_of(const FrameInfo&, std::span<const std::byte> payload);
inline constexpr std::size_t kValuesShown = 64;

}  // namespace hawse::cli
