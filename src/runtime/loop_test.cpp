// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "runtime/lines.hpp"

namespace hawse::runtime {
namespace {

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

TEST(Loop, runs_timers_in_the_order_of_their_times) {
  Loop loop;
  std::string order;
  const auto last = loop.after(20'000'000, [&] {
    order += "c";
    loop.stop();
  });
  const auto second = loop.after(10'000'000, [&] { order += "b"; });
  const auto first = loop.after(1'000'000, [&] { order += "a"; });
  loop.run();
  EXPECT_EQ(order, "abc");
}

TEST(Loop, does_not_call_a_handle_that_was_reset) {
  Loop loop;
  bool called = false;
  auto timer = loop.after(1'000'000, [&] { called = true; });
  timer.reset();
  const auto end = loop.after(5'000'000, [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(called);
}

TEST(Loop, lets_a_callback_end_its_own_handle_and_another_that_is_due_in_the_same_round) {
  Loop loop;
  auto [read_a, write_a] = make_pipe();
  auto [read_b, write_b] = make_pipe();
  int calls = 0;
  Loop::Handle a, b;
  a = loop.on_readable(read_a.get(), [&] {
    ++calls;
    a.reset();
    b.reset();
  });
  b = loop.on_readable(read_b.get(), [&] {
    ++calls;
    a.reset();
    b.reset();
  });
  EXPECT_EQ(write(write_a.get(), "x", 1), 1);
  EXPECT_EQ(write(write_b.get(), "x", 1), 1);
  const auto end = loop.after(10'000'000, [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(Loop, runs_what_other_threads_post) {
  Loop loop;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 100; ++n)
        loop.post([&] {
          if (++count == 400) loop.stop();
        });
    });
  loop.run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, 400);
}

TEST(LineReader, gives_out_whole_lines_and_the_rest_at_the_end) {
  Loop loop;
  auto [read_end, write_end] = make_pipe();
  std::vector<std::string> lines;
  LineReader reader(loop, std::move(read_end), [&](std::string_view line) { lines.emplace_back(line); });
  EXPECT_EQ(write(write_end.get(), "one\ntw", 6), 6);
  reader.drain();
  EXPECT_EQ(lines, (std::vector<std::string>{"one"}));
  EXPECT_EQ(write(write_end.get(), "o\nrest", 6), 6);
  write_end.reset();
  reader.drain();
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "rest"}));
}

TEST(LineReader, cuts_a_line_that_does_not_end) {
  Loop loop;
  auto [read_end, write_end] = make_pipe();
  std::vector<std::size_t> sizes;
  LineReader reader(loop, std::move(read_end), [&](std::string_view line) { sizes.push_back(line.size()); });
  const std::string much(60'000, 'x');
  EXPECT_EQ(write(write_end.get(), much.data(), much.size()), 60'000);
  reader.drain();
  ASSERT_FALSE(sizes.empty());
  for (const std::size_t size : sizes) EXPECT_LE(size, kMaxLineBytes);
}

}  // namespace
}  // namespace hawse::runtime
