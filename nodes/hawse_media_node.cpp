// SPDX-License-Identifier: Apache-2.0
//
// What hawse-node leaves to it: a stock node that loads a library, and what is none.
#include <cstdio>

#include "catalogue.hpp"

int main(int argc, char** argv) {
  const auto entries = hawse::nodes::catalogue();
  const auto* entry = argc == 2 ? hawse::nodes::find(entries, argv[1]) : nullptr;
  if (entry == nullptr) {
    std::fprintf(stderr, "hawse-node runs a stock node for `hawse run`: hawse-node NAME, one of");
    for (const auto& known : entries) std::fprintf(stderr, " %s", known.name.c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  return hawse::run_program(argc, argv, entry->make, entry->signature.c_str());
}
