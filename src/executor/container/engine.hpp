// SPDX-License-Identifier: Apache-2.0
//
// The container engine: Docker's Engine API (1.40 to 1.47), or Podman's compatible service, on its Unix socket.
//
// Every failure is Error(engine) that says the operation, what the engine said, and where we know it, what to do; it is an Unreachable where the engine
// is gone or silent. The engine's answers are checked field
// by field: one that is no JSON, lacks a field or is too long is an error, never a crash.
// Threading: const members from any thread, several at once (a connection a call).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "executor/container/http.hpp"

namespace hawse::executor {

struct EngineVersion {
  std::string engine;        // "20.10.24"
  std::string api;           // agreed: "1.41"
  std::string architecture;  // "amd64", "arm64"
};

struct ContainerState {
  bool running = false;
  int exit_code = 0;
  bool oom_killed = false;
  std::string error;
  int pid = 0;  // of its process 1 on the host; 0: not running
};

struct ContainerSummary {
  std::string id, name, image_id;
  bool running = false;
  std::map<std::string, std::string> labels = {};
};

struct EngineImage {
  std::string id;                 // "sha256:..."
  std::vector<std::string> tags;  // "python:3.9-slim"
  std::string architecture;       // "" in a list
  std::uint64_t bytes = 0;
  std::map<std::string, std::string> labels;
  std::int64_t created_s = 0;  // since the epoch
  std::vector<std::string> digests = {};  // by which registries know it, "python@sha256:..."; empty in a list
};

// One line of a pull, an import or a build.
struct EngineProgress {
  std::string layer;  // "" outside of layers
  std::string text;   // "Downloading", "Step 1/2 : FROM ..."
  std::uint64_t done = 0, total = 0;
};
using OnProgress = std::function<void(const EngineProgress&)>;

using Labels = std::map<std::string, std::string>;

class Engine {
 public:
  // DOCKER_HOST=unix://..., else the first of the usual sockets that answers a connect. Throws Error(engine).
  static std::string find_socket();
  // Agrees on a version of the API by /_ping, a third of a millisecond; /version starts programs to ask them for theirs, and takes 5 to 15 ms.
  // No call waits for ever for an engine that hangs: each has a limit on silence, a short one where something is looked up or cleaned up. The
  // interrupt ends all but these.
  explicit Engine(std::string socket_path = find_socket(), std::shared_ptr<Interrupt> interrupt = nullptr);

  const std::string& api() const noexcept { return api_; }  // agreed: "1.41"
  bool is_podman() const noexcept { return !podman_version_.empty(); }
  void check_knows_gpus() const;  // throws Error where it would ignore what is asked for
  EngineVersion version() const;
  const std::string& socket_path() const noexcept { return socket_path_; }
  Interrupt* interrupt() const noexcept { return interrupt_.get(); }
  nlohmann::json info() const;

  // The id. warnings: what it says of what it will not do, such as a limit that this kernel doesn't have.
  std::string create(const std::string& name, const nlohmann::json& body, std::vector<std::string>* warnings = nullptr) const;
  void start(const std::string& id) const;
  int wait(const std::string& id, Interrupt* interrupt = nullptr) const;  // until it doesn't run; its exit code
  std::optional<ContainerState> inspect(const std::string& id) const;  // nullopt: no such container
  bool kill(const std::string& id, const char* signal = "SIGKILL", Interrupt* interrupt = nullptr) const;  // false: it doesn't run
  bool remove(const std::string& id, Interrupt* interrupt = nullptr) const;  // with force; false: there is none
  std::vector<ContainerSummary> containers(const Labels& labels) const;  // running or not
  bool has_file(const std::string& id, const std::string& path) const;  // whether it runs or not
  std::string logs(const std::string& id, unsigned lines) const;  // both streams

  std::optional<EngineImage> image(const std::string& reference) const;
  std::vector<EngineImage> images(const Labels& labels) const;
  void pull(const std::string& reference, const OnProgress&, std::int64_t silence_ns) const;
  std::string import_image(const std::filesystem::path& tar, const std::string& tag, const Labels&, const OnProgress&) const;  // the id
  // `context`: a tar with a Dockerfile, or the file that is one. The build has the host's network. Throws with the failing command's last lines.
  std::string build(std::string context, const std::string& tag, const Labels&, const OnProgress&, const std::filesystem::path& context_file = {}) const;  // the id
  void tag(const std::string& reference, const std::string& tag) const;
  bool remove_image(const std::string& reference) const;  // false: there is none

 private:
  HttpRequest request(std::string method, std::string target, std::string body = {}) const;
  [[noreturn]] void fail(const std::string& operation, const HttpError&) const;
  nlohmann::json call(const std::string& operation, HttpRequest, std::vector<unsigned> also = {}, unsigned* status = nullptr) const;
  std::string stream(const std::string& operation, HttpRequest, const OnProgress&) const;  // the id in it, if any

  std::string socket_path_, api_;
  std::string podman_version_;  // empty: another engine
  std::shared_ptr<Interrupt> interrupt_;
};

std::string tar_of(const std::map<std::string, std::string>& files);  // ustar, names up to 100 bytes

}  // namespace hawse::executor
