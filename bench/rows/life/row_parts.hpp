// SPDX-License-Identifier: Apache-2.0
//
// What declares a row in few words, and what several of these rows do alike.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/core/row.hpp"
#include "bench/rows/life/live_session.hpp"
#include "executor/container/engine.hpp"

namespace hawse::bench::life {

inline SeriesSpec series(std::string key, Role role = Role::ours, std::string unit = "ns") {
  SeriesSpec spec;
  spec.key = std::move(key);
  spec.role = role;
  spec.unit = std::move(unit);
  return spec;
}
inline SeriesSpec phase(std::string key, std::string of) {
  SeriesSpec spec = series(std::move(key));
  spec.phase_of = std::move(of);
  return spec;
}
inline SeriesSpec at(std::string key, std::string variant, double x, std::string x_name, Role role = Role::ours) {
  SeriesSpec spec = series(std::move(key), role);
  spec.variant = std::move(variant);
  spec.x = x;
  spec.x_name = std::move(x_name);
  return spec;
}

// `limit` is in the series' unit, or the factor of `against`.
inline Target at_most(std::string text, std::string of, double limit, std::string against = "") {
  Target target;
  target.text = std::move(text);
  target.of = std::move(of);
  target.limit = limit;
  target.against = std::move(against);
  return target;
}

inline RowSpec row(std::string id, std::string group, std::string title, std::string measured) {
  RowSpec spec;
  spec.row.id = std::move(id);
  spec.row.group = std::move(group);
  spec.row.title = std::move(title);
  spec.row.measured = std::move(measured);
  return spec;
}

inline constexpr const char* kStartUp = "Start-up";
inline constexpr const char* kGrowth = "Growth";

// The engine, or the reason why rows with containers have no figure.
std::shared_ptr<const executor::Engine> engine_or_unavailable();

// `take` as often as asked for, each a sample.
std::vector<float> repeated(std::size_t samples, const std::function<double()>& take);

// Starts the pipeline, lets it run to its end; the phases of `node`'s start in ms (docs/events.md).
nlohmann::json start_once(const pipeline::Pipeline&, const std::string& node = "node");
double total_ns(const nlohmann::json& phases_ms);

}  // namespace hawse::bench::life
