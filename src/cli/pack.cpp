// SPDX-License-Identifier: Apache-2.0
//
// `hawse pack`: makes an image of each Python node that runs in a container, with everything in it, and a manifest that names these images by the digests that a
// registry has them under, or by their ids.
// That manifest runs as it stands, also where the nodes' code and packages are gone from the host.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

#include "base/error.hpp"
#include "base/files.hpp"
#include "cli/commands.hpp"
#include "cli/environments.hpp"
#include "cli/pipeline_options.hpp"
#include "cli/sessions.hpp"
#include "executor/container/pack.hpp"
#include "pipeline/findings.hpp"
#include "pipeline/value.hpp"
#include "runtime/messages.hpp"

namespace hawse::cli {
namespace {

using pipeline::ordered_json;
using pipeline::Value;

struct Options {
  std::string out, tag;
  Show show;
  bool locked = false;
};

// A number stays as it was written where that matters: Python 3.10 is text.
ordered_json ordered(const Value& value, const std::string& key = "") {
  switch (value.kind) {
    case Value::Kind::null: return nullptr;
    case Value::Kind::boolean: return value.boolean;
    case Value::Kind::integer: return value.integer;
    case Value::Kind::real: return key == "python" || key == "version" ? ordered_json(value.text) : ordered_json(value.real);
    case Value::Kind::text: return value.text;
    case Value::Kind::list: {
      ordered_json list = ordered_json::array();
      for (const auto& item : value.items) list.push_back(ordered(item));
      return list;
    }
    case Value::Kind::map: break;
  }
  ordered_json map = ordered_json::object();
  for (const auto& entry : value.entries) map[entry.key] = ordered(entry.value, entry.key);
  return map;
}

std::string end(const pipeline::End& end) { return end.node + "." + end.port; }

// A class in an image shows no ports, so every edge names both of its own.
void spell_out_edges(ordered_json& manifest, const pipeline::Pipeline& pipeline) {
  ordered_json edges = ordered_json::array(), inputs = ordered_json::object(), outputs = ordered_json::object();
  for (const auto& edge : pipeline.edges) {
    ordered_json settings{{"queue", edge.queue}, {"when_full", runtime::name_of(edge.when_full)}};
    if (edge.from.node == pipeline::kApplication) {
      ordered_json& input = inputs[edge.from.port];
      if (input.is_null()) input = settings;
      input["to"].push_back(end(edge.to));
    } else if (edge.to.node == pipeline::kApplication) {
      ordered_json& output = outputs[edge.to.port];
      if (output.is_null()) output = settings;
      output["from"].push_back(end(edge.from));
    } else {
      settings["from"] = end(edge.from);
      settings["to"] = end(edge.to);
      if (edge.feedback) settings["feedback"] = true;
      edges.push_back(settings);
    }
  }
  manifest["edges"] = edges;
  if (!inputs.empty()) manifest["inputs"] = inputs;
  if (!outputs.empty()) manifest["outputs"] = outputs;
}

std::string packed_manifest(const pipeline::Pipeline& pipeline, const std::map<std::string, executor::PackedNode>& packed) {
  pipeline::Findings findings(pipeline.file.string());
  const auto text = pipeline::read_yaml(read_file(pipeline.file), findings);
  if (!text) throw Error(ErrorCode::manifest, "read " + pipeline.file.string(), "it has changed since it was loaded");
  ordered_json manifest = ordered(*text);
  manifest["name"] = pipeline.name;
  for (const auto& [id, node] : packed) {
    ordered_json& entry = manifest["nodes"][id];
    entry["node"] = node.reference;
    entry["executor"] = "container";
    entry.erase("python");
    ordered_json& container = entry["container"];
    if (!container.is_object()) container = ordered_json::object();
    for (const char* key : {"python", "packages", "apt"}) container.erase(key);
    container["image"] = node.image;
  }
  spell_out_edges(manifest, pipeline);
  return manifest.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

int pack(pipeline::Pipeline pipeline, const Options& options) {
  if (const int code = make_environments(pipeline, options.locked, {.quiet = options.show.quiet || options.show.json}); code != 0) return code;
  std::map<std::string, executor::PackedNode> packed;
  std::mutex mutex;
  const OnRequest request;
  const int code = for_each_environment(pipeline, options.show, request, [&](const pipeline::Node& node, const executor::Report& report) -> NodeOutcome {
    if (!executor::can_be_packed(node)) return std::string("not packed: only Python nodes in containers are");
    const std::string tag = (options.tag.empty() ? "hawse/pack:" + pipeline.name : options.tag) + "-" + node.id;
    auto one = executor::pack_node(node, tag, report, request.making);
    NodeOutcome done(fmt::format("{} ({})", tag, one.image.substr(0, one.image.find("sha256:") + std::string("sha256:").size() + 12)), {{"image", one.image}, {"tag", tag}, {"bytes", one.bytes}});
    const std::lock_guard guard(mutex);
    packed[node.id] = std::move(one);
    return done;
  });
  if (code != 0) return code;
  if (packed.empty())
    throw Error(ErrorCode::usage, "pack " + pipeline.file.string(), "it has no Python node that runs in a container", "executor: container, or --executor container");
  const std::filesystem::path out = options.out.empty() ? pipeline.file.parent_path() / (pipeline.file.stem().string() + ".packed.json") : std::filesystem::path(options.out);
  write_file(out, packed_manifest(pipeline, packed));
  if (options.show.json) fmt::print("{}\n", to_line({{"manifest", out.string()}}));
  else if (!options.show.quiet) fmt::print("{}\n", out.string());
  const bool local = std::ranges::any_of(packed, [](const auto& each) { return each.second.image.starts_with("sha256:"); });
  if (local && !options.show.quiet && !options.show.json)
    fmt::print("it names images by ids that only this machine's engine knows. For other machines: docker push them (--tag REGISTRY/NAME:TAG) and pack again, so that it names what the registry "
               "has; or docker save and docker load, which keep the ids\n");
  return 0;
}

}  // namespace

void add_pack(CLI::App& app, Result& result) {
  auto* command = app.add_subcommand("pack", "Make images with everything in them, and a manifest that names them by their digests");
  command->footer("Examples:\n  hawse pack captions.yaml                       writes captions.packed.json\n  hawse pack captions.yaml --locked --tag registry.example/captions:1.4");
  auto pipeline = std::make_shared<PipelineOptions>(*command);
  auto options = std::make_shared<Options>();
  command->add_option("-o,--output", options->out, "The manifest to write (beside the pipeline unless given; paths in it are relative to it)")->type_name("FILE");
  command->add_option("--tag", options->tag, "Names of the images: a node's gets '-' and its id behind it (hawse/pack:PIPELINE unless given)")->type_name("NAME:TAG");
  command->add_flag("--locked", options->locked, "Exactly what the lock file says (hawse lock)");
  options->show.add_to(*command);
  command->callback([pipeline, options, &result] { result.exit_code = pack(pipeline->load(), *options); });
}

}  // namespace hawse::cli
