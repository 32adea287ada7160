// SPDX-License-Identifier: Apache-2.0
//
// One loop a dtype, simple enough for the compiler to vectorise.
#include "pattern.hpp"

namespace hawse::nodes {
namespace {

template <typename T>
T element(std::uint64_t sequence, std::size_t i) noexcept {
  return static_cast<T>(static_cast<std::uint8_t>((sequence + i) & 127));
}

// Calls `visit` with a value of the C++ type of `dtype`.
template <typename Visit>
auto with_type(Dtype dtype, Visit&& visit) {
  switch (dtype) {
    case Dtype::int8: return visit(std::int8_t{});
    case Dtype::int16: return visit(std::int16_t{});
    case Dtype::uint16: return visit(std::uint16_t{});
    case Dtype::int32: return visit(std::int32_t{});
    case Dtype::uint32: return visit(std::uint32_t{});
    case Dtype::int64: return visit(std::int64_t{});
    case Dtype::uint64: return visit(std::uint64_t{});
    case Dtype::float32: return visit(float{});
    case Dtype::float64: return visit(double{});
    default: return visit(std::uint8_t{});
  }
}

}  // namespace

bool has_pattern(Dtype dtype) noexcept {
  return dtype == Dtype::none || (dtype >= Dtype::int8 && dtype <= Dtype::uint64) || dtype == Dtype::float32 || dtype == Dtype::float64;
}

void fill(std::span<std::byte> payload, Dtype dtype, std::uint64_t sequence) noexcept {
  with_type(dtype, [&]<typename T>(T) {
    T* const out = reinterpret_cast<T*>(payload.data());
    const std::size_t count = payload.size() / sizeof(T);
    for (std::size_t i = 0; i < count; ++i) out[i] = element<T>(sequence, i);
  });
}

std::size_t first_difference(std::span<const std::byte> payload, Dtype dtype, std::uint64_t sequence) noexcept {
  return with_type(dtype, [&]<typename T>(T) -> std::size_t {
    const T* const in = reinterpret_cast<const T*>(payload.data());
    const std::size_t count = payload.size() / sizeof(T);
    for (std::size_t i = 0; i < count; ++i)
      if (in[i] != element<T>(sequence, i)) return i;
    return kIntact;
  });
}

}  // namespace hawse::nodes
