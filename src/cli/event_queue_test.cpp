// SPDX-License-Identifier: Apache-2.0
#include "cli/event_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <vector>

namespace hawse::cli {
namespace {

using runtime::Event;

Event line(const std::string& text) { return {"log", "node", {{"stream", "stdout"}, {"text", text}}}; }

TEST(EventQueue, prints_everything_in_order_before_it_ends) {
  std::string printed;
  {
    EventQueue queue([&](const Event& event) { printed += event.data["text"].get<std::string>(); });
    for (const char* text : {"a", "b", "c"}) queue.push(line(text));
  }
  EXPECT_EQ(printed, "abc");
}

TEST(EventQueue, goes_on_after_an_event_that_cannot_be_printed) {
  std::string printed;
  testing::internal::CaptureStderr();
  {
    EventQueue queue([&](const Event& event) { printed += event.data["text"].get<std::string>(); });
    queue.push(line("a"));
    queue.push({"notice", "", {{"no", "text"}}});
    queue.push(line("c"));
  }
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_EQ(printed, "ac");
  EXPECT_TRUE(told.starts_with("hawse: internal error: an event 'notice' of the session could not be printed: JSON was not as expected")) << told;
}

TEST(EventQueue, never_waits_for_a_printer_that_stands_still_and_says_how_many_lines_that_cost) {
  std::promise<void> go_on;
  std::atomic<std::uint64_t> printed = 0, left_out = 0, failures = 0;
  constexpr std::uint64_t kLines = 1000;
  {
    EventQueue queue([&, wait = go_on.get_future().share()](const Event& event) {
      wait.wait();
      if (event.type == "log") ++printed;
      if (event.type == "notice") left_out += event.data["lines"].get<std::uint64_t>();
      if (event.type == "failure") ++failures;
    });
    for (std::uint64_t i = 0; i < kLines; ++i) queue.push(line(std::string(1 << 20, 'x')));
    EXPECT_FALSE(queue.has_room());
    queue.push({"failure", "node", {{"text", "x"}}});
    go_on.set_value();
  }
  EXPECT_EQ(printed + left_out, kLines);
  EXPECT_GT(left_out, 0u);
  EXPECT_EQ(failures, 1u) << "what isn't a log line is never left out";
}

}  // namespace
}  // namespace hawse::cli
