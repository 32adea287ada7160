// SPDX-License-Identifier: Apache-2.0
//
// A zygote: a warm interpreter that has one node's module imported and forks a node for each start (the other end: python/hawse/_zygote.py;
// the messages: docs/protocol.md, "The zygote"). It runs in a home of its own: a process (process_zygote.hpp), or a container (container/container_zygote.hpp).
//
// Parents.    The zygote is its nodes' parent: only the C library's own fork() runs what libraries have registered for a fork, and it makes no
//             siblings (CLONE_PARENT); a subreaper would take in the orphans of the whole program that embeds us. So the zygote reaps, when it is
//             asked to; a node's number stays its own until then. A node is killed with its zygote, a zygote with its runtime (PDEATHSIG).
// Trust.      The user's module runs in it: what it says is checked, and a zygote that doesn't answer is killed. Which process a node is says the kernel
//             (SCM_CREDENTIALS), in our numbering also where the zygote has another.
// Ownership.  Shared by the starts that it made; the last one and the executor end it. Owns its home.
// Threading.  One thread at a time drives it and its starts; it must outlive a process's zygote (PDEATHSIG). Fork::kill() by any.
#pragma once

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

// Where a zygote runs. Its destruction ends all that runs there.
class ZygoteHome {
 public:
  virtual ~ZygoteHome() = default;
  virtual int ended_fd() const noexcept = 0;  // readable once all of it has ended
  virtual void kill() noexcept = 0;
  virtual void abort() noexcept {}            // SIGABRT to the zygote, which is a node itself
  virtual void exited(int /*code*/, int /*signal*/) noexcept {}    // hawse-init said so of the zygote
  virtual bool tells_exit() const noexcept { return false; }       // it does; so what ends without that is all of it
  virtual Ending ending() = 0;                                     // ends it where it still runs
  virtual bool has(pid_t node) const = 0;                          // whether that process is a fork of its zygote
  virtual std::string name() const = 0;                            // "process 4711", "container 3f2a91c04d11"
  virtual std::vector<std::string> guarded() const { return {}; }  // as Instance::guarded
};

class Zygote {
 public:
  Zygote(std::unique_ptr<ZygoteHome> home, UniqueFd socket) : home_(std::move(home)), socket_(std::move(socket)) {}
  Zygote(const Zygote&) = delete;

  // The first thing that a zygote is told. `spare`: it keeps a node forked ahead; `container`: it runs in one, with folders of its own.
  static nlohmann::json import_message(const Prepared&, bool spare, bool container);
  // What it, or its container's init, says on its socket: any bytes. `reaped` or `exited` with those fields that mean something, else null; never the message
  // itself, whose values may be of any type and nested as deep as 64 KiB allow.
  static nlohmann::json heard(std::string_view bytes);
  bool usable() const noexcept;  // it runs, as far as one can see, and forks
  ZygoteHome& home() noexcept { return *home_; }
  const ZygoteHome& home() const noexcept { return *home_; }

 private:
  friend class Fork;
  bool send(const nlohmann::json&, const std::vector<int>& fds = {}) noexcept;
  void take_exited(const nlohmann::json&);
  std::optional<Ending> reap(unsigned number, bool sweep);  // nullopt: it can't say any more
  Ending ending();                                          // its own; ends it where it still runs

  std::unique_ptr<ZygoteHome> home_;
  UniqueFd socket_;
  unsigned last_number_ = 0, waiting_ = 0;
  bool up_ = false;      // it has answered once: its module is imported
  bool became_ = false;  // it is a node itself, and forks none any more
  bool exited_ = false;  // hawse-init said so
  std::optional<Ending> ending_;
};

// One start by a zygote: asked for, then a process, then reaped.
class Fork {
 public:
  enum class Become { never, with_threads, always };  // whether the zygote is to be the node itself, in place of a fork
  struct Options {
    std::vector<std::string> cgroup_files = {};
    Become become = Become::never;
    bool sweep = false;  // nothing else runs in its home: what the node leaves there goes with it
  };
  enum class Answer {
    forked,  // pid() and pidfd() hold
    became,  // the zygote is the node: threads(), if any, are why
    ended,   // there will be none: ending() says why
    threads  // its module leaves threads() running: such a process must not be forked
  };
  // Asks for it and returns at once. control, out, err: the node's, passed on.
  Fork(std::shared_ptr<Zygote>, const Launch&, Options);
  ~Fork();  // kills and reaps
  Fork(const Fork&) = delete;

  int answered_fd() const noexcept { return answered_ ? answered_.get() : report_.get(); }  // readable: answer() doesn't wait
  Answer answer();         // throws Error where the start failed
  void kill() noexcept;    // before the answer: there will be none
  void abort() noexcept;   // SIGABRT to the node
  void hang_up() noexcept;  // a zygote that is the node itself: its init, if nobody else, ends it then
  int ended_fd() const noexcept;  // after the answer: readable once it has ended
  Ending ending();                // then, or after `ended`; reaps

  pid_t pid() const noexcept { return pid_; }  // -1: none, or the zygote itself
  const std::vector<std::string>& threads() const noexcept { return threads_; }
  // What this start waited for before its fork: the zygote's own interpreter and import, as far as they weren't over.
  std::int64_t interpreter_ns() const noexcept { return interpreter_ns_; }
  std::int64_t import_ns() const noexcept { return import_ns_; }

 private:
  void take_times(const nlohmann::json& report);
  void take_process(pid_t sender);
  void give_up() noexcept;
  void leave() noexcept;  // no longer waiting for the zygote

  std::shared_ptr<Zygote> zygote_;
  const bool sweep_;
  unsigned number_;
  UniqueFd report_, pidfd_;
  UniqueFd answered_;  // an epoll: the report, or what init says
  std::int64_t asked_ns_, interpreter_ns_ = 0, import_ns_ = 0;
  pid_t pid_ = -1;
  bool waiting_ = true, reaped_ = false, became_ = false;
  std::atomic<bool> given_up_ = false;
  std::vector<std::string> threads_;
};

// "nodes.py leaves threads running when it is imported (loader, worker)"
std::string threads_in_words(const pipeline::Node&, const std::vector<std::string>& threads);

}  // namespace hawse::executor
