// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/life/row_parts.hpp"

#include "base/error.hpp"
#include "bench/rows/life/life_rows.hpp"

namespace hawse::bench::life {

std::shared_ptr<const executor::Engine> engine_or_unavailable() {
  try {
    return std::make_shared<const executor::Engine>();
  } catch (const Error& error) {
    throw Unavailable("no container engine answers: " + error.context());
  }
}

std::vector<float> repeated(std::size_t samples, const std::function<double()>& take) {
  std::vector<float> values;
  while (values.size() < samples) values.push_back(static_cast<float>(take()));
  return values;
}

nlohmann::json start_once(const pipeline::Pipeline& pipeline, const std::string& node) {
  LiveSession session(pipeline);
  nlohmann::json phases = session.phases_ms(node);
  session.finish_in_order();
  return phases;
}

double total_ns(const nlohmann::json& phases_ms) { return phases_ms.at("total").get<double>() * 1e6; }

}  // namespace hawse::bench::life

void hawse::bench::add_life_rows(std::vector<RowSpec>& rows) {
  life::add_start_rows(rows);
  life::add_process_start_rows(rows);
  life::add_container_start_rows(rows);
  life::add_footprint_rows(rows);
  life::add_growth_rows(rows);
  life::add_isolation_rows(rows);
  life::add_limit_rows(rows);
  life::add_environment_rows(rows);
}
