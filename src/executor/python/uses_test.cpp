// SPDX-License-Identifier: Apache-2.0
#include "executor/python/uses.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "base/files.hpp"

namespace hawse::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Uses : ::testing::Test {
  ScopedDir folder{std::filesystem::temp_directory_path(), "hawse-test-"};
};

TEST_F(Uses, are_told_as_long_as_they_last) {
  EXPECT_THAT(users_of(folder.path(), "sha256:1"), IsEmpty());
  auto first = std::make_unique<Use>(folder.path(), "sha256:1", "a.yaml");
  const Use second(folder.path(), "sha256:1", "b.yaml"), other(folder.path(), "hawse/env:2", "c.yaml");
  EXPECT_THAT(users_of(folder.path(), "sha256:1"), ElementsAre("a.yaml", "b.yaml"));
  first.reset();
  EXPECT_THAT(users_of(folder.path(), "sha256:1"), ElementsAre("b.yaml"));
}

TEST_F(Uses, end_with_a_process_that_is_killed) {
  int ready[2] = {};
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const Use use(folder.path(), "key", "killed.yaml");
    (void)!::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char one = 0;
  ASSERT_EQ(::read(ready[0], &one, 1), 1);
  EXPECT_THAT(users_of(folder.path(), "key"), ElementsAre("killed.yaml"));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_THAT(users_of(folder.path(), "key"), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "uses" / "key"));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace hawse::executor
