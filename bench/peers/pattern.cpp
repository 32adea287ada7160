// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/pattern.hpp"

#include <cstddef>
#include <cstring>

namespace hawse::bench {
namespace {

using Words [[gnu::vector_size(32)]] = std::uint64_t;
constexpr Words kFirst{0, 1, 2, 3};

std::uint64_t word_at(const std::byte* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

[[gnu::always_inline]] inline void fill_words(std::byte* to, std::uint64_t bytes, std::uint64_t seed) noexcept {
  std::uint64_t at = 0;
  Words words = kFirst + seed;
  for (; at + sizeof words <= bytes; at += sizeof words, words += 4) std::memcpy(to + at, &words, sizeof words);
  for (; at < bytes; at += sizeof seed) {
    const std::uint64_t word = seed + at / sizeof seed;
    std::memcpy(to + at, &word, sizeof word);
  }
}

[[gnu::always_inline]] inline bool compare_words(const std::byte* from, std::uint64_t bytes, std::uint64_t seed) noexcept {
  std::uint64_t at = 0;
  Words expected = kFirst + seed, different{};
  for (; at + sizeof expected <= bytes; at += sizeof expected, expected += 4) {
    Words words;
    std::memcpy(&words, from + at, sizeof words);
    different |= words ^ expected;
  }
  std::uint64_t wrong = different[0] | different[1] | different[2] | different[3];
  for (; at < bytes; at += sizeof seed) wrong |= word_at(from + at) ^ (seed + at / sizeof seed);
  return wrong == 0;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void fill_wide(std::byte* to, std::uint64_t bytes, std::uint64_t seed) noexcept { fill_words(to, bytes, seed); }
[[gnu::target("avx2")]] bool compare_wide(const std::byte* from, std::uint64_t bytes, std::uint64_t seed) noexcept {
  return compare_words(from, bytes, seed);
}
const bool wide = __builtin_cpu_supports("avx2") != 0;
#endif

}  // namespace

void fill(void* payload, std::uint64_t bytes, std::uint64_t seed) noexcept {
  auto* to = static_cast<std::byte*>(payload);
#if defined(__x86_64__)
  if (wide) return fill_wide(to, bytes, seed);
#endif
  fill_words(to, bytes, seed);
}

bool is_filled(const void* payload, std::uint64_t bytes, std::uint64_t seed) noexcept {
  const auto* from = static_cast<const std::byte*>(payload);
#if defined(__x86_64__)
  if (wide) return compare_wide(from, bytes, seed);
#endif
  return compare_words(from, bytes, seed);
}

bool is_filled_at_samples(const void* payload, std::uint64_t bytes, std::uint64_t seed) noexcept {
  constexpr std::uint64_t kStep = 512 << 10;
  const auto* from = static_cast<const std::byte*>(payload);
  const auto wrong_at = [&](std::uint64_t at) { return word_at(from + at) ^ (seed + at / 8); };
  std::uint64_t wrong = bytes == 0 ? 0 : wrong_at(bytes - 8);
  for (std::uint64_t at = 0; at < bytes; at += kStep) wrong |= wrong_at(at);
  return wrong == 0;
}

}  // namespace hawse::bench
