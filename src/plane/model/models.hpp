// SPDX-License-Identifier: Apache-2.0
//
// The models, and how far each is searched.
#pragma once

#include <vector>

#include "plane/model/explorer.hpp"

namespace hawse::plane {

struct Searched {
  model::Maker maker;
  unsigned switches, long_switches;  // 0: no bound
  unsigned mutant_switches;          // where a mutation is to be caught
};
std::vector<Searched> models();

}  // namespace hawse::plane
