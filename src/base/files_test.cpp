// SPDX-License-Identifier: Apache-2.0
#include "base/files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/error.hpp"

namespace hawse {
namespace {

namespace fs = std::filesystem;

TEST(Files, writes_and_reads_a_whole_file_and_leaves_nothing_beside_it) {
  const ScopedDir folder("/tmp", "hawse-test-");
  const fs::path path = folder.path() / "file";
  write_file(path, "first", 0600);
  write_file(path, std::string("sec\0nd", 6), 0640);
  EXPECT_EQ(read_file(path), std::string("sec\0nd", 6));
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0640u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(Files, refuses_what_is_too_long_or_absent) {
  const ScopedDir folder("/tmp");
  write_file(folder.path() / "file", "12345");
  EXPECT_EQ(read_file(folder.path() / "file", 5), "12345");
  EXPECT_THROW(read_file(folder.path() / "file", 4), Error);
  EXPECT_THROW(read_file(folder.path() / "absent"), Error);
  EXPECT_THROW(write_file(folder.path() / "absent" / "file", ""), Error);
}

TEST(Files, a_scoped_folder_goes_with_its_content_unless_kept) {
  fs::path gone, kept;
  {
    ScopedDir first("/tmp", "a-"), second("/tmp");
    gone = first.path();
    kept = second.path();
    write_file(gone / "file", "x");
    ScopedDir moved = std::move(first);
    EXPECT_EQ(moved.path(), gone);
    second.keep();
  }
  EXPECT_FALSE(fs::exists(gone));
  EXPECT_TRUE(fs::exists(kept));
  fs::remove(kept);
}

TEST(Files, folders_of_ours_follow_their_variables) {
  const ScopedDir folder("/tmp");
  ::setenv("HAWSE_STATE", (folder.path() / "deep" / "state").c_str(), 1);
  ::setenv("HAWSE_RUN", (folder.path() / "run").c_str(), 1);
  ::setenv("HAWSE_RESOURCES", "/resources", 1);
  EXPECT_EQ(state_dir(), folder.path() / "deep" / "state");
  EXPECT_EQ(run_dir(), folder.path() / "run");
  struct stat info{};
  ASSERT_EQ(::stat(run_dir().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0711u);
  EXPECT_EQ(resources_dir(), "/resources");
  ::unsetenv("HAWSE_STATE");
  ::unsetenv("HAWSE_RUN");
  ::unsetenv("HAWSE_RESOURCES");
  EXPECT_EQ(resources_dir().filename(), "hawse");
  EXPECT_TRUE(fs::exists(executable_path()));
}

TEST(Files, hashes_as_the_standard_says) {  // FIPS 180-2, appendix B.1, and the empty text
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Error, says_operation_context_and_hint) {
  const Error error(ErrorCode::node, "run", "node 'a'", "look");
  EXPECT_STREQ(error.what(), "run: node 'a'\nhint: look");
  EXPECT_EQ(error.code(), ErrorCode::node);
  errno = ENOENT;
  EXPECT_STREQ(Error::from_errno("open", "x").what(), "open: x: No such file or directory");
}

}  // namespace
}  // namespace hawse
