// SPDX-License-Identifier: Apache-2.0
//
// One container with one node in it.
//
// How its end is seen: hawse-init tells the runtime at once (`exited`, passed on with exited()) and keeps the container alive, so that the control group's
// figures can still be read; where the whole container goes, a thread that holds the engine's `wait` sees it. Either makes ended_fd readable.
// The engine says nothing about the node but this: where it is gone (or restarted, with its containers kept alive) the node goes on, the thread asks
// again until it is back, and `notice` hears of both.
// Owns the container: it is removed, by force, by the destructor, where it may still run by collect(), and where the engine doesn't answer by `removals`. One that a
// keeper (warm.hpp) has lent is given back instead, by closing the connection to the keeper: that removes it, or lends it on.
// Threading. exited(), gone() and kill() never wait for the engine; the others may for some seconds.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/fd.hpp"
#include "executor/cgroup_view.hpp"
#include "executor/container/engine.hpp"
#include "executor/container/removals.hpp"
#include "executor/executor.hpp"

namespace hawse::executor {

class ContainerInstance final : public Instance {
 public:
  using Notice = std::function<void(std::string)>;
  // Creates and starts it. Throws Error(engine); then nothing is left.
  ContainerInstance(std::shared_ptr<const Engine> engine, std::shared_ptr<Removals> removals, const std::string& name, const nlohmann::json& body,
                    std::optional<std::uint64_t> memory_limit_bytes, Notice notice);
  // One that runs already, lent by a keeper over that connection. init: its process 1. shared: others have it as well, and only the keeper ends it.
  ContainerInstance(std::shared_ptr<const Engine> engine, std::shared_ptr<Removals> removals, std::string id, pid_t init,
                    std::optional<std::uint64_t> memory_limit_bytes, Notice notice, UniqueFd keeper, bool shared);
  ~ContainerInstance() override;

  int ended_fd() const noexcept override { return ended_.get(); }
  Ending collect() override;
  void kill() noexcept override;
  void abort() noexcept override { removals_->signal(id_, "SIGABRT"); }  // its init passes that on
  Usage usage() const noexcept override;
  pid_t pid() const noexcept override;
  std::string where() const override { return "container " + id_.substr(0, 12); }
  std::string limits_by() const override { return unlimited_ ? "nothing: no control group of its own" : "engine"; }
  std::vector<std::pair<std::string, std::int64_t>> phases_ns() const override { return phases_ns_; }
  void exited(int code, int signal) noexcept override;
  void gone() noexcept override { mark_ended(); }

  const std::string& id() const noexcept { return id_; }
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }  // of the engine, as it was made
  void count_from_here() noexcept;  // what limits it has met so far, and the CPU time, are an earlier start's

 private:
  void create(const std::string& name, const nlohmann::json& body);
  void watch() noexcept;
  bool pause(std::int64_t ns) noexcept;
  enum class Group { own, none, unseen };
  Group group_of(pid_t init, bool is_ours) const;
  void take_group(pid_t init, bool is_ours);
  bool look_up();
  void mark_ended() noexcept;
  void remove() noexcept;
  Ending ending_of_container();
  void note_silence(const Error&) noexcept;

  std::shared_ptr<const Engine> engine_;
  std::shared_ptr<Removals> removals_;
  const Notice notice_;
  std::string id_;
  std::optional<std::uint64_t> memory_limit_bytes_;
  std::vector<std::string> warnings_;
  std::vector<std::pair<std::string, std::int64_t>> phases_ns_;
  std::atomic<bool> unlimited_ = false;  // its engine gave it no control group of its own
  std::atomic<pid_t> init_ = 0;           // its process 1; 0: can't be seen from here
  UniqueFd ended_, over_;  // eventfds; the second ends the watcher's pauses

  mutable std::mutex mutex_;  // over the following
  std::optional<CgroupView> cgroup_;
  Usage before_;        // what isn't counted
  mutable Usage last_;  // seen before the control group went
  std::optional<Ending> told_;  // by init
  std::string lost_;            // why the engine can't tell any more

  std::optional<Ending> collected_;
  bool removed_ = false, silent_ = false;  // silent: the engine didn't answer collect()
  UniqueFd keeper_;  // lent by it
  bool shared_ = false;
  Interrupt interrupt_;  // of the watcher
  std::thread watcher_;
};

}  // namespace hawse::executor
