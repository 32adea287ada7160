// SPDX-License-Identifier: Apache-2.0
//
// The content of a test frame: element i of frame number `sequence` is (sequence + i) mod 128, in the frame's dtype. Every value is exact in
// every dtype, differs between neighbours in place and in time, and is filled and checked at the speed of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hawse/frame.hpp"

namespace hawse::nodes {

bool has_pattern(Dtype) noexcept;  // the integers, float32, float64; none is taken as uint8
void fill(std::span<std::byte> payload, Dtype, std::uint64_t sequence) noexcept;
constexpr std::size_t kIntact = ~std::size_t{0};
std::size_t first_difference(std::span<const std::byte> payload, Dtype, std::uint64_t sequence) noexcept;  // element, or kIntact

}  // namespace hawse::nodes
