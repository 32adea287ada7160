// SPDX-License-Identifier: Apache-2.0
#include "runtime/keeper_log.hpp"

#include <gtest/gtest.h>

#include "base/files.hpp"

namespace hawse::runtime {
namespace {

TEST(KeeperLog, goes_on_with_what_is_there_and_never_grows_beyond_twice_its_size) {
  const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-test-");
  const auto file = folder.path() / "keeper.log", older = folder.path() / "keeper.log.1";
  write_file(file, "before\n");
  KeeperLog log(file);
  log.write("one\n");
  EXPECT_EQ(read_file(file), "before\none\n");
  const std::string piece(64 << 10, 'x');
  for (int i = 0; i < 100; ++i) {
    log.write(piece);
    EXPECT_LE(std::filesystem::file_size(file), KeeperLog::kBytes);
  }
  EXPECT_LE(std::filesystem::file_size(older), KeeperLog::kBytes);
  log.write("last\n");
  EXPECT_TRUE(read_file(file).ends_with("last\n"));
  unsigned files = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 2u);
}

}  // namespace
}  // namespace hawse::runtime
