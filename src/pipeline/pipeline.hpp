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
#include <vector>

#include "base/error.hpp"
#include "plane/layout.hpp"
#include "plane/port.hpp"

namespace hawse::pipeline {

using nlohmann::json;

struct Position {
  int line = 0;    // from 1; 0: the whole file
  int column = 0;  // from 1
};

struct Finding {
  std::string file;
  Position at;
  std::string message;  // what is wrong: "unknown key 'exectuor' in node 'speech'"
  std::string hint;     // what to do: "did you mean 'executor'?"
};
std::string to_string(const Finding&);  // "pipeline.yaml:12:5: message\n    hint"

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
//    "inputs": {"audio": "audio"}, "outputs": {"out": "text|json"},            "any" is every type
//    "any_inputs": false, "any_outputs": false,                                ports that aren't listed are accepted, too
//    "params": {"threshold": {"type": "float", "default": 0.5, "required": false, "doc": "...", "choices": [...], "minimum": 0, "maximum": 1,
//                             "fields": {...}}},                               type: bool int float str list dict size duration any, "int|str"
//    "any_params": false}
struct PortType {
  std::vector<plane::FrameType> types;  // empty: any
};
struct Port {
  std::string name;
  PortType type;
};
struct Signature {
  std::string doc;
  bool source = false;
  std::vector<Port> inputs, outputs;  // in declared order
  bool any_inputs = false, any_outputs = false, any_params = false;
  json params = json::object();
};
Signature parse_signature(const json&);  // throws Error(internal) on a malformed one
std::string to_string(const PortType&);

// ---- the pipeline -------------------------------------------------------------------------------------------------------
enum class ExecutorKind { thread, process, container };
const char* to_string(ExecutorKind);

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
  std::string network = "none";       // or bridge, host, or a network's name
  std::vector<Mount> mounts;
  std::string gpus;                   // "": none, "all", a count, or a comma list of device ids
  std::string user = "65534:65534";
};

struct PythonOptions {
  std::string version;                // "": the host's python3
  std::vector<std::string> packages;
};

struct Limits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> cpus;
  std::optional<std::uint64_t> pids;
  std::optional<std::uint64_t> shm_bytes;      // a container's own /dev/shm; it has none otherwise
  std::uint64_t arena_bytes = 2ull << 30;      // over all output ports of the node
};

enum class RestartOn { never, failure };

struct Restart {
  RestartOn on = RestartOn::never;
  unsigned attempts = 3;                        // starts in all, the first included
  std::int64_t backoff_ns = 100'000'000;        // doubles each time, at most 10 s
};

struct Node {
  std::string id;
  std::string file;                    // manifest it stands in
  Position at;
  NodeKind kind = NodeKind::stock;
  std::string reference;               // as written: "media/source", "nodes.py:Speech", "./invert"
  std::string stock;                   // kind stock
  std::filesystem::path source_file;   // python from a file, or the program; absolute
  std::string module, class_name;      // python
  std::vector<std::filesystem::path> code_files;  // python from a file: that file and the sibling modules that it imports
  Signature signature;
  json params = json::object();        // checked, defaults not filled in
  ExecutorKind executor = ExecutorKind::thread;
  ContainerOptions container;
  PythonOptions python;
  std::vector<std::string> packages;   // those of the executor in force (a moved node takes its others along)
  Limits limits;
  Restart restart;
  std::map<std::string, std::string> env;
  std::int64_t start_timeout_ns = 120'000'000'000;
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

// What load() needs from outside, so that it stays pure and can be fuzzed.
struct Surroundings {
  std::vector<StockNode> stock;
  // The signature of a class in a Python file (read, not imported). Throws Error whose context says what was wrong.
  struct PythonClass {
    std::optional<json> signature;          // nullopt: no such class
    std::vector<std::string> classes;       // Node classes that the file has
    std::vector<std::filesystem::path> files;
  };
  std::function<PythonClass(const std::filesystem::path& file, const std::string& class_name)> read_python;
  std::function<std::string(const std::filesystem::path&)> read_file;  // the manifest
  std::function<bool(const std::filesystem::path&)> exists;
  std::function<std::optional<json>(const std::filesystem::path& program)> read_program;  // the .hawse section; nullopt: has none
};
Surroundings real_surroundings(std::vector<StockNode> stock);

struct LoadOptions {
  std::map<std::string, std::string> set;                          // --set name=value
  std::vector<std::pair<std::string, ExecutorKind>> executors;     // --executor [node=]kind; "" is every node that can (user's nodes only)
  std::vector<std::pair<std::string, std::pair<std::string, std::string>>> env;  // --env [node=]NAME=value
};

Pipeline load(const std::filesystem::path& file, const LoadOptions&, const Surroundings&);  // throws ManifestError
json schema();                                  // JSON Schema (2020-12) of the manifest, from the same tables as the parser
std::vector<std::string> may_touch(const Node&, const Pipeline&);  // `hawse check`: a line for each thing outside its ports that the node can reach

}  // namespace hawse::pipeline
