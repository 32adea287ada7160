// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace hawse::plane {

// The map of shared memory in which this address lies; empty: in none.
std::span<const std::byte> guarded_around(const std::byte* inside);

}  // namespace hawse::plane
