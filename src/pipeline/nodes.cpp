// SPDX-License-Identifier: Apache-2.0
//
// Nodes: fields, executor, and what a node takes along when it is moved to another executor.
//
// A section that the executor in force doesn't use is no error, so that one word moves a node: its packages go with it, and what is left
// aside is said in Node::note.
#include "pipeline/nodes.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "pipeline/fields.hpp"
#include "pipeline/params.hpp"
#include "pipeline/reference.hpp"

namespace hawse::pipeline {
namespace {

Mount read_mount(const std::string& text, const Value& value, Context& context) {
  const std::size_t colon = text.find(':');
  const std::size_t mode = text.find(':', colon + 1);
  Mount mount{resolve_path(text.substr(0, colon), value.from_command_line, context),
              text.substr(colon + 1, mode == std::string::npos ? mode : mode - colon - 1), text.ends_with(":rw")};
  if (!context.around.exists(mount.source))
    context.findings.add(value.at, "mounts: there is no '" + shortened(text.substr(0, colon)) + "'", "it was looked for at " + mount.source.string());
  for (const char* taken : {"/hawse", "/proc", "/sys", "/dev"})
    if (mount.target == taken || mount.target.starts_with(std::string(taken) + "/"))
      context.findings.add(value.at, "mounts: nothing can be mounted at '" + shortened(mount.target) + "'",
                           "choose a target outside " + std::string(taken));
  return mount;
}

ContainerOptions read_container(const Fields& fields, Context& context) {
  ContainerOptions options;
  options.image = fields.text("image");
  options.python = fields.text("python");
  options.packages = fields.texts("packages");
  options.apt = fields.texts("apt");
  options.network = fields.text("network");
  options.gpus = fields.text("gpus");
  options.user = fields.text("user");
  if (const Value* mounts = fields.find("mounts"))
    for (const Value& mount : mounts->items) options.mounts.push_back(read_mount(mount.text, mount, context));
  return options;
}

constexpr std::uint64_t kLeastMemoryBytes = 6 << 20;  // as memory: itself needs

// An arena that counts as the node's memory must leave it some.
void check_arena(const Limits& limits, const Fields& fields, Findings& findings) {
  if (!limits.memory_bytes) {
    findings.add(fields.at("arena_of"), fields.where() + ": arena_of: node counts the arena within memory:, and there is none", "give memory:, or leave arena_of: out");
  } else if (limits.arena_bytes + kLeastMemoryBytes > *limits.memory_bytes) {
    const bool given = fields.find("arena") != nullptr;
    findings.add(fields.at(given ? "arena" : "memory"),
                 fields.where() + ": its arena (" + format_bytes(limits.arena_bytes) + (given ? "" : ", as arena: isn't given") + ") doesn't fit its memory (" + format_bytes(*limits.memory_bytes) +
                     "), which must hold it and " + format_bytes(kLeastMemoryBytes) + " at least",
                 "a smaller arena:, or memory: from " + format_bytes(limits.arena_bytes + kLeastMemoryBytes) + " on, or leave arena_of: out");
  }
}

Limits read_limits(const Fields& fields, Findings& findings) {
  Limits limits;
  if (fields.find("memory")) limits.memory_bytes = fields.bytes("memory");
  if (fields.find("cpus")) limits.cpus = fields.number("cpus");
  if (fields.find("pids")) limits.pids = static_cast<std::uint64_t>(fields.integer("pids"));
  if (fields.find("shm")) limits.shm_bytes = fields.bytes("shm");
  if (fields.find("file")) limits.file_bytes = fields.bytes("file");
  limits.arena_bytes = fields.bytes("arena");
  limits.arena_in_memory = fields.text("arena_of") == "node";
  if (limits.arena_in_memory) check_arena(limits, fields, findings);
  return limits;
}

std::optional<Match> read_match(const Fields& fields, Context& context) {
  if (fields.text("match") == "timestamp")
    return Match{fields.duration_ns("tolerance"), fields.duration_ns("wait"), static_cast<std::uint32_t>(fields.integer("hold"))};
  for (const char* key : {"tolerance", "wait", "hold"})
    if (fields.find(key))
      context.findings.add(fields.at(key), "'" + std::string(key) + "' in " + fields.where() + " has no meaning without match", "add 'match: timestamp'");
  return std::nullopt;
}

Restart read_restart(const Fields& fields) {
  Restart restart;
  restart.on = fields.text("on") == "failure" ? RestartOn::failure : RestartOn::never;
  restart.attempts = static_cast<unsigned>(fields.integer("attempts"));
  restart.backoff_ns = fields.duration_ns("backoff");
  restart.forget_after_ns = fields.duration_ns("forget_after");
  restart.poison_after = static_cast<unsigned>(fields.integer("poison_after"));
  return restart;
}

// `--executor kind` moves the user's nodes, and stock nodes that a container holds; `--executor id=kind` wins over it.
void apply_flags(Node* node, bool* by_flag, const LoadOptions& options) {
  for (const bool named : {false, true})
    for (const auto& [id, kind] : options.executors) {
      if (named ? id != node->id : !id.empty()) continue;
      if (!named && node->kind == NodeKind::stock && node->executor != ExecutorKind::container) continue;
      node->executor = kind;
      *by_flag = true;
    }
  for (const auto& [id, variable] : options.env)
    if (id.empty() || id == node->id) node->env[variable.first] = variable.second;
}

void check_executor(const Node& node, Position at, bool by_flag, Context& context) {
  if (node.executor != ExecutorKind::thread || node.kind == NodeKind::stock) return;
  const std::string what = "node '" + node.id + "' can't run as a thread: " + (node.kind == NodeKind::python ? "it is Python" : "it is a program");
  const std::string hint = "only stock nodes run as threads; use process or container";
  by_flag ? context.findings.add_flag("--executor: " + what, hint) : context.findings.add(at, what, hint);
}

// What waits or is shared is a process that forks the node.
void check_warm(const Node& node, const Fields& fields, const std::string& where, Findings& findings) {
  for (const auto& [key, wanted] : {std::pair{"pool", node.pool > 0}, std::pair{"share", node.share}}) {
    if (!wanted) continue;
    if (node.kind != NodeKind::python) {
      findings.add(fields.at(key),
                   std::string(key) + ": has no meaning for " + where + ": it is " + (node.kind == NodeKind::stock ? "a stock node" : "a program") +
                       ", written in C++",
                   "remove it: it is for Python nodes");
    } else if (!node.fork) {
      findings.add(fields.at(key),
                   std::string(key) + ": and fork: false can't go together in " + where + ": what waits is a process that forks the node",
                   "remove one of them");
    }
  }
  if (node.pool > 0 && node.executor == ExecutorKind::process && node.limits.file_bytes)
    findings.add(fields.at("pool"), "pool: and limits: file: can't go together in " + where + " as a process: that limit holds from a process's first moment or not at all",
                 "remove one of them, or executor: container");
  if (node.pool > 0 && node.share)
    findings.add(fields.at("pool"), "pool: has no meaning beside share: true in " + where + ": there is but one container", "remove one of them");
}

// Packages and Python version of the executor in force; from the other's section where its own is absent.
void take_along(Node* node, bool has_container, bool has_python) {
  if (node->executor == ExecutorKind::container) {
    node->packages = has_container || !has_python ? node->container.packages : node->python.packages;
    if (node->container.python.empty() && node->container.image.empty()) node->container.python = node->python.version;
    return;
  }
  node->packages = has_python || !has_container ? node->python.packages : node->container.packages;
}

// What the manifest says and the executor in force can't heed.
std::string left_aside(const Node& node) {
  if (node.executor == ExecutorKind::container) return "";
  const ContainerOptions& container = node.container;
  const ContainerOptions plain;
  std::vector<std::string> aside, keys;
  if (node.kind != NodeKind::stock && !container.python.empty() && node.python.version.empty())
    aside.push_back("Python " + container.python + " (it gets the host's; python: {version: ...} chooses another)");
  if (!container.image.empty()) aside.push_back("image " + container.image);
  if (!container.apt.empty()) aside.push_back("Debian packages " + join(container.apt));
  if (!container.mounts.empty()) aside.push_back("mounts");
  if (container.network != plain.network) aside.push_back("network " + container.network);
  if (!container.gpus.empty()) aside.push_back("gpus " + container.gpus);
  if (container.user != plain.user) aside.push_back("user " + container.user);

  const bool thread = node.executor == ExecutorKind::thread;
  const Limits& limits = node.limits;
  for (const auto& [key, given] : {std::pair{"memory", limits.memory_bytes.has_value()}, std::pair{"cpus", limits.cpus.has_value()}, std::pair{"pids", limits.pids.has_value()},
                                   std::pair{"file", limits.file_bytes.has_value()}})
    if (given && thread) keys.push_back(std::string("limits: ") + key);
  if (limits.shm_bytes) keys.push_back("limits: shm");
  if (!node.env.empty() && thread) keys.push_back("env");
  if (node.share) keys.push_back("share");
  if (aside.empty() && keys.empty()) return "";
  return "as a " + std::string(to_string(node.executor)) + " it runs without " + (aside.empty() ? "" : "what container: says about " + join(aside, "; ")) +
         (aside.empty() || keys.empty() ? "" : ", and without ") + join(keys);
}

Node read_node(const Value::Entry& entry, Context& context) {
  const std::string where = "node '" + shortened(entry.key) + "'";
  Node node;
  node.id = entry.key;
  node.file = context.findings.file();
  node.at = entry.key_at;
  const Fields fields(&entry.value, entry.key_at, section("node"), where, context.findings);
  const auto below = [&](const char* name) {
    return Fields(fields.find(name), fields.at(name), section(name), std::string(name) + ": of " + where, context.findings);
  };

  ExecutorKind executor = ExecutorKind::process;
  const Value* reference = fields.find("node");
  node.signature = open_signature();
  const bool known = reference != nullptr && resolve_reference(*reference, &node, &executor, context);
  if (known) node.params = check_params(fields.find("params"), fields.at("params"), node.signature, where, context);
  node.container = read_container(below("container"), context);
  const Fields python = below("python");
  node.python = {python.text("version"), python.texts("packages")};
  node.match = read_match(below("inputs"), context);
  node.match_at = fields.at("inputs");
  node.limits = read_limits(below("limits"), context.findings);
  node.restart = read_restart(below("restart"));
  node.env = fields.environment("env");
  node.fork = fields.flag("fork");
  node.pool = static_cast<unsigned>(fields.integer("pool"));
  node.share = fields.flag("share");
  node.start_timeout_ns = fields.duration_ns("start_timeout");
  node.hang_timeout_ns = fields.duration_ns("hang_timeout");
  node.spin_ns = fields.duration_ns("spin");

  node.executor = fields.find("executor") ? executor_kind(fields.text("executor")).value_or(ExecutorKind::process) : executor;
  bool by_flag = false;
  apply_flags(&node, &by_flag, context.options);
  if (known) check_executor(node, fields.at("executor"), by_flag, context);
  if (known) check_warm(node, fields, where, context.findings);
  if (known && node.kind == NodeKind::stock && fields.find("python"))
    context.findings.add(fields.at("python"), where + " is a stock node, written in C++: python: has no meaning for it", "remove it");
  take_along(&node, fields.find("container") != nullptr, fields.find("python") != nullptr);
  node.note = left_aside(node);
  return node;
}

void check_flags(const std::vector<Node>& nodes, Context& context) {
  std::vector<std::string> ids;
  for (const Node& node : nodes) ids.push_back(node.id);
  const auto check = [&](const char* flag, const std::string& id) {
    if (!id.empty() && std::find(ids.begin(), ids.end(), id) == ids.end())
      context.findings.add_flag(std::string(flag) + " " + id + "=...: there is no node '" + id + "'", did_you_mean_or_list(id, ids, "nodes"));
  };
  for (const auto& [id, kind] : context.options.executors) check("--executor", id);
  for (const auto& [id, variable] : context.options.env) check("--env", id);
}

}  // namespace

std::vector<Node> read_nodes(const Value& nodes, Context& context) {
  std::vector<Node> list;
  if (nodes.entries.empty()) context.findings.add(nodes.at, "there are no nodes", "a pipeline has at least one");
  for (const Value::Entry& entry : nodes.entries) {
    if (!is_id(entry.key)) context.findings.add(entry.key_at, "'" + shortened(entry.key) + "' can't be a node's id", kIdSays);
    if (entry.key == kApplication)
      context.findings.add(entry.key_at, "'application' is the program that embeds the pipeline: no node can have that id", "choose another id");
    list.push_back(read_node(entry, context));
  }
  check_flags(list, context);
  return list;
}

}  // namespace hawse::pipeline
