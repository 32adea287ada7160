// SPDX-License-Identifier: Apache-2.0
//
// hawse-node NAME: runs one stock node as a process of its own, over the socket that the runtime gave it. It is linked statically, which halves its start, and so
// can't load FFmpeg's libraries: who needs those becomes hawse-media-node, which lies beside it.
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "catalogue.hpp"

int main(int argc, char** argv) {
  const auto entries = hawse::nodes::self_contained();
  if (const auto* entry = argc == 2 ? hawse::nodes::find(entries, argv[1]) : nullptr) return hawse::run_program(argc, argv, entry->make, entry->signature.c_str());
  const auto other = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "hawse-media-node";
  ::execv(other.c_str(), argv);
  std::perror(other.c_str());
  return 2;
}
