// SPDX-License-Identifier: Apache-2.0
//
// Every transport carries what it is given, in order, through a queue that is often full; and what arrives wrong is seen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.hpp"
#include "base/socket.hpp"
#include "bench/core/row.hpp"
#include "bench/peers/loops.hpp"
#include "bench/peers/pair.hpp"
#include "bench/peers/pattern.hpp"
#include "bench/peers/registry.hpp"

namespace hawse::bench {
namespace {

using testing::AllOf;
using testing::Each;
using testing::Gt;
using testing::HasSubstr;
using testing::SizeIs;

class Resources {
 public:
  explicit Resources(const std::string& folder) { ::setenv("HAWSE_RESOURCES", folder.c_str(), 1); }
  ~Resources() { ::unsetenv("HAWSE_RESOURCES"); }
};

std::string why_unavailable(const PairJob& job) {
  try {
    run_pair(job);
  } catch (const Unavailable& error) {
    return error.what();
  }
  return "";
}

TEST(Pattern, finds_one_wrong_byte_anywhere_in_a_payload) {
  for (const std::uint64_t bytes : {8u, 24u, 64u, 1000u, 4096u}) {
    std::vector<std::uint64_t> payload(bytes / 8);
    fill(payload.data(), bytes, 77);
    ASSERT_TRUE(is_filled(payload.data(), bytes, 77));
    EXPECT_FALSE(is_filled(payload.data(), bytes, 78));
    for (std::uint64_t at = 0; at < bytes; ++at) {
      auto& byte = reinterpret_cast<unsigned char*>(payload.data())[at];
      byte ^= 0x10;
      EXPECT_FALSE(is_filled(payload.data(), bytes, 77)) << bytes << " at " << at;
      byte ^= 0x10;
    }
  }
}

TEST(Pattern, at_samples_finds_a_payload_that_was_not_written_to_its_end) {
  std::vector<std::uint64_t> payload((1 << 20) / 8);
  fill(payload.data(), 1 << 20, 5);
  EXPECT_TRUE(is_filled_at_samples(payload.data(), 1 << 20, 5));
  payload.back() = 0;
  EXPECT_FALSE(is_filled_at_samples(payload.data(), 1 << 20, 5));
}

struct Case {
  const char* peer;
  std::int32_t wait;
  std::uint64_t bytes;
  std::string name() const { return std::string(peer) + (wait == HAWSE_PEER_POLLING ? "_polling_" : "_sleeping_") + std::to_string(bytes); }
  friend void PrintTo(const Case& each, std::ostream* out) { *out << each.name(); }
};

class Transport : public testing::TestWithParam<Case> {
 protected:
  void expect_figures(PairJob job) {
    job.peer = GetParam().peer;
    job.wait = GetParam().wait;
    try {
      EXPECT_THAT(run_pair(job).values, AllOf(SizeIs(job.samples), Each(Gt(0))));
    } catch (const Unavailable& error) {
      const std::string_view why = error.what();
      if (why.find("plug-in isn't built") == why.npos && why.find("needs two cores") == why.npos) throw;
      GTEST_SKIP() << error.what();
    }
  }

 private:
  Resources resources_{HAWSE_TEST_RESOURCES};
};

TEST_P(Transport, carries_every_payload_in_order_through_a_short_queue) {
  expect_figures({.loop = Loop::stream, .touch = Touch::written_and_read, .depth = 2, .samples = 3, .operations = 300, .bytes = GetParam().bytes});
}

TEST_P(Transport, hands_a_payload_there_and_one_back_while_it_is_held) {
  expect_figures({.touch = Touch::written_and_read, .samples = 3, .operations = 20, .bytes = GetParam().bytes, .reply_bytes = GetParam().bytes});
}

constexpr Case kCases[] = {
    {"hawse", HAWSE_PEER_POLLING, 64},          {"hawse", HAWSE_PEER_SLEEPING, 64},       {"hawse", HAWSE_PEER_SLEEPING, 1 << 20},
    {"ring", HAWSE_PEER_POLLING, 64},           {"unix_socket", HAWSE_PEER_SLEEPING, 64}, {"unix_socket", HAWSE_PEER_SLEEPING, 1 << 20},
    {"zeromq", HAWSE_PEER_SLEEPING, 64},        {"zeromq", HAWSE_PEER_SLEEPING, 1 << 20}, {"iceoryx2", HAWSE_PEER_POLLING, 64},
    {"iceoryx2", HAWSE_PEER_SLEEPING, 1 << 20},
};

INSTANTIATE_TEST_SUITE_P(all, Transport, testing::ValuesIn(kCases), [](const auto& each) { return each.param.name(); });

// The transport whose second payload arrives with one bit changed.
hawse_transport liar() {
  static const hawse_transport honest = unix_socket_api();
  hawse_transport api = honest;
  api.receive = [](hawse_peer* peer, const void** payload, std::uint64_t* bytes) {
    static int received = 0;
    const std::int32_t result = honest.receive(peer, payload, bytes);
    if (++received == 2) static_cast<unsigned char*>(const_cast<void*>(*payload))[40] ^= 1;
    return result;
  };
  return api;
}

TEST(Loops, say_which_payload_arrived_wrong) {
  std::vector<std::uint64_t> memory(area_bytes(4) / 8 + 1);
  Area& area = *reinterpret_cast<Area*>(memory.data());
  area.job = {};
  area.job.loop = Loop::stream;
  area.job.wait = HAWSE_PEER_SLEEPING;
  area.job.touch = Touch::written_and_read;
  area.job.readers = area.job.samples = 1;
  area.job.operations = 3;
  area.job.bytes = area.job.reply_bytes = 64;
  auto sockets = socket_pair();
  const auto run = [&](hawse_transport api, UniqueFd socket, int end) -> std::string {
    char error[256] = "";
    const hawse_peer_setup setup{socket.get(), end, HAWSE_PEER_SLEEPING, 1, 8, 64, 64, "", error, sizeof error, 0};
    try {
      run_end(api, setup, area, 0);
    } catch (const std::exception& failure) {
      return failure.what();
    }
    return "";
  };
  auto other = std::async(std::launch::async, [&] { return run(liar(), std::move(sockets.second), 1); });
  run(unix_socket_api(), std::move(sockets.first), 0);
  EXPECT_EQ(other.get(), "unix_socket: payload 2 of 64 bytes arrived with other bytes than were sent");
}

TEST(Pair, says_which_plug_in_is_missing_and_what_it_needs) {
  const ScopedDir empty(std::filesystem::temp_directory_path());
  const Resources resources(empty.path().string());
  PairJob job;
  job.peer = "iceoryx2";
  EXPECT_EQ(why_unavailable(job), "iceoryx2: its plug-in isn't built ('make peers' needs cargo 1.89 or newer)");
}

TEST(Pair, says_what_a_transport_can_not_do) {
  const Resources resources(HAWSE_TEST_RESOURCES);
  PairJob job{.wait = HAWSE_PEER_SLEEPING};
  job.peer = "ring";
  EXPECT_EQ(why_unavailable(job), "ring can't wait sleeping");
}

TEST(Pair, ends_and_reaps_both_processes_when_they_take_too_long) {
  const Resources resources(HAWSE_TEST_RESOURCES);
  PairJob job{.samples = 1, .operations = 2'000'000'000, .limit_ns = 300'000'000};
  job.peer = "hawse";
  EXPECT_THAT(why_unavailable(job), HasSubstr("not done after"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace hawse::bench
