// SPDX-License-Identifier: Apache-2.0
//
// Each boundary probed from inside a node (pipelines/probe.py), in a container and, to see that the probe finds an open door where there is one, as a process.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bench/rows/life/life_rows.hpp"
#include "bench/rows/life/row_parts.hpp"

namespace hawse::bench::life {
namespace {

using nlohmann::json;
using pipeline::ExecutorKind;
namespace fs = std::filesystem;

// What a probe could find: a file in /dev/shm, a listener on the loopback.
class Bait {
 public:
  Bait() : file_(fmt::format("/dev/shm/hawse-bench-{}", ::getpid())), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    write_file(file_, "of the host");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (!listener_ || ::bind(listener_.get(), any, size) != 0 || ::listen(listener_.get(), 8) != 0 || ::getsockname(listener_.get(), any, &size) != 0)
      throw Error::from_errno("listen on the loopback", "127.0.0.1");
    port_ = ntohs(address.sin_port);
  }
  ~Bait() { ::unlink(file_.c_str()); }
  Bait(const Bait&) = delete;
  const std::string& file() const noexcept { return file_; }
  unsigned port() const noexcept { return port_; }

 private:
  std::string file_;
  UniqueFd listener_;
  unsigned port_ = 0;
};

std::string engine_socket() {
  try {
    return executor::Engine::find_socket();
  } catch (const Error&) {
    return "";
  }
}

void probe(Pass& pass, ExecutorKind kind) {
  const bool contained = kind == ExecutorKind::container;
  if (contained) engine_or_unavailable();
  const Bait bait;
  const auto manifest = scenario(pass, "isolation.yaml");
  const fs::path temporary = manifest.parent_path() / "of_the_host.txt";
  write_file(temporary, "of the host");
  pipeline::LoadOptions options = moved_to(kind);
  options.set = {{"shm", bait.file()}, {"temporary", temporary.string()}, {"port", std::to_string(bait.port())}, {"engine", engine_socket()}};
  LiveSession session(load_pipeline(manifest, options));
  session.finish_in_order();  // a sink behind the same source has verified the frame
  std::size_t probed = 0;
  for (const std::string& line : session.log("probe")) {
    const json said = json::parse(line, nullptr, false);
    if (!said.is_object() || !said.contains("refused")) continue;
    const std::string what = said["what"];
    const bool refused = said["refused"];
    // A process has its user's rights (docs/trust.md): only what holds for every node is judged.
    const bool everywhere = what.starts_with("input arena") || what == "start processes without end";
    pass.fact({what, contained ? "container" : "process", fmt::format("{}{}", refused ? "refused: " : "", said["seen"].get<std::string>()),
               contained || everywhere ? std::optional(refused) : std::nullopt});
    ++probed;
  }
  if (probed == 0) throw Unavailable("the probe said nothing");
}

}  // namespace

void add_isolation_rows(std::vector<RowSpec>& rows) {
  RowSpec spec = row("isolation", "Isolation", "Isolation, each boundary probed from inside a node",
                     "a Python node tries each of these and says what came of it; in a container every one must be refused. As a process it has its user's rights, and what it reaches "
                     "shows that the probe works; the memory of frames and the limit of processes hold there, too");
  spec.quick_passes = spec.full_passes = 1;
  spec.seconds_a_pass = 4;
  spec.measure = [](Pass& pass) {
    for (const auto kind : {ExecutorKind::process, ExecutorKind::container}) {
      try {
        probe(pass, kind);
      } catch (const Unavailable& error) {
        pass.fact({"every boundary", pipeline::to_string(kind), fmt::format("not probed: {}", error.what()), std::nullopt});
      }
    }
  };
  rows.push_back(std::move(spec));
}

}  // namespace hawse::bench::life
