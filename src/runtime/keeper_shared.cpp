// SPDX-License-Identifier: Apache-2.0
//
// Containers that several sessions have: who joins, what they say to the one zygote, and who leaves.
#include <sys/socket.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/socket.hpp"
#include "runtime/keeper.hpp"

namespace hawse::runtime {

using nlohmann::json;

namespace {

// Neither a session nor a zygote that doesn't read may hold up the others: its own end is seen soon.
void pass_on(int socket, const json& message, const std::vector<UniqueFd>& fds = {}) {
  std::vector<int> numbers;
  for (const auto& fd : fds) numbers.push_back(fd.get());
  try {
    try_send_message(socket, message.dump(-1, ' ', false, json::error_handler_t::replace), numbers);
  } catch (const Error&) {
  }
}

std::optional<Message> received(int socket) {
  try {
    return receive_message(socket, true);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

void Keeper::join(Control::Client& client, const json& request) {
  executor::Recipe recipe = executor::recipe_from(request["recipe"]);
  const auto fits = [&](const auto& one) { return !one.second.over && one.second.recipe.key == recipe.key; };
  auto found = std::ranges::find_if(shared_, fits);
  if (found != shared_.end() && found->second.kept) return give_view(found->first, client);
  if (found == shared_.end()) {
    const std::uint64_t id = ++last_id_;
    found = shared_.try_emplace(id).first;
    make(recipe, [this, id](std::shared_ptr<Kept> kept, const Error* error) { on_shared_made(id, std::move(kept), error); });
    found->second.recipe = std::move(recipe);
  }
  ask(found->second.asking, client);
}

void Keeper::on_shared_made(std::uint64_t id, std::shared_ptr<Kept> kept, const Error* error) {
  Shared& shared = shared_.at(id);
  Asking asking = std::exchange(shared.asking, {});
  if (error != nullptr) {
    say(std::string("a shared container: ") + error->what());
    shared_.erase(id);
    for (auto* client : asking) client->fail(error->what(), error->hint());
    return look_whether_idle();
  }
  shared.kept = std::move(kept);
  shared.watch = loop_.on_readable(shared.kept->zygote.get(), [this, id] { on_zygote(id); });
  for (auto* client : asking) give_view(id, *client);
  end_if_empty(id);  // whoever wanted it may have gone meanwhile
}

void Keeper::give_view(std::uint64_t id, Control::Client& client) {
  Shared& shared = shared_.at(id);
  auto [ours, theirs] = socket_pair();
  const std::uint64_t view = ++last_id_;
  View& one = shared.views[view];
  one.session = std::move(ours);
  one.watch = loop_.on_readable(one.session.get(), [this, id, view] { on_view(id, view); });
  client.send({{"type", "lent"}, {"container", shared.kept->container}, {"pid", shared.kept->pid}, {"shared", true}}, {theirs.get()});
}

// What a session says to the zygote.
void Keeper::on_view(std::uint64_t id, std::uint64_t view) {
  Shared& shared = shared_.at(id);
  auto message = received(shared.views.at(view).session.get());
  if (!message) return leave(id, view);
  json said = json::parse(message->text, nullptr, false);
  if (!said.is_object() || !said.value("number", json()).is_number_unsigned()) return;
  const unsigned number = said["number"];
  const json type = said.value("type", json());
  auto start = std::ranges::find_if(shared.starts, [&](const auto& one) { return one.second == std::pair(view, number); });
  if (type == "fork" && start == shared.starts.end()) start = shared.starts.emplace(++shared.last_start, std::pair(view, number)).first;
  if (start == shared.starts.end()) {
    if (type == "reap") pass_on(shared.views.at(view).session.get(), {{"type", "reaped"}, {"number", number}});
    return;
  }
  said["number"] = start->first;
  if (type == "reap") said["sweep"] = false;  // others run there
  if (type == "fork" || type == "reap" || type == "kill") pass_on(shared.kept->zygote.get(), said, message->fds);
}

// What the zygote, or the container's init, says.
void Keeper::on_zygote(std::uint64_t id) {
  Shared& shared = shared_.at(id);
  const auto message = received(shared.kept->zygote.get());
  json said = message ? executor::Zygote::heard(message->text) : json();
  if (message && said.is_null()) return;
  if (message && said["type"] == "reaped") {
    const auto start = shared.starts.find(said.value("number", 0u));
    if (start == shared.starts.end()) return;
    const auto [view, number] = start->second;
    shared.starts.erase(start);
    said["number"] = number;
    if (const auto found = shared.views.find(view); found != shared.views.end()) pass_on(found->second.session.get(), said);
    return;
  }
  // The zygote has ended, or all of it: whoever joins from now on gets a new one, and this one goes when all have looked at what is left.
  say("a shared container's zygote has ended");
  shared.over = true;
  shared.watch.reset();
  for (auto& [view, one] : shared.views) {
    if (message) pass_on(one.session.get(), said);
    ::shutdown(one.session.get(), SHUT_WR);
  }
  end_if_empty(id);
}

void Keeper::leave(std::uint64_t id, std::uint64_t view) {
  Shared& shared = shared_.at(id);
  for (auto start = shared.starts.begin(); start != shared.starts.end();) {
    if (start->second.first != view) {
      ++start;
      continue;
    }
    for (const char* what : {"kill", "reap"}) pass_on(shared.kept->zygote.get(), {{"type", what}, {"number", start->first}, {"sweep", false}});
    start = shared.starts.erase(start);
  }
  shared.views.erase(view);
  end_if_empty(id);
}

void Keeper::end_if_empty(std::uint64_t id) {
  auto& shared = shared_.at(id);
  if (!shared.views.empty() || !shared.asking.empty()) return;
  shared.watch.reset();
  drop(std::move(shared.kept));
  shared_.erase(id);
}

}  // namespace hawse::runtime
