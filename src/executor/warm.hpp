// SPDX-License-Identifier: Apache-2.0
//
// Zygotes that are warm before anybody asks for them: a process, or a container with one in it, started, its module imported, waiting. A keeper, a process of its
// own for each user (runtime/keeper.hpp), makes and owns them; this is the side that asks it, over its socket.
//
// Lent out.  Each is lent once, to one start, with the zygote's socket: from there on the session talks to the zygote as if it had made it. Closing
//            Lent::keeper, or the session's death, ends it.
// Shared.    Where `share: true` says so many sessions have the same container; the socket of each leads through the keeper then.
// Trust.     The socket lies in a folder that only its user can enter, and the keeper asks whoever connects for his uid.
// Threading: any thread.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/interrupt.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

// Everything that a keeper needs to make a node's zygote and its home; `key` is a hash over all that shapes them, the code's content included. Nodes of two pipelines
// never have the same, unless they share. Made by container_recipe (container/container_spec.hpp) and process_recipe (process_zygote.hpp).
struct Recipe {
  nlohmann::json container;  // for the engine; without name, owner and the socket that init joins at. null: a process
  nlohmann::json process;    // {"argv", "env", "cwd", "cpus", "nice", "memory_bytes"}. null: a container
  nlohmann::json import;     // what the zygote is told first
  std::string key;
  std::int64_t timeout_ns = 0;
};
// `shape`: all but the code's content, which it adds.
std::string key_of(const pipeline::Node&, const nlohmann::json& shape);
nlohmann::json to_json(const Recipe&);
Recipe recipe_from(const nlohmann::json&);

struct Lent {
  std::string container;  // its id; "": a process
  pid_t pid = 0;          // the zygote, or the container's process 1; 0: can't be seen
  UniqueFd zygote;        // the zygote's socket
  UniqueFd keeper;        // closing it gives it back
};

std::filesystem::path keeper_folder();  // holds its socket, its lock, and the sockets at which its containers join
std::filesystem::path keeper_log();
bool keeper_runs() noexcept;          // a cheap look
bool is_kept(const pipeline::Node&);  // whether something is kept for it; a cheap look, too: at mark_of() in the keeper's folder
std::string mark_of(const std::string& pipeline, const std::string& node);

// nullopt: none is ready, or no keeper runs.
std::optional<Lent> take_warm(const pipeline::Node&, const Recipe&);
// The same; and where the manifest wants a pool and nothing was ready for a node's first attempt, it is kept from now on.
std::optional<Lent> take_or_keep(const pipeline::Node&, const Recipe&, unsigned attempt, Interrupt*);
// Keeps so many ready from now on, and starts a keeper where none runs. wait: until they are, or throws Error where they can't be made.
void keep_warm(const pipeline::Node&, const Recipe&, unsigned count, bool wait, Interrupt*);
Lent join_shared(const Recipe&, Interrupt*);  // of a container, which is made if there is none; throws Error where it can't be

std::vector<nlohmann::json> all_kept();                     // {"pipeline", "node", "waiting", "making", "lent", "wanted", "where", "error"}, {"sessions", ...}
unsigned stop_warm(const std::filesystem::path& pipeline);  // empty: all; how many that waited have gone

}  // namespace hawse::executor
