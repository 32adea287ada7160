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
  row.series.push_back({.key = "dora", .variant = "", .role = Role::peer, .unit = "ns", .wait = Wait::sleeping, .payload = Payload::untouched, .x = {}, .x_name = "", .phase_of = ""});
  row.measure = [measure = std::move(row.measure)](Pass& pass) {
    measure(pass);
    pass.measure("dora", [&] {
      const std::string nodes = lay_out_nodes(pass.folder());
      pass.version("dora", dora_packages().versions);
      return std::vector<float>{dora_first_frame_ns(nodes, pass.folder() + "/dora-first-frame")};
    });
  };
}

}  // namespace hawse::bench
