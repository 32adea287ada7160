// SPDX-License-Identifier: Apache-2.0
//
// What would clash if nodes shared one interpreter: packages that resolve to different versions, Python versions, Debian packages; and whether one set of
// versions could serve all.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::bench::advise {

struct Conflict {
  std::string what;                           // "numpy", "Python", "Debian packages"
  std::map<std::string, std::string> values;  // node: its version
  std::string one_for_all;                    // what uv says of one environment for these nodes; "" where it has no say
};

struct Environment {
  std::string node, text;                    // "python 3.11.7, numpy 2.4.1 and 3 more"
  std::string wants_python;                  // as the manifest names it; "": none
  std::vector<std::string> packages, apt;    // requirements
};

using Versions = std::map<std::string, std::string>;

// All that these requirements bring along, resolved by uv for an interpreter of this version ("3.11").
struct Resolved {
  std::optional<Versions> versions;  // none: no solution, or uv couldn't be asked
  bool no_solution = false;
};
using Resolve = std::function<Resolved(const std::vector<std::string>& requirements)>;
Resolve resolve_with_uv(const std::string& python);

std::vector<Conflict> find_conflicts(const std::vector<Environment>&, const Resolve&);

}  // namespace hawse::bench::advise
