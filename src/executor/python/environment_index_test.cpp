// SPDX-License-Identifier: Apache-2.0
#include "executor/python/environment_index.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <thread>

#include "base/files.hpp"

namespace hawse::executor {
namespace {

struct Index : ::testing::Test {
  ScopedDir folder{std::filesystem::temp_directory_path(), "hawse-test-"};
  std::filesystem::path file = folder.path() / "index.sqlite";
};

TEST_F(Index, finds_what_was_put_also_after_it_was_opened_anew) {
  EnvironmentIndex(file).put({"packages", "abc", "python 3.9: numpy 1.26.4", "/somewhere", 1234});
  const auto found = EnvironmentIndex(file).find("packages", "abc");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what, "python 3.9: numpy 1.26.4");
  EXPECT_EQ(found->place, "/somewhere");
  EXPECT_EQ(found->bytes, 1234u);
  EXPECT_NEAR(static_cast<double>(found->created_s), static_cast<double>(std::time(nullptr)), 60);
  EXPECT_FALSE(EnvironmentIndex(file).find("image", "abc"));
}

TEST_F(Index, moves_the_last_use_when_touched_and_nothing_else) {
  EnvironmentIndex index(file);
  index.put({"image", "x", "what", "id", 1, 1000, 1000});
  index.touch("image", "x");
  const auto found = index.find("image", "x");
  EXPECT_EQ(found->created_s, 1000);
  EXPECT_GT(found->last_used_s, 1000);
}

TEST_F(Index, forgets_the_pipelines_that_are_gone_when_a_new_one_uses_it) {
  EnvironmentIndex index(file);
  const std::string first = folder.path() / "first.yaml", second = folder.path() / "second.yaml", third = folder.path() / "third.yaml";
  for (const auto& each : {first, second, third}) write_file(each, "");
  index.put({"packages", "abc", "", "", 0});
  index.put({"packages", "other", "", "", 0});
  index.touch("packages", "other", first);
  for (const auto& each : {first, second}) index.touch("packages", "abc", each);
  std::filesystem::remove(first);
  index.touch("packages", "abc", second);  // known: nothing is looked at
  EXPECT_EQ(index.find("packages", "abc")->pipelines, (std::vector{first, second}));
  index.touch("packages", "abc", third);
  EXPECT_EQ(index.find("packages", "abc")->pipelines, (std::vector{second, third}));
  EXPECT_EQ(index.find("packages", "other")->pipelines, std::vector{first});
}

TEST_F(Index, forgets_what_it_is_told_to) {
  EnvironmentIndex index(file);
  index.put({"image", "x", "", "", 0});
  index.put({"image", "y", "", "", 0});
  index.forget("image", "x");
  ASSERT_EQ(index.all().size(), 1u);
  EXPECT_EQ(index.all().front().key, "y");
}

TEST_F(Index, hands_out_a_note_only_as_long_as_it_is_young_enough) {
  EnvironmentIndex index(file);
  EXPECT_FALSE(index.note("python:sha256:1"));
  index.set_note("python:sha256:1", "3.9.2");
  EXPECT_EQ(index.note("python:sha256:1"), "3.9.2");
  EXPECT_EQ(index.note("python:sha256:1", 3600), "3.9.2");
  EXPECT_FALSE(index.note("python:sha256:1", -10));  // younger than ten seconds in the future: none is
}

TEST_F(Index, puts_a_file_aside_that_is_no_database) {
  write_file(file, std::string(10000, 'x'));
  EnvironmentIndex index(file);
  EXPECT_TRUE(index.all().empty());
  EXPECT_TRUE(std::filesystem::exists(file.string() + ".unreadable"));
}

TEST_F(Index, is_made_once_by_many_at_the_same_time) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] { EnvironmentIndex(file).put({"packages", std::to_string(i), "", "", 0}); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(EnvironmentIndex(file).all().size(), 8u);
}

}  // namespace
}  // namespace hawse::executor
