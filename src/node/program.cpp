// SPDX-License-Identifier: Apache-2.0
//
// The main() of a node's program: finds the socket that the runtime gave it (docs/protocol.md), and runs the node over it.
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/socket.hpp"
#include "hawse/node.hpp"
#include "node/host.hpp"
#include "node/program.hpp"

namespace hawse {
namespace {

// Unset at once, so that what the node starts doesn't take them for its own.
std::string take_environment(const char* name) {
  const char* value = std::getenv(name);
  const std::string text = value != nullptr ? value : "";
  ::unsetenv(name);
  return text;
}

UniqueFd inherited(const std::string& number) {
  int fd = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), fd);
  if (error != std::errc() || end != number.data() + number.size() || fd < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    throw Error(ErrorCode::usage, "join the run", "HAWSE_FD=" + number + " is no open descriptor");
  return UniqueFd(fd);
}

UniqueFd joined(const std::string& path, const std::string& token) {
  UniqueFd socket = connect_to(path);
  const nlohmann::json join = {{"type", "join"}, {"token", token}, {"pid", ::getpid()}, {"init", false}};
  if (!send_message(socket.get(), join.dump())) throw Error(ErrorCode::system, "join the run", path + ": the runtime closed the connection");
  return socket;
}

}  // namespace

UniqueFd node::runtime_socket() {
  const std::string fd = take_environment("HAWSE_FD"), path = take_environment("HAWSE_SOCKET"), token = take_environment("HAWSE_TOKEN");
  if (!fd.empty()) return inherited(fd);
  return path.empty() ? UniqueFd() : joined(path, token);
}

int run_program(int /*argc*/, char** argv, std::unique_ptr<Node> (*make)(), const char* signature) {
  UniqueFd control;
  try {
    control = node::runtime_socket();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 2;
  }
  if (!control) {
    std::fprintf(stderr, "%s is a node of a Hawsepipe pipeline and is started by `hawse run`: name it in a manifest as node: %s\n", argv[0], argv[0]);
    return 2;
  }
  const nlohmann::json declared = nlohmann::json::parse(signature, nullptr, false);
  node::HostOptions options;
  if (declared.is_object() && declared.contains("params")) options.params = declared["params"];
  return node::run_node(std::move(control), make, options);
}

}  // namespace hawse
