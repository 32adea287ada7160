// SPDX-License-Identifier: Apache-2.0
//
// The writing and the reading of payloads, for every transport alike: word i of a payload is seed + i, so that a byte that is lost, old, or of another frame is
// found. Out of line on purpose: no compiler drops what it can't see the end of. Sizes are multiples of 8.
#pragma once

#include <cstdint>

namespace hawse::bench {

void fill(void* payload, std::uint64_t bytes, std::uint64_t seed) noexcept;
bool is_filled(const void* payload, std::uint64_t bytes, std::uint64_t seed) noexcept;             // reads every byte
bool is_filled_at_samples(const void* payload, std::uint64_t bytes, std::uint64_t seed) noexcept;  // reads one word every 512 KiB, and the last: each is a line that the writer has to take back

}  // namespace hawse::bench
