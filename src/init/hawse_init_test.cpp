// SPDX-License-Identifier: Apache-2.0
//
// hawse-init outside of a container (as another orchestrator may start it), against the runtime's end of the protocol.
#include <elf.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "init/runtime_end.hpp"

namespace hawse {
namespace {

using nlohmann::json;
using test::RuntimeEnd;

struct Init : ::testing::Test {
  ScopedDir folder{std::filesystem::temp_directory_path(), "hawse-init-test-"};
  RuntimeEnd runtime{folder.path()};

  Subprocess start(std::vector<std::string> command, std::map<std::string, std::string> more = {}) {
    SpawnOptions options;
    options.argv = {HAWSE_INIT};
    options.argv.insert(options.argv.end(), command.begin(), command.end());
    options.env = std::move(more);
    options.env.insert({{"PATH", "/usr/bin:/bin"}, {"HAWSE_SOCKET", runtime.path().string()}, {"HAWSE_TOKEN", "7c0ffee"}});
    return Subprocess::spawn(options);
  }

  Subprocess joined(const std::string& script) {
    Subprocess init = start({"sh", "-c", script});
    runtime.take_join();
    runtime.give_streams();
    return init;
  }
};

TEST_F(Init, joins_with_its_token_before_it_starts_the_program) {
  Subprocess init = start({"sh", "-c", "echo started"});
  const json join = runtime.take_join();
  EXPECT_EQ(join, (json{{"type", "join"}, {"token", "7c0ffee"}, {"pid", init.pid()}, {"init", true}}));
}

TEST_F(Init, sends_the_programs_output_into_the_streams) {
  Subprocess init = joined("echo out; echo err >&2");
  EXPECT_EQ(runtime.next(), (json{{"type", "exited"}, {"code", 0}}));
  runtime.hang_up();
  EXPECT_EQ(runtime.out(), "out\n");
  EXPECT_EQ(runtime.err(), "err\n");
}

TEST_F(Init, gives_the_program_the_connection_and_not_the_token) {
  Subprocess init = joined(R"(printf '{"type":"hello","fd":"%s","token":"%s","socket":"%s"}' "$HAWSE_FD" "$HAWSE_TOKEN" "$HAWSE_SOCKET" >&3)");
  EXPECT_EQ(runtime.next(), (json{{"type", "hello"}, {"fd", "3"}, {"token", ""}, {"socket", ""}}));
  EXPECT_EQ(runtime.next(), (json{{"type", "exited"}, {"code", 0}}));
}

TEST_F(Init, leaves_the_runtimes_messages_to_the_program) {
  Subprocess init = joined("head -c 5 <&3 >/dev/null; exit 3");
  send_message(runtime.connection(), "12345");
  EXPECT_EQ(runtime.next(), (json{{"type", "exited"}, {"code", 3}}));
}

TEST_F(Init, tells_of_the_signal_that_ended_the_program) {
  Subprocess init = joined("kill -SEGV $$");
  EXPECT_EQ(runtime.next(), (json{{"type", "exited"}, {"signal", SIGSEGV}}));
  runtime.hang_up();
  const ExitStatus status = init.wait();
  EXPECT_FALSE(status.signalled);
  EXPECT_EQ(status.value, 128 + SIGSEGV);
}

TEST_F(Init, stays_until_the_runtime_hangs_up_after_the_program_has_ended) {
  Subprocess init = joined("exit 7");
  EXPECT_EQ(runtime.next(), (json{{"type", "exited"}, {"code", 7}}));
  EXPECT_FALSE(test::readable(init.pidfd(), 200));
  runtime.hang_up();
  EXPECT_EQ(init.wait().value, 7);
}

TEST_F(Init, kills_the_program_and_its_children_when_the_runtime_hangs_up) {
  Subprocess init = joined("trap '' TERM; sleep 1000 & sleep 1000; true");
  runtime.hang_up();
  EXPECT_EQ(init.wait().value, 128 + SIGKILL);
  EXPECT_EQ(runtime.out(), "");  // ends only when nobody holds the pipe any more
}

TEST_F(Init, passes_sigterm_on_to_the_program) {
  Subprocess init = joined("trap 'exit 42' TERM; echo ready >&3; while :; do sleep 0.05; done");
  ASSERT_TRUE(test::readable(runtime.connection()));
  receive_message(runtime.connection());
  init.signal(SIGTERM);
  EXPECT_EQ(runtime.next(), (json{{"type", "exited"}, {"code", 42}}));
}

TEST_F(Init, reaps_what_the_program_orphans) {
  Subprocess init = joined("(sleep 0.2 &) ; sleep 1000");
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  const std::string children = read_file("/proc/" + std::to_string(init.pid()) + "/task/" + std::to_string(init.pid()) + "/children");
  EXPECT_EQ(std::count(children.begin(), children.end(), ' '), 1) << children;  // the program alone, no zombie
}

TEST_F(Init, says_why_it_cannot_run_the_program) {
  Subprocess init = start({"no-such-program"});
  runtime.take_join();
  runtime.give_streams();
  EXPECT_EQ(runtime.next(), (json{{"type", "exited"}, {"code", 127}}));
  runtime.hang_up();
  EXPECT_EQ(runtime.err(), "hawse-init: cannot run no-such-program: No such file or directory\n");
}

TEST_F(Init, starts_nothing_when_the_runtime_refuses_its_token) {
  Subprocess init = start({"sh", "-c", "touch " + (folder.path() / "started").string()});
  runtime.take_join();
  runtime.hang_up();
  EXPECT_EQ(init.wait().value, 125);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "started"));
}

TEST_F(Init, needs_no_library_and_less_than_a_megabyte) {
  EXPECT_LT(std::filesystem::file_size(HAWSE_INIT), 1'000'000u);
  const std::string program = read_file(HAWSE_INIT);
  Elf64_Ehdr header;
  ASSERT_GE(program.size(), sizeof header);
  std::memcpy(&header, program.data(), sizeof header);
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part;
    std::memcpy(&part, program.data() + header.e_phoff + static_cast<std::size_t>(i) * sizeof part, sizeof part);
    EXPECT_NE(part.p_type, static_cast<Elf64_Word>(PT_INTERP));
    EXPECT_NE(part.p_type, static_cast<Elf64_Word>(PT_DYNAMIC));
  }
}

}  // namespace
}  // namespace hawse
