// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer: any bytes as a node's control message, with any number of descriptors. It is refused, or is an object with a type and came alone.
#include <cstdlib>

#include "base/error.hpp"
#include "runtime/messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    const auto message = hawse::runtime::parse_node_message({reinterpret_cast<const char*>(data + 1), size - 1}, data[0] % 8);
    if (data[0] % 8 != 0 || !message.at("type").is_string()) std::abort();
  } catch (const hawse::Error&) {
    // refused
  }
  return 0;
}
