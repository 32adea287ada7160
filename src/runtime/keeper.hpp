// SPDX-License-Identifier: Apache-2.0
//
// The keeper of what is warm: a process of its own for each user and run folder, started by whoever first wants one (executor/warm.hpp), and gone when nothing is
// left to keep.
//
//   kept       zygotes that wait for a node of a pipeline, each a process or in a container: so many as its manifest (`pool`) or `hawse warm` asks for. One is
//              lent once; another one is made in the background. What has another key than the recipe of now goes at once.
//   lent       the session has the zygote's socket and one end of a pair; its hang-up, however the session ends, ends the process or removes the container.
//   shared     one container for all sessions whose recipe has its key. Each has a socket of its own, and this passes on what it says to the zygote: `fork`,
//              `reap`, `kill`, with numbers that differ. Whoever hangs up has his nodes killed; the last one takes the container along.
//
// Ownership. It owns all that it made, lent and shared ones included. If it is killed, its processes end with it; containers, which name it as their owner in
//            their labels, are swept by the next start of a session.
// Threading. The loop's thread starts processes (they end with the thread that started them); workers make containers, wait for what is imported, remove, and
//            post their results.
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

#include "executor/container/engine.hpp"
#include "executor/container/removals.hpp"
#include "executor/warm.hpp"
#include "executor/zygote.hpp"
#include "runtime/control.hpp"
#include "runtime/keeper_log.hpp"
#include "runtime/loop.hpp"

namespace hawse::runtime {

class Keeper {
 public:
  Keeper(std::filesystem::path folder, std::filesystem::path log);  // folder: its own
  ~Keeper();   // ends all of them
  void run();  // until nothing is left to keep, or SIGTERM

 private:
  using json = nlohmann::json;

  struct Kept {
    std::unique_ptr<executor::ZygoteHome> home;
    UniqueFd zygote;
    pid_t pid = 0;          // as Lent::pid
    std::string container;  // its id
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
  // In a worker. They throw Error.
  std::shared_ptr<Kept> container_of(const executor::Recipe&, unsigned number, int output);
  void wait_until_imported(Kept&, const executor::Recipe&);
  void drop(std::shared_ptr<Kept>, std::function<void()> then = nullptr);
  void work(std::function<void()>);
  void look_whether_idle();
  void say(const std::string& text) noexcept;  // into the log; any thread
  UniqueFd output();                           // for what a zygote prints until it silences itself, and what its module has started prints later

  const std::filesystem::path folder_;
  KeeperLog log_;
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
  unsigned last_made_ = 0;
  struct Printing {
    UniqueFd pipe;
    Loop::Handle watch;
  };
  std::map<std::uint64_t, Printing> printing_;
  std::list<std::thread> workers_;
  std::atomic<bool> ending_ = false;
  std::unique_ptr<Control> control_;
};

}  // namespace hawse::runtime
