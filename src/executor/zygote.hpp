// SPDX-License-Identifier: Apache-2.0
//
// A zygote: a warm interpreter that has one node's module imported and forks a node for each start (the other end: python/hawse/_zygote.py;
// the messages: docs/protocol.md, "The zygote").
//
// Parents.    The zygote is its nodes' parent: only the C library's own fork() runs what libraries have registered for a fork, and it makes no
//             siblings (CLONE_PARENT); a subreaper would take in the orphans of the whole program that embeds us. So the zygote reaps, when it is
//             asked to; a node's number stays its own until then. A node is killed with its zygote, a zygote with its runtime (PDEATHSIG).
// Trust.      The user's module runs in it: what it says is checked, and a zygote that doesn't answer is killed.
// Ownership.  Shared by the starts that it made; the last one and the executor end it. Owns its process and its control group.
// Threading.  One thread drives it and its starts; that thread must outlive it (PDEATHSIG). Fork::give_up() and Fork::signal() by any.
#pragma once

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/subprocess.hpp"
#include "executor/cgroup.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

class Zygote {
 public:
  // `options`: the interpreter's command, environment, streams. `limits`: of its nodes; what the import takes is held to their memory limit.
  // `spare`: whether it keeps a node forked ahead.
  Zygote(SpawnOptions options, const std::string& name, const pipeline::Limits& limits, const Prepared& prepared, bool spare);
  ~Zygote();
  Zygote(const Zygote&) = delete;

  bool usable() const noexcept;  // it runs, as far as one can see
  pid_t pid() const noexcept { return pid_; }
  std::vector<std::string> guarded() const;

 private:
  friend class Fork;
  std::optional<ExitStatus> reap(unsigned number);  // nullopt: it can't say any more
  Ending ending();                                  // its own; ends it where it still runs

  Subprocess process_;
  std::optional<Cgroup> cgroup_;
  pipeline::Limits limits_;
  UniqueFd socket_;
  pid_t pid_;
  std::string id_;
  unsigned last_number_ = 0, waiting_ = 0;
  bool up_ = false;               // it has answered once: its module is imported
  std::optional<Ending> ending_;
};

// One start by a zygote: asked for, then a process, then reaped.
class Fork {
 public:
  enum class Answer {
    forked,  // pid() and pidfd() hold
    ended,   // there will be none: ending() says why
    threads  // its module leaves threads() running: such a process must not be forked
  };
  // Asks for it and returns at once. control, out, err: the node's, passed on.
  Fork(std::shared_ptr<Zygote>, const Launch&, const std::vector<std::string>& cgroup_files);
  ~Fork();  // kills and reaps
  Fork(const Fork&) = delete;

  int answered_fd() const noexcept { return report_.get(); }  // readable: answer() doesn't wait
  Answer answer();         // throws Error where the start failed
  void give_up() noexcept;  // before the answer: there will be none
  void signal(int number) noexcept;
  Ending ending();          // after `ended`, or when pidfd() is readable; reaps

  pid_t pid() const noexcept { return pid_; }
  int pidfd() const noexcept { return pidfd_.get(); }
  const std::vector<std::string>& threads() const noexcept { return threads_; }
  // What this start waited for before its fork: the zygote's own interpreter and import, as far as they weren't over.
  std::int64_t interpreter_ns() const noexcept { return interpreter_ns_; }
  std::int64_t import_ns() const noexcept { return import_ns_; }

 private:
  void take(const nlohmann::json& report);
  void leave() noexcept;  // no longer waiting for the zygote

  std::shared_ptr<Zygote> zygote_;
  unsigned number_;
  UniqueFd report_, pidfd_;
  std::int64_t asked_ns_, interpreter_ns_ = 0, import_ns_ = 0;
  pid_t pid_ = -1;
  bool waiting_ = true, reaped_ = false;
  std::atomic<bool> given_up_ = false;
  std::vector<std::string> threads_;
};

}  // namespace hawse::executor
