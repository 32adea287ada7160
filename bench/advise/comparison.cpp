// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.hpp"
#include "base/text.hpp"
#include "bench/advise/facts.hpp"
#include "embed/stock.hpp"
#include "executor/container/engine.hpp"
#include "executor/python/interpreter.hpp"

namespace hawse::bench::advise {
namespace {

using pipeline::Node;
using pipeline::NodeKind;
using pipeline::Pipeline;

const char* in_words(ExecutorKind kind) { return kind == ExecutorKind::container ? "in containers" : "as processes"; }

Lack lack_of(const Measurement& measurement, const NodeRun& run) {
  if (measurement.failure == ErrorCode::engine) return Lack::engine;
  return run.starts == 0 && measurement.failure == ErrorCode::environment ? Lack::environment : Lack::failed;
}

// The figures of a node under one executor, run by run.
class Collected {
 public:
  void give_up(Lack lack, std::string why) {
    figures_.lack = lack;
    figures_.why_not = std::move(why);
    gave_up_ = true;
  }
  bool gave_up() const noexcept { return gave_up_; }

  void add(const NodeRun& run, double seconds, bool source) {
    NodeFigures& f = figures_;
    f.lack = Lack::none;
    f.start_ms = f.runs == 0 ? run.start_ms : std::min(f.start_ms, run.start_ms);
    const double n = f.runs++;
    const auto mean = [n](double& so_far, double one) { so_far = (so_far * n + one) / (n + 1); };
    if (run.work_p50_ns > 0) works_.push_back(run.work_p50_ns);
    mean(f.work_p50_ns, run.work_p50_ns);
    mean(f.work_p99_ns, run.work_p99_ns);
    mean(f.wait_p50_ns, run.wait_p50_ns);
    mean(f.wait_p99_ns, run.wait_p99_ns);
    mean(f.cpus, run.cpus);
    mean(f.life_s, run.life_s);
    f.cpus_peak = std::max(f.cpus_peak, run.cpus_peak);
    f.memory_peak_bytes = std::max(f.memory_peak_bytes, run.memory_peak_bytes);
    f.frames += source ? run.frames_out : run.frames_in;
    f.seconds += seconds;
    f.starts += run.starts;
    f.environment = run.environment;
    if (run.out_of_memory) f.failure = run.failure;
  }

  NodeFigures take() {
    if (works_.size() > 1) {
      const auto [low, high] = std::ranges::minmax(works_);
      figures_.spread = high / low - 1;
    }
    return figures_;
  }

 private:
  NodeFigures figures_;
  std::vector<double> works_;
  bool gave_up_ = false;
};

class Campaign {
 public:
  Campaign(const ComparisonOptions& options, Runner& runner) : options_(options), runner_(runner), as_written_(load({})) {
    if (!as_written_.inputs.empty() || !as_written_.outputs.empty())
      throw Error(ErrorCode::usage, "advise " + as_written_.name, "it has inputs or outputs for an application, and advise runs it by itself",
                  "give it a source and a sink of its own for this");
    for (const auto& id : options.nodes) check_known(id);
    for (const auto& node : as_written_.nodes)
      if (node.kind != NodeKind::stock && asked_for(node.id)) movable_.push_back(&node);
  }

  Comparison run() {
    Comparison comparison{.pipeline = as_written_.name, .file = as_written_.file, .seconds = options_.seconds / 2, .nodes = {}, .conflicts = {}, .redirected = {}, .changed = {}, .no_engine = find_engine()};
    rule_out_containers(comparison.no_engine);
    const LeftAlone left_alone(as_written_);
    if (!movable_.empty())
      for (const auto kind : {ExecutorKind::process, ExecutorKind::container, ExecutorKind::container, ExecutorKind::process}) measure(kind, comparison);
    comparison.changed = left_alone.changed();
    conclude(comparison);
    return comparison;
  }

 private:
  Pipeline load(std::vector<std::pair<std::string, ExecutorKind>> executors) const {
    pipeline::LoadOptions load = options_.load;
    for (auto& one : executors) load.executors.push_back(std::move(one));
    return pipeline::load(options_.file, load, pipeline::real_surroundings(embed::stock_nodes()));
  }
  bool asked_for(const std::string& id) const { return options_.nodes.empty() || std::ranges::find(options_.nodes, id) != options_.nodes.end(); }
  void check_known(const std::string& id) const {
    if (as_written_.find(id) != nullptr) return;
    std::vector<std::string> ids;
    for (const auto& node : as_written_.nodes) ids.push_back(node.id);
    const std::string near = nearest(id, ids);
    throw Error(ErrorCode::usage, "--node", "there is no node '" + id + "'", near.empty() ? "" : "did you mean '" + near + "'?");
  }

  static std::string find_engine() {
    try {
      const executor::Engine engine;
      return "";
    } catch (const Error& error) {
      return error.context().empty() ? error.operation() : error.operation() + ": " + error.context();
    }
  }

  void rule_out_containers(const std::string& no_engine) {
    for (const Node* node : movable_) {
      if (!no_engine.empty()) of(node->id, ExecutorKind::container).give_up(Lack::engine, "no engine answers here (" + no_engine + ")");
      else if (const std::string why = why_not_in_container(*node); !why.empty()) of(node->id, ExecutorKind::container).give_up(Lack::not_tried, why);
    }
  }

  bool moves(const std::string& id) const { return std::ranges::find(movable_, id, &Node::id) != movable_.end(); }
  Collected& of(const std::string& node, ExecutorKind kind) { return collected_[{node, kind}]; }
  bool is_source(const std::string& node) const {
    return std::ranges::none_of(as_written_.edges, [&](const auto& edge) { return edge.to.node == node; });
  }

  // Where each node that moves runs this time: where it is wanted, unless it can't; then the other way round, and if that can't be, either, as written.
  std::vector<std::pair<std::string, ExecutorKind>> placed(ExecutorKind wanted) {
    const auto other = wanted == ExecutorKind::process ? ExecutorKind::container : ExecutorKind::process;
    std::vector<std::pair<std::string, ExecutorKind>> executors;
    for (const Node* node : movable_)
      executors.emplace_back(node->id, !of(node->id, wanted).gave_up() ? wanted : !of(node->id, other).gave_up() ? other : node->executor);
    return executors;
  }

  void measure(ExecutorKind kind, Comparison& comparison) {
    for (;;) {
      const auto where = placed(kind);
      if (std::ranges::none_of(where, [kind](const auto& one) { return one.second == kind; })) return;
      Pipeline pipeline = load(where);
      const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-advise-");
      comparison.redirected = redirect_outputs(pipeline, folder.path());
      runner_.throw_if_interrupted();
      if (options_.say) options_.say(fmt::format("{} for {} {}", as_written_.name, format_duration_ns(static_cast<std::int64_t>(comparison.seconds * 1e9)), in_words(kind)));
      const Measurement measurement = runner_.run(std::move(pipeline), comparison.seconds);
      if (keep(measurement, kind)) return;
    }
  }

  // false: a node can't be where it was put; once more without it.
  bool keep(const Measurement& measurement, ExecutorKind kind) {
    bool again = false, somebody = false;
    for (const auto& [id, run] : measurement.nodes) {
      if (!run.failed || run.out_of_memory) continue;
      somebody = true;
      if (!moves(id))
        throw Error(ErrorCode::node, "advise " + as_written_.name, id + " " + run.failure, "`hawse run` must come to its end before advice can be given");
      Collected& collected = of(id, run.executor);
      if (collected.gave_up()) continue;
      collected.give_up(lack_of(measurement, run), run.failure);
      again = true;
    }
    if (again) return false;
    if (!measurement.started && !somebody) throw Error(measurement.failure.value_or(ErrorCode::internal), "advise " + as_written_.name, measurement.reason);
    if (!measurement.started) throw_hopeless(measurement);
    for (const auto& [id, run] : measurement.nodes)
      if (run.executor == kind && !of(id, kind).gave_up()) of(id, kind).add(run, measurement.seconds, is_source(id));
    return true;
  }

  // A node that starts nowhere keeps all others from running.
  [[noreturn]] void throw_hopeless(const Measurement& measurement) {
    for (const auto& [id, run] : measurement.nodes)
      if (run.failed)
        throw Error(measurement.failure.value_or(ErrorCode::node), "advise " + as_written_.name, fmt::format("{} starts neither as a process nor in a container: {}", id, run.failure),
                    "`hawse run` must come to its end before advice can be given");
    throw Error(ErrorCode::internal, "advise " + as_written_.name, measurement.reason);
  }

  std::string host_python() const {
    try {
      return executor::find_python("").version;
    } catch (const Error&) {
      return "";
    }
  }

  void conclude(Comparison& comparison) {
    const std::string python = host_python();
    std::vector<Environment> environments;
    for (const auto& node : as_written_.nodes) {
      if (!asked_for(node.id)) continue;
      NodeComparison one{.facts = facts_of(node, as_written_, python), .process = of(node.id, ExecutorKind::process).take(), .container = of(node.id, ExecutorKind::container).take(), .advice = {}};
      if (node.kind == NodeKind::python)
        environments.push_back({.node = node.id, .text = one.process.ran() ? one.process.environment : one.container.environment,
                                .wants_python = !node.container.python.empty() ? node.container.python : node.python.version, .packages = node.packages, .apt = node.container.apt});
      comparison.nodes.push_back(std::move(one));
    }
    comparison.conflicts = find_conflicts(environments, resolve_with_uv(python.substr(0, python.rfind('.'))));
    for (auto& one : comparison.nodes) {
      add_conflicts(comparison.conflicts, one.facts);
      one.advice = choose(one.facts, one.process, one.container);
    }
  }

  static void add_conflicts(const std::vector<Conflict>& conflicts, NodeFacts& facts) {
    for (const auto& conflict : conflicts) {
      const auto own = conflict.values.find(facts.id);
      if (own == conflict.values.end()) continue;
      for (const auto& [node, value] : conflict.values)
        if (value != own->second) facts.conflicts.push_back(fmt::format("{} {} here, {} in {}", conflict.what, own->second, value, node));
    }
  }

  const ComparisonOptions& options_;
  Runner& runner_;
  const Pipeline as_written_;
  std::vector<const Node*> movable_;  // into as_written_
  std::map<std::pair<std::string, ExecutorKind>, Collected> collected_;
};

}  // namespace

Comparison compare(const ComparisonOptions& options, Runner& runner) { return Campaign(options, runner).run(); }

}  // namespace hawse::bench::advise
