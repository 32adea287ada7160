// SPDX-License-Identifier: Apache-2.0
#include "runtime/messages.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "runtime/endings.hpp"

namespace hawse::runtime {
namespace {

std::string refusal(std::string_view text, std::size_t fds = 0) {
  try {
    parse_node_message(text, fds);
  } catch (const Error& error) {
    return error.context();
  }
  return "";
}

TEST(NodeMessage, is_taken_when_every_field_fits) {
  EXPECT_EQ(refusal(R"({"type":"hello","protocol":1,"pid":7,"sdk":"0.1.0","language":"python 3.9.2"})"), "");
  EXPECT_EQ(refusal(R"({"type":"ready","phases":{"import_ns":1}})"), "");
  EXPECT_EQ(refusal(R"({"type":"finished"})"), "");
}

TEST(NodeMessage, is_refused_with_the_rule_that_it_broke) {
  EXPECT_EQ(refusal("{"), "not JSON");
  EXPECT_EQ(refusal("[]"), "no type");
  EXPECT_EQ(refusal(R"({"type":7})"), "no type");
  EXPECT_EQ(refusal(R"({"type":"launch"})"), "unknown message launch");
  EXPECT_EQ(refusal(R"({"type":"finished"})", 1), "it sent file descriptors");
  EXPECT_EQ(refusal(R"({"type":"grow","port":0,"slot_bytes":-64,"slots":1})"), "grow with a bad slot_bytes");
  EXPECT_EQ(refusal(R"({"type":"grow","port":0.5,"slot_bytes":64,"slots":1})"), "grow with a bad port");
  EXPECT_EQ(refusal(R"({"type":"log","level":"info","time_ns":1})"), "log with a bad text");
}

TEST(NodeMessage, is_refused_when_it_would_exhaust_the_stack) {
  const std::string deep = R"({"type":"ready","phases":)" + std::string(30'000, '[') + std::string(30'000, ']') + "}";
  EXPECT_EQ(refusal(deep), "nested too deeply");
}

executor::Ending ending(executor::EndingKind kind, int value) {
  return {.kind = kind, .value = value, .memory_limit_bytes = 128u << 20, .memory_peak_bytes = 127u << 20, .text = "engine gone"};
}

TEST(Ending, in_order_is_no_failure) { EXPECT_TRUE(describe(ending(executor::EndingKind::exited, 0), {}, "", true).is_null()); }

TEST(Ending, names_the_limit_and_the_peak_of_an_out_of_memory) {
  const auto failure = describe(ending(executor::EndingKind::out_of_memory, 9), {}, "", false);
  EXPECT_EQ(failure["text"], "met its memory limit: 128 MiB, peak 127 MiB, killed");
}

TEST(Ending, of_an_exception_carries_phase_frame_and_traceback) {
  const nlohmann::json said = {{"summary", "ValueError: no"}, {"traceback", "File x"}, {"sequence", 12u}, {"phase", "process"}};
  const auto failure = describe(ending(executor::EndingKind::exited, 1), said, "", false);
  EXPECT_EQ(failure["text"], "failed in process on frame 12: ValueError: no");
  EXPECT_EQ(failure["traceback"], "File x");
}

TEST(Ending, by_a_signal_says_its_name_and_what_it_means) {
  const auto failure = describe(ending(executor::EndingKind::signalled, 4), {}, "", false);
  EXPECT_EQ(failure["text"], "was ended by signal 4 (SIGILL: Illegal instruction)");
  EXPECT_NE(failure["hint"].get<std::string>().find("CPU"), std::string::npos);
}

TEST(Ending, with_code_0_before_the_end_of_stream_is_a_failure) {
  EXPECT_EQ(describe(ending(executor::EndingKind::exited, 0), {}, "", false)["text"], "exited with code 0 before its end of stream");
}

TEST(Ending, shows_nothing_that_could_drive_a_terminal) {
  const nlohmann::json said = {{"summary", "\x1b[2J"}, {"traceback", "\x1b]0;x\x07"}, {"sequence", 0u}, {"phase", "setup"}};
  const std::string text = describe(ending(executor::EndingKind::exited, 1), said, "", false).dump();
  EXPECT_EQ(text.find("\\u001b"), std::string::npos);
}

}  // namespace
}  // namespace hawse::runtime
