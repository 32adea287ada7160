// SPDX-License-Identifier: Apache-2.0
//
// The groups that node_rows.cpp puts together, and what they share.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "bench/core/row.hpp"

namespace hawse::bench {

void add_python_rows(std::vector<RowSpec>&);
void add_container_rows(std::vector<RowSpec>&);
void add_chain_row(std::vector<RowSpec>&);

// What the series are measured with, made by make() (a unique_ptr). Where that isn't possible each series says why and there is none; none too where nobody wants them.
template <class Make>
auto made_for(Pass& pass, std::initializer_list<std::string> keys, Make make) -> decltype(make()) {
  bool wanted = false;
  for (const auto& key : keys) wanted = wanted || pass.wants(key);
  if (!wanted) return nullptr;
  pass.progress("starts " + *keys.begin());
  try {
    return make();
  } catch (const Unavailable& error) {
    for (const auto& key : keys) pass.missing(key, error.what());
    return nullptr;
  }
}

}  // namespace hawse::bench
