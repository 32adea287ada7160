// SPDX-License-Identifier: Apache-2.0
//
// Puts an executor and a memory limit into the text of a manifest, YAML in block or flow style or JSON, and leaves every other byte as it is.
//
// Works on the text at the places that the manifest's own reader tells, and trusts nothing of that: the result is read again, and unless it differs from
// the old by exactly what was wanted, it is refused with the line and what to write there by hand. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::bench::advise {

struct NodeChange {
  std::string node;
  std::optional<pipeline::ExecutorKind> executor;
  std::optional<std::uint64_t> memory_bytes;  // the node must have no memory limit yet
};

struct ChangedLine {
  int line = 0;             // of the new text
  std::string before, after;  // before "": a line that was added
};

struct Edited {
  std::string text;
  std::vector<ChangedLine> lines;
};

// Throws Error(manifest) that names the line and what to write by hand.
Edited edit_manifest(std::string_view text, const std::vector<NodeChange>&);

// As it stands in a manifest: "256MiB".
std::string size_in_manifest(std::uint64_t bytes);

}  // namespace hawse::bench::advise
