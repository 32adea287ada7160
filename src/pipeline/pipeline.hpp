// SPDX-License-Identifier: Apache-2.0
//
// A manifest, read and checked: an immutable value that says everything a session needs to know, and load(), which makes it or throws
// one ManifestError with every finding. Pure: no threads, no I/O but the files that the manifest names, no user code is run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "plane/layout.hpp"
#include "plane/port.hpp"

namespace hawse::pipeline {

using nlohmann::json;
using nlohmann::ordered_json;

struct Position {
  int line = 0;    // from 1; 0: the whole file
  int column = 0;  // from 1
};

struct Finding {
  std::string file;  // "command line": a flag
  Position at;
  std::string message;  // what is wrong: "unknown key 'exectuor' in node 'speech'"
  std::string hint;     // what to do: "did you mean 'executor'?"
};
std::string to_string(const Finding&);  // "pipeline.yaml:12:5: message\n    hint"; without control characters

class ManifestError : public Error {
 public:
  explicit ManifestError(std::vector<Finding> findings);
  const std::vector<Finding>& findings() const noexcept { return findings_; }

 private:
  std::vector<Finding> findings_;
};

// ---- signatures: what a node takes and gives, however it is written ---------------------------------------------------
// One JSON form serves stock nodes (in their source), Python classes (read_source.py prints it), and C++ programs (ELF section ".hawse"):
//   {"doc": "...", "source": false,
//    "background": false,    nobody waits for its end: a run is over without it, and so is a node that has other inputs, too (hawse/timer)
//    "matched": false,       it can take a frame of every input at once (inputs: {match: ...}); null: not known
//    "inputs": {"audio": "audio", "hint": "text?"}, "outputs": {"out": "text|json"},
//                                                                              "any" is every type; "?": an input that may stay unconnected
//    "any_inputs": false, "any_outputs": false,                                ports that aren't listed are accepted, too
//    "params": {"threshold": {"type": "float", "default": 0.5, "required": false, "doc": "...", "choices": [...], "minimum": 0, "maximum": 1,
//                             "items": "int", "fields": {...}}},               type: bool int float str path list dict size duration none any, "int|str"
//    "any_params": false}
// A `path` is resolved by load() (URIs and "-" stay as they are). Minimum and maximum: of a size in bytes, of a duration in seconds,
// of text and lists their length. Object order is the order of ports: the parser keeps it (nlohmann::ordered_json).
struct PortType {
  std::vector<plane::FrameType> types;  // empty: any
};
struct Port {
  std::string name;
  PortType type;
  bool optional = false;  // an input that may stay unconnected
};
struct Signature {
  std::string doc;
  bool source = false, background = false;
  std::optional<bool> matched;        // nullopt: not known
  std::vector<Port> inputs, outputs;  // in declared order
  bool any_inputs = false, any_outputs = false, any_params = false;
  json params = json::object();
};
Signature parse_signature(std::string_view json_text);  // throws Error(internal) on a malformed one
Signature parse_signature(const ordered_json&);
Signature parse_signature(const json&);  // ports in the order of their names
std::string to_string(const PortType&);  // "audio", "text|json", "any"

// ---- the pipeline -------------------------------------------------------------------------------------------------------
enum class ExecutorKind { thread, process, container };
const char* to_string(ExecutorKind);
std::optional<ExecutorKind> executor_kind(std::string_view text);  // nullopt: there is none of that name

enum class NodeKind { stock, python, program };

struct Mount {
  std::filesystem::path source;  // absolute, on the host
  std::string target;            // absolute, in the container
  bool write = false;
};

struct ContainerOptions {
  std::string image;                  // "": from python
  std::string python;                 // "3.9"; "": the runtime's default
  std::vector<std::string> packages;  // requirement specifiers
  std::vector<std::string> apt;
  std::string network = "none";  // or bridge, host, or a network's name
  std::vector<Mount> mounts;
  std::string gpus;  // "": none, "all", a count, or a comma list of device ids
  std::string user = "65534:65534";
};

struct PythonOptions {
  std::string version;  // "": the host's python3
  std::vector<std::string> packages;
};

struct Limits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> cpus;
  std::optional<std::uint64_t> pids;
  std::optional<std::uint64_t> shm_bytes;  // a container's own /dev/shm; it has none otherwise
  std::optional<std::uint64_t> file_bytes;  // largest file that it may write
  std::uint64_t arena_bytes = 2ull << 30;  // over all output ports of the node
  bool arena_in_memory = false;            // the arena counts as the node's memory: that much less is left for the rest of it

  std::optional<std::uint64_t> own_memory_bytes() const {
    if (!memory_bytes || !arena_in_memory) return memory_bytes;
    return *memory_bytes - arena_bytes;
  }
};

enum class RestartOn { never, failure };

struct Restart {
  RestartOn on = RestartOn::never;
  unsigned attempts = 3;                  // starts in all, the first included
  std::int64_t backoff_ns = 100'000'000;  // doubles each time, at most 10 s
  std::int64_t forget_after_ns = 60'000'000'000;  // it ran so long: its failures no longer count
  unsigned poison_after = 3;              // deaths on one frame until that is set aside; 0: never
};

// Frames of all inputs that belong together are given to the node at once.
struct Match {
  std::int64_t tolerance_ns = 0;
  std::int64_t wait_ns = 0;
  std::uint32_t hold = 0;  // frames an input
};

struct Node {
  std::string id;
  std::string file;  // manifest it stands in
  Position at;
  NodeKind kind = NodeKind::stock;
  std::string reference;                          // as written: "media/source", "nodes.py:Speech", "./invert"
  std::string stock;                              // kind stock
  std::filesystem::path source_file;              // python from a file, or the program; absolute
  std::string module, class_name;                 // python
  std::vector<std::filesystem::path> code_files;  // python from a file: that file and the sibling modules that it imports; a program: itself; a module of a package: not known
  Signature signature;
  json params = json::object();  // checked, defaults not filled in
  ExecutorKind executor = ExecutorKind::thread;
  ContainerOptions container;
  PythonOptions python;
  std::vector<std::string> packages;  // those of the executor in force (a moved node takes its others along)
  std::optional<Match> match;
  Position match_at;
  bool background = false;  // the run doesn't wait for its end: it is such a source, or has none but such inputs
  Limits limits;
  Restart restart;
  std::map<std::string, std::string> env;
  bool fork = true;  // python: may be forked from a process that has its module imported
  unsigned pool = 0;   // python in a container: so many are kept started, imported and waiting for it
  bool share = false;  // python in a container: sessions whose node is alike in everything share its one container
  std::int64_t start_timeout_ns = 120'000'000'000;
  std::int64_t hang_timeout_ns = 0;  // 0: it is never ended for hanging
  std::int64_t spin_ns = 20'000;
  std::string note;  // what the executor in force leaves aside of the manifest; "": nothing. For check and run to show
};

// node == kApplication: the program that embeds the pipeline (top-level inputs: and outputs:).
inline constexpr const char* kApplication = "application";

struct End {
  std::string node, port;
};

struct Edge {
  End from, to;
  plane::FrameType type = plane::FrameType::none;  // none: not known before the run
  std::uint32_t queue = 8;
  plane::WhenFull when_full = plane::WhenFull::block;
  bool feedback = false;
  bool background = false;  // its reader has other inputs, and doesn't wait for this one's end
  Position at;
};

struct Pipeline {
  std::filesystem::path file;  // absolute
  std::string name;
  std::map<std::string, std::string> variables;
  std::vector<Node> nodes;  // in the manifest's order
  std::vector<Edge> edges;
  std::vector<std::string> inputs, outputs;  // names an application may use
  std::int64_t grace_ns = 5'000'000'000;     // between the request to stop and the kill

  const Node* find(const std::string& id) const;
};

struct StockNode {
  std::string name;
  Signature signature;
  ExecutorKind executor = ExecutorKind::thread;  // default
};

// What a Python file has, read from its source and never imported.
struct PythonFile {
  std::map<std::string, Signature> nodes;  // classes that derive from hawse.Node
  std::vector<std::string> other_classes;
  std::vector<std::filesystem::path> files;  // the file and the sibling modules that it imports
};

// What load() needs from outside, so that it stays pure and can be fuzzed.
struct Surroundings {
  std::vector<StockNode> stock;
  std::function<std::string(const std::filesystem::path&)> read_file;  // the manifest; throws Error
  std::function<bool(const std::filesystem::path&)> exists;
  std::function<bool(const std::filesystem::path&)> executable;
  std::function<PythonFile(const std::filesystem::path&)> read_python;  // throws ManifestError (a syntax error, with its place) or Error
  std::function<std::optional<Signature>(const std::filesystem::path&)> read_program;  // the .hawse section; nullopt: has none; throws Error
};
Surroundings real_surroundings(std::vector<StockNode> stock);

struct LoadOptions {
  std::map<std::string, std::string> set;                       // --set name=value
  std::vector<std::pair<std::string, ExecutorKind>> executors;  // --executor [node=]kind; "" is every node that can (user's nodes only)
  std::vector<std::pair<std::string, std::pair<std::string, std::string>>> env;  // --env [node=]NAME=value
};

Pipeline load(const std::filesystem::path& file, const LoadOptions&, const Surroundings&);  // throws ManifestError
json schema();                                                     // JSON Schema (2020-12) of the manifest, from the same tables as the parser
std::vector<std::string> may_touch(const Node&, const Pipeline&);  // `hawse check`: a line for each thing outside its ports that the node can reach

}  // namespace hawse::pipeline
