// SPDX-License-Identifier: Apache-2.0
//
// The running sessions of this user, and a connection to one of them (docs/control.md). What `ps`, `top`, `logs`, `stop`, `restart`, `inspect` and `tap` share.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/socket.hpp"

namespace hawse::cli {

struct Answer {
  nlohmann::json body;
  std::vector<UniqueFd> fds;
};

class SessionSocket {
 public:
  static std::vector<SessionSocket> all();  // those that answer, by their start
  // By its id or the first letters of it; "": the only one. Throws Error, which lists what runs.
  static SessionSocket find(const std::string& wanted);

  const nlohmann::json& about() const noexcept { return about_; }  // its `session` message, when it was found
  std::string name() const;                                        // "captions (3f2a91c0)"
  UniqueFd release() noexcept { return std::move(fd_); }  // the connection goes on as something else

  void ask(nlohmann::json request);
  // The next message of the answer. nullopt: the session has ended. Throws Error for an answer of type `error`, and when `timeout_ms` (-1: none) passes.
  std::optional<Answer> next(int timeout_ms = -1);
  // A whole answer, without its `end`. nullopt: the session has ended.
  std::optional<std::vector<nlohmann::json>> answer(nlohmann::json request);
  std::vector<nlohmann::json> must_answer(nlohmann::json request);  // throws Error where the session has ended
  void wait_for_end();                                              // of the session

 private:
  explicit SessionSocket(const std::string& path);

  UniqueFd fd_;
  nlohmann::json about_;
};

// What each of these commands takes.
struct SessionOptions {
  std::string session;
  bool json = false;
  void add_to(CLI::App& command);
};

std::string to_line(const nlohmann::json&);              // JSON in one line, whatever bytes its texts have
std::string duration_in_words(std::int64_t ns);          // "12 s", "3 min", "2 h 5 min": for people

}  // namespace hawse::cli
