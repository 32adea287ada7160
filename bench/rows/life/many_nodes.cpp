// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/life/many_nodes.hpp"

#include "base/files.hpp"

namespace hawse::bench::life {

using nlohmann::json;

namespace {

pipeline::Pipeline written(Pass& pass, const json& manifest) {
  const auto file = scenario(pass, "bare.py").parent_path() / "many.json";
  write_file(file, manifest.dump());
  return load_pipeline(file);
}

json named(unsigned count, const json& node, json& ids) {
  json nodes = json::object();
  for (unsigned i = 0; i < count; ++i) {
    nodes[nth(i)] = node;
    ids.push_back(nth(i));
  }
  return nodes;
}

}  // namespace

std::string nth(unsigned number) { return "n" + std::to_string(number); }

pipeline::Pipeline many_sources(Pass& pass, unsigned count, const json& node) {
  json ids = json::array();
  json nodes = named(count, node, ids);
  nodes["sink"] = {{"node", "test/sink"}};
  return written(pass, {{"version", 1}, {"name", "many"}, {"nodes", nodes}, {"edges", {{{"from", ids}, {"to", "sink"}}}}});
}

pipeline::Pipeline many_waiting(Pass& pass, unsigned count, const json& node) {
  json ids = json::array();
  json nodes = named(count, node, ids);
  nodes["source"] = {{"node", "test/source"}, {"params", {{"count", 0}, {"rate_hz", 0.001}}}};
  return written(pass, {{"version", 1}, {"name", "many"}, {"nodes", nodes}, {"edges", {{{"from", "source"}, {"to", ids}}}}});
}

pipeline::Pipeline fed_once(Pass& pass, const json& node) {
  const json source = {{"node", "test/source"}, {"params", {{"count", 1}}}};
  return written(pass, {{"version", 1}, {"name", "one"}, {"nodes", {{"source", source}, {"node", node}}}, {"edges", {"source -> node"}}});
}

}  // namespace hawse::bench::life
