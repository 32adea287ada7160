// SPDX-License-Identifier: Apache-2.0
//
// What the keeper is asked, what waits, and how it is made and ended. keeper_shared.cpp: containers that several sessions have.
#include "runtime/keeper.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"
#include "executor/container/container_spec.hpp"
#include "executor/container/container_zygote.hpp"
#include "executor/container/join_point.hpp"
#include "executor/container/ownership.hpp"
#include "executor/process_zygote.hpp"
#include "plane/port.hpp"

namespace hawse::runtime {

using executor::Recipe;

namespace {

constexpr std::int64_t kRefillAfter_ns = 500'000'000;  // a start that was given one has the processor for itself first
constexpr std::int64_t kIdle_ns = 2'000'000'000;
constexpr std::int64_t kLongestPause_ns = 60'000'000'000;

}  // namespace

Keeper::Keeper(std::filesystem::path folder, std::filesystem::path log) : folder_(std::move(folder)), log_(std::move(log)) {
  sigset_t caught;
  sigemptyset(&caught);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&caught, number);
  sigprocmask(SIG_BLOCK, &caught, nullptr);
  signals_.reset(signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK));
  signals_watch_ = loop_.on_readable(signals_.get(), [this] {
    say("a signal ends the keeper");
    loop_.stop();
  });
  control_ =
      std::make_unique<Control>(loop_, folder_ / "socket", [this](Control::Client& client, const json& request) { on_request(client, request); });
  look_whether_idle();
}

Keeper::~Keeper() {
  ending_ = true;
  std::error_code gone;
  std::filesystem::remove(folder_ / "socket", gone);
  control_.reset();
  interrupt_->now();
  for (auto& worker : workers_) worker.join();
  workers_.clear();
  for (auto& [slot, place] : places_)
    for (auto& kept : place.waiting) drop(std::move(kept));
  for (auto& [id, lent] : lent_) drop(std::move(lent.kept));
  for (auto& [id, shared] : shared_)
    if (shared.kept) drop(std::move(shared.kept));
  for (auto& worker : workers_) worker.join();
}

void Keeper::run() { loop_.run(); }

void Keeper::say(const std::string& text) noexcept {
  char time[32] = "";
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  if (::localtime_r(&now, &local) != nullptr) std::strftime(time, sizeof time, "%F %T ", &local);
  log_.write(time + text + "\n");
}

// A pipe each: one who has one could make it non-blocking for the others.
UniqueFd Keeper::output() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno("keep a node warm", "pipe");
  const std::uint64_t id = ++last_id_;
  Printing& one = printing_[id];
  one.pipe.reset(ends[0]);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  one.watch = loop_.on_readable(ends[0], [this, id, from = ends[0]] {
    char printed[4096];
    const ssize_t size = ::read(from, printed, sizeof printed);
    if (size > 0) return log_.write({printed, static_cast<std::size_t>(size)});
    if (size == 0) printing_.erase(id);
  });
  return UniqueFd(ends[1]);
}

void Keeper::on_request(Control::Client& client, const json& request) {
  const std::string type = request["type"];
  try {
    if (type == "keep")
      keep(client, request);
    else if (type == "take")
      take(client, request);
    else if (type == "join")
      join(client, request);
    else if (type == "unkeep")
      unkeep(client, request["pipeline"]);
    else if (type == "warm")
      list(client);
    else
      client.fail("a keeper knows no '" + type + "'");
  } catch (const json::exception&) {
    client.fail("a recipe that makes no sense");
  }
  look_whether_idle();
}

void Keeper::ask(Asking& asking, Control::Client& client) {
  asking.push_back(&client);
  client.when_gone([this, gone = &client] {
    for (auto& [slot, place] : places_) std::erase(place.asking, gone);
    for (auto& [id, shared] : shared_) std::erase(shared.asking, gone);
  });
}

// ---- containers that wait ---------------------------------------------------------------------------------------------------

void Keeper::keep(Control::Client& client, const json& request) {
  const Slot slot{request["pipeline"], request["node"]};
  Recipe recipe = executor::recipe_from(request["recipe"]);
  Place& place = place_of(slot);
  set_recipe(place, std::move(recipe));
  const bool wait = request["wait"];
  (wait ? place.by_user : place.by_manifest) = request["count"].get<unsigned>();
  place.failures = 0;
  if (!wait) {
    client.send({{"type", "kept"}});
    return fill_later(slot, kRefillAfter_ns);
  }
  fill(slot);
  ask(place.asking, client);
  tell_ready(place);
}

void Keeper::take(Control::Client& client, const json& request) {
  const Slot slot{request["pipeline"], request["node"]};
  const unsigned count = request["count"];
  Recipe recipe = executor::recipe_from(request["recipe"]);
  if (count == 0 && !places_.contains(slot)) return client.send({{"type", "none"}});
  Place& place = place_of(slot);
  set_recipe(place, std::move(recipe));
  place.by_manifest = count;
  while (!place.waiting.empty() && readable(place.waiting.front()->home->ended_fd(), 0)) {  // its watch hasn't been called yet
    drop(std::move(place.waiting.front()));
    place.waiting.pop_front();
  }
  if (place.waiting.empty()) {
    client.send({{"type", "none"}});
    fill_later(slot, kRefillAfter_ns);
    return forget_if_unwanted(slot);
  }
  auto [ours, theirs] = socket_pair();
  const std::uint64_t id = ++last_id_;
  Lent& lent = lent_[id];
  lent.slot = slot;
  lent.kept = std::move(place.waiting.front());
  place.waiting.pop_front();
  lent.kept->ended.reset();
  lent.session = std::move(ours);
  lent.watch = loop_.on_readable(lent.session.get(), [this, id] {
    auto back = lent_.extract(id);
    drop(std::move(back.mapped().kept));
  });
  client.send({{"type", "lent"}, {"container", lent.kept->container}, {"pid", lent.kept->pid}, {"shared", false}},
              {lent.kept->zygote.get(), theirs.get()});
  lent.kept->zygote.reset();
  fill_later(slot, kRefillAfter_ns);
}

void Keeper::unkeep(Control::Client& client, const std::string& pipeline) {
  std::vector<std::shared_ptr<Kept>> gone;
  for (auto place = places_.begin(); place != places_.end();) {
    if (!pipeline.empty() && place->first.first != pipeline) {
      ++place;
      continue;
    }
    for (auto* asking : Asking(place->second.asking)) asking->fail("it isn't kept any more");
    for (auto& kept : place->second.waiting) gone.push_back(std::move(kept));
    forget(place++);  // those that are being made find no place, and go
  }
  if (gone.empty()) return client.send({{"type", "unkept"}, {"removed", 0}});
  auto left = std::make_shared<std::size_t>(gone.size());
  auto answer = std::make_shared<Control::Client*>(&client);
  client.when_gone([answer] { *answer = nullptr; });
  for (auto& kept : gone)
    drop(std::move(kept), [left, answer, removed = gone.size()] {
      if (--*left == 0 && *answer != nullptr) (*answer)->send({{"type", "unkept"}, {"removed", removed}});
    });
}

void Keeper::list(Control::Client& client) {
  std::map<Slot, unsigned> lent;
  for (const auto& [id, one] : lent_) ++lent[one.slot];
  for (const auto& [slot, place] : places_) lent.try_emplace(slot, 0);
  for (const auto& [slot, count] : lent) {
    json line = {{"type", "warm"}, {"pipeline", slot.first},     {"node", slot.second}, {"lent", count}, {"waiting", 0}, {"making", 0},
                 {"wanted", 0},    {"where", json::array()}};
    if (const auto place = places_.find(slot); place != places_.end()) {
      line["waiting"] = place->second.waiting.size();
      line["making"] = place->second.making;
      line["wanted"] = place->second.wanted();
      for (const auto& kept : place->second.waiting) line["where"].push_back(kept->home->name());
      if (!place->second.error.empty()) line["error"] = place->second.error;
    }
    client.send(line);
  }
  for (const auto& [id, shared] : shared_) {
    client.send({{"type", "warm"},
                 {"node", shared.recipe.container["Labels"].value("hawse.node", "")},
                 {"sessions", shared.views.size()},
                 {"where", {shared.kept ? shared.kept->home->name() : ""}}});
  }
  client.end();
}

// A session looks at a file before it asks.
Keeper::Place& Keeper::place_of(const Slot& slot) {
  const auto [place, is_new] = places_.try_emplace(slot);
  if (is_new) write_file(folder_ / executor::mark_of(slot.first, slot.second), "");
  return place->second;
}

void Keeper::forget(std::map<Slot, Place>::iterator place) {
  std::error_code gone;
  std::filesystem::remove(folder_ / executor::mark_of(place->first.first, place->first.second), gone);
  places_.erase(place);
}

// What was made by another recipe is of no use to anybody any more.
void Keeper::set_recipe(Place& place, Recipe recipe) {
  if (place.recipe.key == recipe.key) return;
  for (auto& kept : place.waiting) drop(std::move(kept));
  place.waiting.clear();
  place.recipe = std::move(recipe);
  place.failures = 0;
  place.error.clear();
}

void Keeper::fill(const Slot& slot) {
  const auto found = places_.find(slot);
  if (found == places_.end()) return;
  Place& place = found->second;
  while (place.waiting.size() > place.wanted()) {
    drop(std::move(place.waiting.back()));
    place.waiting.pop_back();
  }
  while (place.waiting.size() + place.making < place.wanted()) {
    ++place.making;
    make(place.recipe,
         [this, slot, key = place.recipe.key](std::shared_ptr<Kept> kept, const Error* error) { on_made(slot, key, std::move(kept), error); });
  }
  forget_if_unwanted(slot);
}

void Keeper::fill_later(const Slot& slot, std::int64_t delay_ns) {
  const auto found = places_.find(slot);
  if (found != places_.end()) found->second.timer = loop_.after(delay_ns, [this, slot] { fill(slot); });
}

void Keeper::on_made(const Slot& slot, const std::string& key, std::shared_ptr<Kept> kept, const Error* error) {
  const auto found = places_.find(slot);
  if (found != places_.end() && found->second.making > 0) --found->second.making;
  const bool fits = found != places_.end() && found->second.recipe.key == key;
  if (!fits) {
    if (kept) drop(std::move(kept));
    return found == places_.end() ? look_whether_idle() : fill(slot);
  }
  Place& place = found->second;
  if (error != nullptr) {
    place.error = error->what();
    say(slot.first + ": " + slot.second + ": " + place.error);
    for (auto* asking : Asking(place.asking)) asking->fail(error->what(), error->hint());
    place.asking.clear();
    return fill_later(slot, std::min(kLongestPause_ns, std::int64_t{1'000'000'000} << std::min(place.failures++, 6u)));
  }
  place.failures = 0;
  place.error.clear();
  Kept& one = *kept;
  place.waiting.push_back(std::move(kept));
  one.ended = loop_.on_readable(one.home->ended_fd(), [this, slot, which = &one] {
    const auto place_of = places_.find(slot);
    if (place_of == places_.end()) return;
    auto& waiting = place_of->second.waiting;
    const auto dead = std::ranges::find_if(waiting, [&](const auto& each) { return each.get() == which; });
    if (dead == waiting.end()) return;
    say(slot.first + ": " + slot.second + ": " + (*dead)->home->name() + ", which waited, has ended");
    drop(std::move(*dead));
    waiting.erase(dead);
    fill_later(slot, kRefillAfter_ns);
  });
  tell_ready(place);
  fill(slot);
}

void Keeper::tell_ready(Place& place) {
  if (place.waiting.size() < place.wanted()) return;
  for (auto* asking : std::exchange(place.asking, {})) asking->send({{"type", "kept"}, {"waiting", place.waiting.size()}});
}

void Keeper::forget_if_unwanted(const Slot& slot) {
  const auto found = places_.find(slot);
  if (found == places_.end() || found->second.wanted() > 0 || !found->second.waiting.empty() || found->second.making > 0) return;
  // Its own timer may have called this.
  loop_.post([this, slot] {
    const auto place = places_.find(slot);
    if (place != places_.end() && place->second.wanted() == 0 && place->second.waiting.empty() && place->second.making == 0) forget(place);
    look_whether_idle();
  });
}

// ---- making and removing ----------------------------------------------------------------------------------------------------

void Keeper::make(const Recipe& recipe, OnMade then) {
  const unsigned number = ++last_made_;
  const auto prints = std::make_shared<UniqueFd>();
  std::shared_ptr<Kept> process;
  std::shared_ptr<Error> failed;
  try {
    *prints = output();
    if (!recipe.process.is_null()) {
      auto started = executor::start_zygote(recipe, "keeper-zygote." + std::to_string(number), prints->get());
      process = std::make_shared<Kept>(Kept{std::move(started.home), std::move(started.socket), started.pid, "", {}});
    }
  } catch (const Error& error) {
    failed = std::make_shared<Error>(error);
  }
  work([this, recipe, number, prints, process, failed, then = std::move(then)] {
    std::shared_ptr<Kept> kept = process;
    std::shared_ptr<Error> error = failed;
    try {
      if (!kept && !error) kept = container_of(recipe, number, prints->get());
      if (kept) wait_until_imported(*kept, recipe);
    } catch (const Error& thrown) {
      error = std::make_shared<Error>(thrown);
    } catch (const std::exception& thrown) {
      error = std::make_shared<Error>(ErrorCode::internal, "keep a node warm", thrown.what());
    }
    if (error) kept.reset();
    loop_.post([kept, error, then] { then(kept, error.get()); });
  });
}

std::shared_ptr<Keeper::Kept> Keeper::container_of(const Recipe& recipe, unsigned number, int output) {
  std::shared_ptr<const executor::Engine> engine;
  std::shared_ptr<executor::Removals> removals;
  {
    const std::lock_guard lock(mutex_);
    if (!engine_) {
      engine_ = std::make_shared<const executor::Engine>(executor::Engine::find_socket(), interrupt_);
      removals_ = std::make_shared<executor::Removals>(engine_);
    }
    engine = engine_;
    removals = removals_;
  }
  executor::JoinPoint point(folder_ / ("join" + std::to_string(number)));
  json body = recipe.container;
  for (const auto& [name, value] : executor::owner_labels("warm")) body["Labels"][name] = value;
  executor::set_join(body, point.socket(), point.token());
  const std::string name = "hawse-warm-" + std::to_string(::getpid()) + "-" + body["Labels"].value("hawse.node", "") + "-" + std::to_string(number);
  auto container = std::make_unique<executor::ContainerInstance>(engine, removals, name, body, std::nullopt, [this, name](const std::string& text) { say(name + ": " + text); });
  for (const auto& warning : container->warnings()) say(name + ": its engine says: " + warning);
  UniqueFd zygote = point.wait(container->ended_fd(), recipe.timeout_ns, interrupt_.get());
  if (!zygote)
    throw Error(ErrorCode::engine, "start a container", "it has ended before its node came to life: " + container->collect().text,
                "run the pipeline without what is kept warm: it says more");
  send_message(zygote.get(), R"({"type":"streams"})", {output, output});
  const pid_t init = peer_of(zygote.get()).pid;
  const std::string id = container->id();
  return std::make_shared<Kept>(Kept{std::make_unique<executor::ContainerHome>(std::move(container), init), std::move(zygote), init, id, {}});
}

// `reap` is answered when the import is over.
void Keeper::wait_until_imported(Kept& kept, const Recipe& recipe) {
  const std::int64_t end_ns = plane::monotonic_ns() + recipe.timeout_ns;
  send_message(kept.zygote.get(), recipe.import.dump());
  send_message(kept.zygote.get(), R"({"type":"reap","number":0,"sweep":false})");
  while (plane::monotonic_ns() < end_ns) {
    interrupt_->check("keep a node warm");
    if (!readable(kept.zygote.get(), 100)) continue;
    const auto message = receive_message(kept.zygote.get(), true);
    const json said = message ? executor::Zygote::heard(message->text) : json();
    if (said.is_null() || said["type"] != "reaped") break;
    if (recipe.process.is_null() || !said.contains("threads")) return;
    throw Error(ErrorCode::environment, "keep a node warm", "its module leaves threads running when it is imported, and such a process can't be forked",
                "executor: container can be kept warm all the same: its zygote is the node itself then");
  }
  throw Error(ErrorCode::engine, "keep a node warm", "the import of its module has ended " + kept.home->name() + ", or takes longer than start_timeout",
              "what it printed is in " + executor::keeper_log().string());
}

void Keeper::drop(std::shared_ptr<Kept> kept, std::function<void()> then) {
  kept->ended.reset();
  kept->zygote.reset();
  work([this, home = std::shared_ptr<executor::ZygoteHome>(std::move(kept->home)), then = std::move(then)]() mutable {
    home.reset();
    if (!ending_)
      loop_.post([this, then] {
        if (then) then();
        look_whether_idle();
      });
  });
}

void Keeper::work(std::function<void()> task) {
  const auto worker = workers_.emplace(workers_.end());
  *worker = std::thread([this, worker, task = std::move(task)] {
    task();
    if (ending_) return;
    loop_.post([this, worker] {
      worker->join();
      workers_.erase(worker);
      look_whether_idle();
    });
  });
}

void Keeper::look_whether_idle() {
  if (!places_.empty() || !lent_.empty() || !shared_.empty() || !workers_.empty()) return idle_timer_.reset();
  if (!idle_timer_) idle_timer_ = loop_.after(kIdle_ns, [this] { loop_.stop(); });
}

}  // namespace hawse::runtime
