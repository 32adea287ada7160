// SPDX-License-Identifier: Apache-2.0
//
// Containers that are warm before anybody asks for them: started, with the module imported and a zygote waiting (container_zygote.hpp). A keeper, a process of its
// own for each user (runtime/keeper.hpp), makes and owns them; this is the side that asks it, over its socket.
//
// Lent out.  A container is lent once, to one start, and its zygote's socket with it: from there on the session talks to the zygote as if it had made it. Closing
//            Lent::keeper, or the session's death, ends the container.
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

// Everything that a keeper needs to make a node's container; `key` is a hash over all that shapes it, the code's content included. Nodes of two pipelines never have
// the same, unless they share.
struct Recipe {
  nlohmann::json body;    // for the engine; without labels, name and the socket that init joins at
  nlohmann::json import;  // what the zygote is told first
  std::string key;
  std::int64_t timeout_ns = 0;
};
Recipe recipe_of(const pipeline::Node&, const Prepared&);
nlohmann::json to_json(const Recipe&);
Recipe recipe_from(const nlohmann::json&);

struct Lent {
  std::string id;   // of the container
  pid_t init = 0;   // its process 1; 0: can't be seen
  UniqueFd zygote;  // the zygote's socket
  UniqueFd keeper;  // closing it gives the container back
};

std::filesystem::path keeper_folder();  // holds its socket, its lock, and the sockets at which its containers join
std::filesystem::path keeper_log();
bool keeper_runs() noexcept;          // a cheap look
bool is_kept(const pipeline::Node&);  // whether something is kept for it; a cheap look, too: at mark_of() in the keeper's folder
std::string mark_of(const std::string& pipeline, const std::string& node);

// nullopt: none is ready, or no keeper runs. pool: how many the manifest wants to wait from now on.
std::optional<Lent> take_warm(const pipeline::Node&, const Recipe&);
// Keeps so many ready from now on, and starts a keeper where none runs. wait: until they are, or throws Error where they can't be made.
void keep_warm(const pipeline::Node&, const Recipe&, unsigned count, bool wait, Interrupt*);
Lent join_shared(const Recipe&, Interrupt*);  // the container is made if there is none; throws Error where it can't be

std::vector<nlohmann::json> warm_containers();              // {"pipeline", "node", "waiting", "making", "lent", "wanted", "error"}, {"shared", ...}
unsigned stop_warm(const std::filesystem::path& pipeline);  // empty: all; how many containers that waited have gone

}  // namespace hawse::executor
