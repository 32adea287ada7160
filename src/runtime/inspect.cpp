// SPDX-License-Identifier: Apache-2.0
//
// What a node may touch and which descriptors it was given, from the session's own books; for a process of this machine, beside what /proc says it holds.
#include <dirent.h>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <sstream>

#include "base/text.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

// A memory file is known by its inode: two have never the same at once.
ino_t inode_of(int fd) {
  struct stat info{};
  return fd >= 0 && ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

// What a process holds of Hawsepipe's memory: open, or mapped with the descriptor closed.
struct Held {
  struct Mapping {
    std::string rights, name;  // "rw-s"
  };
  bool known = false;
  std::map<ino_t, std::string> open;  // by inode: the memory's name
  std::map<ino_t, Mapping> mapped;
};

constexpr const char* kMemoryPrefix = "/memfd:hawse";

Held held_by(pid_t pid) {
  Held held;
  const std::string proc = "/proc/" + std::to_string(pid);
  DIR* folder = ::opendir((proc + "/fd").c_str());
  if (folder == nullptr) return held;
  held.known = true;
  while (const dirent* entry = ::readdir(folder)) {
    char target[256];
    const ssize_t size = ::readlinkat(::dirfd(folder), entry->d_name, target, sizeof target);
    if (size <= 0 || !std::string_view(target, static_cast<std::size_t>(size)).starts_with(kMemoryPrefix)) continue;
    struct stat info{};
    if (::fstatat(::dirfd(folder), entry->d_name, &info, 0) == 0) held.open[info.st_ino] = std::string(target, static_cast<std::size_t>(size));
  }
  ::closedir(folder);
  std::ifstream maps(proc + "/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string range, rights, offset, device, path;
    ino_t inode = 0;
    if (fields >> range >> rights >> offset >> device >> inode >> path && path.starts_with(kMemoryPrefix)) held.mapped[inode] = {rights, path};
  }
  return held;
}

}  // namespace

void Session::answer_inspect(Control::Client& client, const NodeRun& node) const {
  const pid_t pid = node.instance ? node.instance->pid() : 0;
  Held held = pid > 0 ? held_by(pid) : Held{};
  json about = {{"type", "node"}, {"node", node.id}, {"state", to_string(node.state)}, {"where", node.where}, {"environment", node.prepared.summary},
                {"limits_by", node.limited_by()}};
  about["executor"] = node.spec != nullptr ? pipeline::to_string(node.spec->executor) : "application";
  if (node.spec != nullptr) about["may_touch"] = may_touch(*node.spec, pipeline_);
  if (pid > 0) about["pid"] = pid;
  if (const std::int64_t ns = busy_ns(node)) about.update({{"busy_ns", ns}, {"busy_with", frame_in_hand(node)}});
  client.send(about);

  const auto tell = [&](const char* kind, int fd, json more) {
    more.update({{"type", "descriptor"}, {"node", node.id}, {"kind", kind}});
    const ino_t inode = inode_of(fd);
    if (held.known && inode != 0) {
      const auto mapped = held.mapped.find(inode);
      more["open"] = held.open.erase(inode) != 0;
      more["mapped"] = mapped == held.mapped.end() ? json() : json(mapped->second.rights);
      if (mapped != held.mapped.end()) held.mapped.erase(mapped);
    }
    client.send(more);
  };
  tell("control socket", -1, json::object());
  tell("doorbell", node.doorbell.get(), json::object());
  tell("node page", node.page_fd.get(), json::object());
  const auto tell_arenas = [&](const OutputUse& output, const std::string& port, bool writes) {
    for (const auto& arena : output.arenas)
      if (writes || arena.sealed)
        tell("arena", arena.fd.get(), {{"port", port}, {"arena", arena.id}, {"bytes", arena.slot_bytes * arena.slots}, {"may", writes ? "write" : "read"}});
  };
  std::set<std::size_t> bells = {node.index};
  const auto tell_bell = [&](std::size_t peer) {
    if (bells.insert(peer).second) tell("doorbell", nodes_[peer]->doorbell.get(), {{"peer", nodes_[peer]->id}});
  };
  for (const auto& output : node.outputs) {
    for (const std::size_t edge : output.edges) {
      const auto& to = edges_[edge]->spec->to;
      tell("link", edges_[edge]->link.get(), {{"port", output.port}, {"peer", to.node + "." + to.port}});
      tell_bell(edges_[edge]->reader);
    }
    tell_arenas(output, output.port, true);
  }
  for (const std::size_t edge : node.links) {
    const EdgeRun& run = *edges_[edge];
    tell("link", run.link.get(), {{"port", run.spec->to.port}, {"peer", run.spec->from.node + "." + run.spec->from.port}});
    tell_bell(run.writer);
    tell_arenas(nodes_[run.writer]->outputs[run.output], run.spec->to.port, false);
  }
  for (const auto& tap : taps_) {
    if (tap->writer != node.index) continue;
    tell("link", tap->link.get(), {{"port", node.outputs[tap->output].port}, {"peer", "a tap"}});
    tell("doorbell", tap->doorbell.get(), {{"peer", "a tap"}});
  }
  // What is left was not found in the books: a link that a restart has replaced, or of a tap that has ended, which stays until its place is needed; or more than it was given.
  for (const auto& [inode, name] : held.open) client.send({{"type", "descriptor"}, {"node", node.id}, {"kind", "other"}, {"name", strip_control(name)}, {"open", true}});
  for (const auto& [inode, mapping] : held.mapped)
    if (!held.open.contains(inode))
      client.send({{"type", "descriptor"}, {"node", node.id}, {"kind", "other"}, {"name", strip_control(mapping.name)}, {"open", false}, {"mapped", mapping.rights}});
}

}  // namespace hawse::runtime
