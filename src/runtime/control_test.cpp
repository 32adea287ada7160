// SPDX-License-Identifier: Apache-2.0
//
// The control socket's transport, with a loop on a thread of its own as in a session, and clients that misbehave.
#include "runtime/control.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"
#include "runtime/messages.hpp"

namespace hawse::runtime {
namespace {

using nlohmann::json;

class ControlSocket : public testing::Test {
 protected:
  void start(Control::Handler handler) {
    control_.emplace(loop_, path_, std::move(handler));
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    loop_.post([this] { loop_.stop(); });
    thread_.join();
    control_.reset();
  }
  static void ask(const UniqueFd& fd, json request) {
    request["version"] = kControlVersion;
    send_message(fd.get(), request.dump());
  }
  // null: hung up
  static json next(const UniqueFd& fd) {
    pollfd wait{fd.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 10'000), 1) << "it hangs";
    const auto message = receive_message(fd.get());
    return message ? json::parse(message->text) : json();
  }

  ScopedDir folder_{"/tmp", "control"};
  const std::string path_ = folder_.path() / kControlSocket;
  Loop loop_;
  std::optional<Control> control_;
  std::thread thread_;
};

TEST_F(ControlSocket, answers_each_request_and_then_the_next) {
  start([](Control::Client& client, const json& request) {
    client.send({{"type", request["type"]}});
    client.end();
  });
  const UniqueFd fd = connect_to(path_);
  for (const char* type : {"status", "session"}) {
    ask(fd, {{"type", type}});
    EXPECT_EQ(next(fd)["type"], type);
    EXPECT_EQ(next(fd)["type"], "end");
  }
}

TEST_F(ControlSocket, refuses_what_is_no_request_in_words_and_hangs_up) {
  std::atomic<int> asked = 0;
  start([&](Control::Client& client, const json&) {
    ++asked;
    client.end();
  });
  const std::pair<const char*, const char*> bad[] = {{"{", "not JSON"},
                                                     {R"({"type":"format_disk","version":1})", "unknown message"},
                                                     {R"({"type":"stop","version":2})", "version 2"},
                                                     {R"({"type":"stop"})", "version null"},
                                                     {R"({"type":"restart","version":1})", "bad node"},
                                                     {R"({"type":"stop","now":"yes","version":1})", "bad now"}};
  for (const auto& [text, words] : bad) {
    const UniqueFd fd = connect_to(path_);
    send_message(fd.get(), text);
    const json answer = next(fd);
    EXPECT_EQ(answer["type"], "error");
    EXPECT_NE(answer["text"].get<std::string>().find(words), std::string::npos) << answer;
    EXPECT_TRUE(next(fd).is_null());
  }
  const UniqueFd fd = connect_to(path_);
  send_message(fd.get(), R"({"type":"stop","version":1})", {0});
  EXPECT_NE(next(fd)["text"].get<std::string>().find("file descriptors"), std::string::npos);
  EXPECT_EQ(asked, 0);
}

TEST_F(ControlSocket, drops_a_client_that_does_not_read_its_answer_and_serves_the_others) {
  start([](Control::Client& client, const json& request) {
    if (request["type"] == "status")
      for (int i = 0; i < 1000; ++i) client.send({{"text", std::string(60'000, 'x')}});
    client.end();
  });
  const UniqueFd slow = connect_to(path_), other = connect_to(path_);
  ask(slow, {{"type", "status"}});
  ask(other, {{"type", "session"}});
  EXPECT_EQ(next(other)["type"], "end");
  int read = 0;
  while (!next(slow).is_null()) ++read;
  EXPECT_LT(read, 1000);
}

TEST_F(ControlSocket, makes_a_long_answer_as_the_client_reads_it) {
  std::atomic<int> made = 0;
  constexpr int kMessages = 2000;
  start([&](Control::Client& client, const json&) {
    client.go_on([&] {
      if (made == kMessages) {
        client.end();
        ++made;
        return false;
      }
      if (made > kMessages) return false;
      client.send({{"number", made++}, {"text", std::string(10'000, 'x')}});
      return true;
    });
  });
  const UniqueFd fd = connect_to(path_);
  ask(fd, {{"type", "logs"}});
  EXPECT_EQ(next(fd)["number"], 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(made, kMessages) << "the rest waits for its reader";
  for (int i = 1; i < kMessages; ++i) ASSERT_EQ(next(fd)["number"], i);
  EXPECT_EQ(next(fd)["type"], "end");
}

TEST_F(ControlSocket, takes_a_descriptor_along_and_says_when_a_client_is_gone) {
  std::atomic<bool> gone = false;
  start([&](Control::Client& client, const json&) {
    client.when_gone([&] { gone = true; });
    client.send({{"type", "memory"}}, {0, 1});
  });
  {
    const UniqueFd fd = connect_to(path_);
    ask(fd, {{"type", "session"}});
    const auto message = receive_message(fd.get());
    ASSERT_TRUE(message);
    EXPECT_EQ(message->fds.size(), 2u);
    for (const int fd_given : {0, 1}) EXPECT_NE(::fcntl(fd_given, F_GETFD), -1) << "its owner keeps it";
    EXPECT_FALSE(gone);
  }
  while (!gone) std::this_thread::yield();
}

TEST_F(ControlSocket, has_room_for_so_many_clients_and_turns_the_next_away_with_words) {
  start([](Control::Client& client, const json&) { client.end(); });
  std::vector<UniqueFd> clients;
  std::size_t turned_away = 0;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(connect_to(path_));
    ask(clients.back(), {{"type", "session"}});
    if (next(clients.back())["type"] == "error") ++turned_away;
  }
  EXPECT_EQ(turned_away, 8u);
  clients.clear();
  for (;;) {  // room again, as soon as the loop has seen them go
    const UniqueFd again = connect_to(path_);
    ask(again, {{"type", "session"}});
    if (next(again)["type"] == "end") break;
  }
}

// Root may become somebody else for a moment; others can't.
TEST_F(ControlSocket, refuses_another_user_even_where_the_files_let_him_in) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  start([](Control::Client& client, const json&) { client.end(); });
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
  std::filesystem::permissions(path_, std::filesystem::perms::all);
  ASSERT_EQ(::syscall(SYS_setresuid, -1, 65534, -1), 0);  // this thread only: glibc's own call changes all of them
  const UniqueFd fd = connect_to(path_);
  ASSERT_EQ(::syscall(SYS_setresuid, -1, 0, -1), 0);
  EXPECT_NE(next(fd)["text"].get<std::string>().find("another user"), std::string::npos);
  EXPECT_TRUE(next(fd).is_null());
}

}  // namespace
}  // namespace hawse::runtime
