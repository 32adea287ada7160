// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/nodes/node_rows.hpp"

#include <utility>

#include "bench/rows/nodes/live_pipeline.hpp"
#include "bench/rows/nodes/python_peers.hpp"
#include "bench/rows/nodes/row_groups.hpp"

namespace hawse::bench {

void add_node_rows(std::vector<RowSpec>& rows) {
  add_python_rows(rows);
  add_container_rows(rows);
  add_chain_row(rows);
}

void add_dora_first_frame(RowSpec& row) {
  row.series.push_back({.key = "dora", .variant = "", .role = Role::peer, .unit = "ns", .wait = Wait::none, .payload = Payload::none, .x = {}, .x_name = "", .phase_of = ""});
  row.measure = [measure = std::move(row.measure)](Pass& pass) {
    measure(pass);
    pass.measure("dora", [&] {
      const DoraFirstFrame first = dora_first_frame(lay_out_nodes(pass.folder()), pass.folder() + "/dora-first-frame");
      pass.version("dora", first.versions);
      return std::vector<float>{first.after_ns};
    });
  };
}

}  // namespace hawse::bench
