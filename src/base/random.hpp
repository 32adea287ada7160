// SPDX-License-Identifier: Apache-2.0
//
// Random bits from the kernel, in one system call. (std::random_device asks the processor what it can do each time it is made: in a virtual machine that takes 10 µs.)
// Errors: Error(system).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace hawse {

std::uint64_t random_bits();
std::string random_hex(std::size_t digits);

}  // namespace hawse
