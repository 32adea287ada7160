// SPDX-License-Identifier: Apache-2.0
//
// The keeper of warm containers: a process of its own for each user and run folder, started by whoever first wants one (executor/container/warm.hpp), and gone
// when nothing is left to keep.
//
//   kept       containers that wait for a node of a pipeline: so many as its manifest (`pool`) or `hawse warm` asks for. One is lent once; another one is made
//              in the background. What has another key than the recipe of now goes at once.
//   lent       the session has the zygote's socket and one end of a pair; its hang-up, however the session ends, removes the container.
//   shared     one container for all sessions whose recipe has its key. Each has a socket of its own, and this passes on what it says to the zygote: `fork`,
//              `reap`, `kill`, with numbers that differ. Whoever hangs up has his nodes killed; the last one takes the container along.
//
// Ownership. It owns every container that it made, lent and shared ones included, and is named as their owner in their labels: if it is killed, the next start of a
//            session sweeps them.
// Threading. The loop's thread; workers make and remove containers and post their results.
// Trust.     Whoever asks is its own user or root (control.hpp). What a zygote says is user code's word, and is passed on to sessions, which check it.
#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "executor/container/container_instance.hpp"
#include "executor/container/warm.hpp"
#include "runtime/control.hpp"
#include "runtime/loop.hpp"

namespace hawse::runtime {

class Keeper {
 public:
  // folder: its own; log: open for appending, also what modules print as they are imported.
  Keeper(std::filesystem::path folder, int log);
  ~Keeper();   // removes all containers
  void run();  // until nothing is left to keep, or SIGTERM

 private:
  using json = nlohmann::json;

  struct Kept {
    std::unique_ptr<executor::ContainerInstance> container;
    UniqueFd zygote;
    pid_t init = 0;
    Loop::Handle ended;
  };
  using Asking = std::vector<Control::Client*>;  // taken out when they have gone

  struct Place {  // of a pipeline's node
    executor::Recipe recipe;
    unsigned by_manifest = 0, by_user = 0;
    unsigned making = 0, failures = 0;
    std::deque<std::shared_ptr<Kept>> waiting;
    std::string error;
    Asking asking;
    Loop::Handle timer;
    unsigned wanted() const { return std::max(by_manifest, by_user); }
  };
  using Slot = std::pair<std::string, std::string>;  // pipeline, node

  struct Lent {
    Slot slot;
    std::shared_ptr<Kept> kept;
    UniqueFd session;
    Loop::Handle watch;
  };

  struct View {
    UniqueFd session;
    Loop::Handle watch;
  };
  struct Shared {
    executor::Recipe recipe;
    std::shared_ptr<Kept> kept;  // null: it is being made
    Loop::Handle watch;
    Asking asking;
    std::map<std::uint64_t, View> views;
    std::map<unsigned, std::pair<std::uint64_t, unsigned>> starts;  // number towards the zygote: view, number of the session
    unsigned last_start = 0;
    bool over = false;  // nobody joins any more
  };

  void on_request(Control::Client&, const json&);
  void ask(Asking&, Control::Client&);
  // kept
  void keep(Control::Client&, const json&);
  void take(Control::Client&, const json&);
  void unkeep(Control::Client&, const std::string& pipeline);
  void list(Control::Client&);
  Place& place_of(const Slot&);
  void forget(std::map<Slot, Place>::iterator);
  void set_recipe(Place&, executor::Recipe);
  void fill(const Slot&);
  void fill_later(const Slot&, std::int64_t delay_ns);
  void on_made(const Slot&, const std::string& key, std::shared_ptr<Kept>, const Error*);
  static void tell_ready(Place&);
  void forget_if_unwanted(const Slot&);
  // shared
  void join(Control::Client&, const json&);
  void on_shared_made(std::uint64_t id, std::shared_ptr<Kept>, const Error*);
  void give_view(std::uint64_t id, Control::Client&);
  void on_view(std::uint64_t id, std::uint64_t view);
  void on_zygote(std::uint64_t id);
  void leave(std::uint64_t id, std::uint64_t view);
  void end_if_empty(std::uint64_t id);
  // both
  using OnMade = std::function<void(std::shared_ptr<Kept>, const Error*)>;
  void make(const executor::Recipe&, OnMade);
  std::shared_ptr<Kept> made(const executor::Recipe&, unsigned number);  // in a worker
  void drop(std::shared_ptr<Kept>, std::function<void()> then = nullptr);
  void work(std::function<void()>);
  void look_whether_idle();
  void say(const std::string& text) noexcept;  // into the log; any thread

  const std::filesystem::path folder_;
  const int log_;
  Loop loop_;
  std::shared_ptr<Interrupt> interrupt_ = std::make_shared<Interrupt>();
  UniqueFd signals_;
  Loop::Handle signals_watch_, idle_timer_;
  std::mutex mutex_;  // over the following
  std::shared_ptr<const executor::Engine> engine_;
  std::shared_ptr<executor::Removals> removals_;  // of that engine
  std::map<Slot, Place> places_;
  std::map<std::uint64_t, Lent> lent_;
  std::map<std::uint64_t, Shared> shared_;
  std::uint64_t last_id_ = 0;
  unsigned last_container_ = 0;
  std::list<std::thread> workers_;
  std::atomic<bool> ending_ = false;
  std::unique_ptr<Control> control_;
};

}  // namespace hawse::runtime
