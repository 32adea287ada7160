// SPDX-License-Identifier: Apache-2.0
//
// What a frame must not cost: while both sides are busy, a system call. A child gives up all of them but its exit, then passes frames
// through: the kernel ends it at the first one. (Memory would come by one, too, sooner or later; and the sources have no allocator.)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>

#include "plane/edge_fixture.hpp"

namespace hawse::plane {
namespace {

constexpr int kFrames = 20000;

// The clock is read without one where the machine's can be; elsewhere it isn't ours to judge.
bool give_up_system_calls() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // the number
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

class Cost : public testing::TestWithParam<std::tuple<WhenFull, std::uint64_t>> {};

// Up to the queue's length at a time. Runs in the child: no assertion of the test's may print.
int pass_frames(OutputPort& port, InputLink& link, std::uint64_t bytes) {
  int received = 0;
  for (int i = 0; i < kFrames; ++i) {
    if (send_one(port, bytes) != Status::ok) return 2;
    if (i % 3 == 0) continue;
    for (Received frame; link.receive(&frame) == Status::ok; ++received) {
      if (!is_intact(frame)) return 3;
      link.release(frame.slot, frame.epoch);
    }
  }
  return received < kFrames / 2 ? 4 : 0;
}

int ending_of(TestWriter& writer, TestReader& reader, std::uint64_t bytes, bool then_ring) {
  const pid_t child = ::fork();
  if (child == 0) {
    pass_frames(*writer.port, *reader.link, bytes);  // a slot's pages are mapped when it's given out for the first time
    if (!give_up_system_calls()) ::_exit(1);
    const int code = pass_frames(*writer.port, *reader.link, bytes);
    if (then_ring) reader.bell.ring();
    ::_exit(code);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST_P(Cost, a_frame_makes_no_system_call) {
  const auto [when_full, bytes] = GetParam();
  TestWriter writer(bytes, 8);
  TestReader reader;
  const TestFd link = join(writer, reader, 0, 4, when_full);
  EXPECT_EQ(ending_of(writer, reader, bytes, false), 0);
  const int rung = ending_of(writer, reader, bytes, true);
  EXPECT_TRUE(WIFSIGNALED(rung) && WTERMSIG(rung) == SIGSYS) << "the filter lets a wake through: " << rung;
}

INSTANTIATE_TEST_SUITE_P(Cost, Cost, testing::Combine(testing::Values(WhenFull::block, WhenFull::drop_oldest, WhenFull::drop_newest, WhenFull::latest),
                                                      testing::Values(64u, 65536u)));

}  // namespace
}  // namespace hawse::plane
