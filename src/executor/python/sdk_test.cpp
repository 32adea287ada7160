// SPDX-License-Identifier: Apache-2.0
#include "executor/python/sdk.hpp"

#include <gtest/gtest.h>

#include "base/files.hpp"

namespace hawse::executor {
namespace {

namespace fs = std::filesystem;

class Sdk : public ::testing::Test {
 protected:
  Sdk() : folder_(fs::temp_directory_path(), "hawse-sdk-"), python_(find_python("")) {
    fs::create_directory(folder_.path() / "hawse");
    write_file(source(), "VALUE = 1\n");
  }
  fs::path source() const { return folder_.path() / "hawse" / "part.py"; }
  fs::path compiled() const {
    for (const auto& entry : fs::directory_iterator(folder_.path() / "hawse" / "__pycache__")) return entry.path();
    return {};
  }

  ScopedDir folder_;
  Interpreter python_;
};

TEST_F(Sdk, is_compiled_for_an_interpreter_once) {
  compile_sdk(folder_.path(), python_);
  ASSERT_FALSE(compiled().empty());
  const auto made = fs::last_write_time(compiled());
  compile_sdk(folder_.path(), python_);
  EXPECT_EQ(fs::last_write_time(compiled()), made);
}

TEST_F(Sdk, is_compiled_again_once_a_source_has_changed) {
  compile_sdk(folder_.path(), python_);
  const std::string before = read_file(compiled());
  write_file(source(), "VALUE = 22\n");
  compile_sdk(folder_.path(), python_);
  EXPECT_NE(read_file(compiled()), before);
}

TEST_F(Sdk, has_another_stamp_after_any_change) {
  const std::string before = sdk_stamp(folder_.path());
  EXPECT_EQ(sdk_stamp(folder_.path()), before);
  write_file(folder_.path() / "hawse" / "more.py", "");
  EXPECT_NE(sdk_stamp(folder_.path()), before);
}

}  // namespace
}  // namespace hawse::executor
