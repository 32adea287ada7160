// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer: its bytes are a program of honest steps and of a hostile peer's blows (siege.hpp), for a writer or for a reader.
#include "plane/siege.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hawse::plane;
  static const bool ready = [] {
    testing::GTEST_FLAG(break_on_failure) = true;  // what a test would report is a finding
    return true;
  }();
  if (!ready || size == 0) return 0;
  Choices choices(std::span(data, size));
  if (choices.below(2) == 0) {
    BesiegedWriter besieged;
    besiege(besieged, choices, size);
  } else {
    BesiegedReader besieged;
    besiege(besieged, choices, size);
  }
  return 0;
}
