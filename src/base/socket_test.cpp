// SPDX-License-Identifier: Apache-2.0
#include "base/socket.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"

namespace hawse {
namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

// Sends what send_message() refuses to.
void send_raw(int socket, std::size_t bytes, std::size_t fd_count) {
  std::string text(bytes, 'x');
  iovec part{text.data(), text.size()};
  std::vector<char> control(CMSG_SPACE(fd_count * sizeof(int)));
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd_count > 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    for (std::size_t i = 0; i < fd_count; ++i) reinterpret_cast<int*>(CMSG_DATA(rights))[i] = 0;
  }
  ASSERT_EQ(::sendmsg(socket, &header, 0), static_cast<ssize_t>(bytes));
}

TEST(Socket, keeps_message_boundaries) {
  auto [a, b] = socket_pair();
  EXPECT_TRUE(send_message(a.get(), "one"));
  EXPECT_TRUE(send_message(a.get(), "two"));
  EXPECT_EQ(receive_message(b.get())->text, "one");
  EXPECT_EQ(receive_message(b.get())->text, "two");
}

TEST(Socket, carries_the_largest_message_with_descriptors_that_close_on_exec) {
  auto [a, b] = socket_pair();
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const UniqueFd in(pipe_fds[0]), out(pipe_fds[1]);
  EXPECT_TRUE(send_message(a.get(), std::string(kMaxMessageBytes, 'm'), {out.get(), in.get()}));
  const std::optional<Message> message = receive_message(b.get());
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, std::string(kMaxMessageBytes, 'm'));
  ASSERT_EQ(message->fds.size(), 2u);
  EXPECT_EQ(::fcntl(message->fds[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::write(message->fds[0].get(), "!", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(in.get(), &byte, 1), 1);
  EXPECT_EQ(byte, '!');
}

TEST(Socket, refuses_a_message_over_the_limits_and_closes_its_descriptors) {
  auto [a, b] = socket_pair();
  EXPECT_THROW(send_message(a.get(), std::string(kMaxMessageBytes + 1, 'm')), Error);
  EXPECT_THROW(send_message(a.get(), ""), Error);
  const std::size_t before = open_descriptors();
  send_raw(a.get(), kMaxMessageBytes + 1, 3);
  EXPECT_THROW(receive_message(b.get()), Error);
  send_raw(a.get(), 10, kMaxMessageFds + 1);
  EXPECT_THROW(receive_message(b.get()), Error);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_TRUE(send_message(a.get(), "next"));
  EXPECT_EQ(receive_message(b.get())->text, "next");
}

TEST(Socket, tells_the_end_from_nothing_there) {
  auto [a, b] = socket_pair();
  const std::optional<Message> nothing = receive_message(b.get(), true);
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->text.empty());
  send_message(b.get(), "never read");
  a.reset();
  EXPECT_FALSE(receive_message(b.get()));
  EXPECT_FALSE(send_message(b.get(), "anyone?"));
}

TEST(Socket, a_peer_that_does_not_read_is_an_error_where_the_sender_must_not_wait) {
  auto [a, b] = socket_pair();
  const std::string text(kMaxMessageBytes, 'm');
  EXPECT_THROW(
      for (int i = 0; i < 1000; ++i) send_message(a.get(), text, {}, true), Error);
}

TEST(Socket, listens_with_the_mode_asked_for_and_knows_its_peer) {
  const ScopedDir folder("/tmp");
  const std::string path = folder.path() / "socket";
  UniqueFd listener = listen_at(path, 0640);
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0640u);
  EXPECT_FALSE(accept_from(listener.get()));
  const UniqueFd client = connect_to(path);
  const std::optional<UniqueFd> server = accept_from(listener.get());
  ASSERT_TRUE(server);
  EXPECT_EQ(peer_of(server->get()).pid, ::getpid());
  EXPECT_EQ(peer_of(server->get()).uid, ::getuid());
  EXPECT_TRUE(send_message(client.get(), "hello"));
  EXPECT_EQ(receive_message(server->get())->text, "hello");
}

TEST(Socket, replaces_a_stale_socket_and_leaves_a_live_one) {
  const ScopedDir folder("/tmp");
  const std::string path = folder.path() / "socket";
  UniqueFd listener = listen_at(path, 0600);
  EXPECT_THROW(listen_at(path, 0600), Error);
  listener.reset();
  EXPECT_NO_THROW(listen_at(path, 0600));
  EXPECT_THROW(connect_to(std::string(200, 'p')), Error);
}

TEST(Fd, moves_and_duplicates) {
  auto [a, b] = socket_pair();
  UniqueFd copy = a.duplicate();
  EXPECT_NE(copy.get(), a.get());
  EXPECT_EQ(::fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
  const int number = copy.get();
  UniqueFd moved = std::move(copy);
  EXPECT_EQ(moved.get(), number);
  moved.reset();
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
  EXPECT_THROW(UniqueFd().duplicate(), Error);
}

}  // namespace
}  // namespace hawse
