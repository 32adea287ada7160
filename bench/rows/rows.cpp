// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/rows.hpp"

#include <algorithm>

#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/nodes/node_rows.hpp"
#include "bench/rows/plane/plane_rows.hpp"

namespace hawse::bench {

std::vector<RowSpec> all_rows() {
  std::vector<RowSpec> rows;
  add_life_rows(rows);
  add_plane_rows(rows);
  add_node_rows(rows);
  // The command's first frame is a row of the starts; dora's is measured by what measures dora.
  const auto first_frame = std::find_if(rows.begin(), rows.end(), [](const RowSpec& row) { return row.row.id == "start/first-frame"; });
  if (first_frame != rows.end()) add_dora_first_frame(*first_frame);
  // Rows of one group stand together, in the order in which the groups come first.
  std::vector<std::string> groups;
  for (const RowSpec& row : rows)
    if (std::find(groups.begin(), groups.end(), row.row.group) == groups.end()) groups.push_back(row.row.group);
  std::stable_sort(rows.begin(), rows.end(), [&](const RowSpec& a, const RowSpec& b) {
    return std::find(groups.begin(), groups.end(), a.row.group) < std::find(groups.begin(), groups.end(), b.row.group);
  });
  return rows;
}

}  // namespace hawse::bench
