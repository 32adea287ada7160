// SPDX-License-Identifier: Apache-2.0
//
// For tests: the runtime's end of what hawse-init says (docs/protocol.md: join, streams, exited), with the real socket and real pipes.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/socket.hpp"

namespace hawse::test {

inline constexpr int kWatchdog_ms = 120'000;

inline bool readable(int fd, int timeout_ms = kWatchdog_ms) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, timeout_ms) == 1;
}

// One node's socket: listen, take the join, hand out the streams.
class RuntimeEnd {
 public:
  explicit RuntimeEnd(const std::filesystem::path& folder) : path_(folder / "socket"), listener_(listen_at(path_.string(), 0666)) {}

  const std::filesystem::path& path() const { return path_; }

  nlohmann::json take_join() {
    while (readable(listener_.get()))
      if (auto peer = accept_from(listener_.get())) {
        connection_ = std::move(*peer);
        break;
      }
    return next();
  }

  void give_streams() {
    int out[2], err[2];
    if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) throw Error::from_errno("pipe", "");
    out_.reset(out[0]);
    err_.reset(err[0]);
    const UniqueFd out_write(out[1]), err_write(err[1]);
    send_message(connection_.get(), R"({"type":"streams"})", {out_write.get(), err_write.get()});
  }

  // The next message; null at the end of the connection.
  nlohmann::json next() {
    if (!readable(connection_.get())) throw Error(ErrorCode::internal, "wait for a message", "none came");
    const auto message = receive_message(connection_.get());
    return message ? nlohmann::json::parse(message->text) : nlohmann::json();
  }

  void hang_up() { connection_.reset(); }
  std::string out() { return rest_of(out_.get()); }  // to the end
  std::string err() { return rest_of(err_.get()); }
  int connection() const { return connection_.get(); }

 private:
  static std::string rest_of(int fd) {
    std::string text;
    char block[4096];
    while (readable(fd)) {
      const ssize_t size = ::read(fd, block, sizeof block);
      if (size <= 0) break;
      text.append(block, static_cast<std::size_t>(size));
    }
    return text;
  }

  std::filesystem::path path_;
  UniqueFd listener_, connection_, out_, err_;
};

}  // namespace hawse::test
