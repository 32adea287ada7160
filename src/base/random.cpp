// SPDX-License-Identifier: Apache-2.0
#include "base/random.hpp"

#include <sys/random.h>

#include "base/error.hpp"

namespace hawse {

namespace {

void fill(void* bytes, std::size_t size) {
  if (::getrandom(bytes, size, 0) != static_cast<ssize_t>(size)) throw Error::from_errno("draw a random number", "getrandom");  // whole, up to 256 bytes
}

}  // namespace

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  fill(&bits, sizeof bits);
  return bits;
}

std::string random_hex(std::size_t digits) {
  std::string text(digits, '\0');
  fill(text.data(), text.size());
  for (char& digit : text) digit = "0123456789abcdef"[static_cast<unsigned char>(digit) % 16];
  return text;
}

}  // namespace hawse
