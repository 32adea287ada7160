// SPDX-License-Identifier: Apache-2.0
#include "cli/sessions.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "runtime/control.hpp"
#include "runtime/messages.hpp"

namespace hawse::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kAnswerTimeoutMs = 5000;

std::string list_of(const std::vector<SessionSocket>& sessions) {
  std::string text;
  for (const auto& session : sessions) text += (text.empty() ? "" : ", ") + session.name();
  return text;
}

}  // namespace

SessionSocket::SessionSocket(const std::string& path) : fd_(connect_to(path)) {
  if (const uid_t uid = peer_of(fd_.get()).uid; uid != ::geteuid() && ::geteuid() != 0)
    throw Error(ErrorCode::system, "ask a session", path + ": another user's program listens there");
  about_ = must_answer({{"type", "session"}}).at(0);
}

std::vector<SessionSocket> SessionSocket::all() {
  std::vector<SessionSocket> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_dir(), error)) {
    const fs::path socket = entry.path() / runtime::kControlSocket;
    std::error_code absent;
    if (!fs::is_socket(socket, absent)) continue;
    try {
      found.push_back(SessionSocket(socket.string()));
    } catch (const Error&) {
      // It is over, and its folder goes with the next start; or it doesn't answer.
    }
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return a.about().value("uptime_ns", 0ll) > b.about().value("uptime_ns", 0ll); });
  return found;
}

SessionSocket SessionSocket::find(const std::string& wanted) {
  std::vector<SessionSocket> sessions = all();
  if (sessions.empty()) throw Error(ErrorCode::usage, "find a session", "none is running", "start one: hawse run PIPELINE");
  std::vector<SessionSocket> fits;
  const std::string running = list_of(sessions);
  for (auto& session : sessions)
    if (session.about()["id"].get<std::string>().starts_with(wanted) || session.about()["pipeline"] == wanted) fits.push_back(std::move(session));
  if (fits.empty()) throw Error(ErrorCode::usage, "find a session", "no id begins with '" + strip_control(wanted) + "', and no pipeline is called so", "running: " + running);
  if (fits.size() > 1) {
    const std::string which = wanted.empty() ? "more than one is running" : "'" + strip_control(wanted) + "' fits more than one";
    throw Error(ErrorCode::usage, "find a session", which, "name one by its id: " + list_of(fits));
  }
  return std::move(fits.front());
}

std::string SessionSocket::name() const { return fmt::format("{} ({})", about_["id"].get<std::string>(), about_["pipeline"].get<std::string>()); }

void SessionSocket::ask(json request) {
  request["version"] = runtime::kControlVersion;
  send_message(fd_.get(), request.dump());  // false: gone, which next() says
}

std::optional<Answer> SessionSocket::next(int timeout_ms) {
  pollfd wait{fd_.get(), POLLIN, 0};
  const int ready = ::poll(&wait, 1, timeout_ms);
  if (ready < 0 && errno == EINTR) return Answer{{{"type", "interrupted"}}, {}};
  if (ready <= 0) throw Error(ErrorCode::system, "ask a session", "it does not answer", "is it stopped, or the machine very busy?");
  auto message = receive_message(fd_.get());
  if (!message) return std::nullopt;
  Answer answer{json::parse(message->text, nullptr, false), std::move(message->fds)};
  if (!answer.body.is_object() || !answer.body.contains("type")) throw Error(ErrorCode::system, "ask a session", "its answer makes no sense");
  if (answer.body["type"] == "error") throw Error(ErrorCode::usage, "ask the session", strip_control(answer.body.value("text", "")), strip_control(answer.body.value("hint", "")));
  return answer;
}

std::optional<std::vector<json>> SessionSocket::answer(json request) {
  ask(std::move(request));
  std::vector<json> all;
  while (auto message = next(kAnswerTimeoutMs)) {
    if (message->body["type"] == "end") return all;
    if (message->body["type"] != "interrupted") all.push_back(std::move(message->body));
  }
  return std::nullopt;
}

std::vector<json> SessionSocket::must_answer(json request) {
  auto all = answer(std::move(request));
  if (!all) throw Error(ErrorCode::system, "ask the session", "it has just ended");
  return std::move(*all);
}

void SessionSocket::wait_for_end() {
  while (next()) {
  }
}

void SessionOptions::add_to(CLI::App& command) {
  command.add_option("session", session, "Its id, as `hawse ps` shows it, the first letters, or its pipeline's name; not needed where one runs")->type_name("SESSION");
  command.add_flag("--json", json, "As JSON");
}

std::string to_line(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string duration_in_words(std::int64_t ns) {
  const std::int64_t s = ns / 1'000'000'000;
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

}  // namespace hawse::cli
