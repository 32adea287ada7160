// SPDX-License-Identifier: Apache-2.0
#include "executor/python/interpreter.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace hawse::executor {
namespace {

// A state folder and a PATH of the test's own, in front of the machine's.
struct Interpreters : ::testing::Test {
  ScopedDir folder{std::filesystem::temp_directory_path(), "hawse-test-"};
  std::string path_before = std::getenv("PATH") ? std::getenv("PATH") : "";

  Interpreters() {
    ::setenv("HAWSE_STATE", (folder.path() / "state").c_str(), 1);
    std::filesystem::create_directory(folder.path() / "bin");
    ::setenv("PATH", ((folder.path() / "bin").string() + ":" + path_before).c_str(), 1);
  }
  ~Interpreters() override {
    ::unsetenv("HAWSE_STATE");
    ::setenv("PATH", path_before.c_str(), 1);
  }

  void put_script(const std::string& name, const std::string& text) { write_file(folder.path() / "bin" / name, "#!/bin/sh\n" + text + "\n", 0755); }
};

TEST_F(Interpreters, the_hosts_python_is_a_real_interpreter) {
  const Interpreter python = find_python("");
  EXPECT_TRUE(python.path.is_absolute());
  EXPECT_TRUE(python.version.starts_with(python.tag() + "."));
  EXPECT_NE(read_file(python.path).substr(0, 2), "#!");
}

TEST_F(Interpreters, a_shim_is_resolved_once_and_remembered_until_it_changes) {
  const std::string real = find_python("").path.string();
  const std::string count = (folder.path() / "count").string();
  put_script("python3", "echo x >> " + count + "; exec " + real + " \"$@\"");
  EXPECT_EQ(find_python("").path, real);
  EXPECT_EQ(find_python("").path, real);
  EXPECT_EQ(read_file(count), "x\n");
  ::setenv("PYENV_VERSION", "another", 1);
  EXPECT_EQ(find_python("").path, real);
  ::unsetenv("PYENV_VERSION");
  EXPECT_EQ(read_file(count), "x\nx\n");
}

TEST_F(Interpreters, a_version_may_be_named_exactly_or_by_its_first_two_numbers) {
  const Interpreter python = find_python("");
  EXPECT_EQ(find_python(python.tag()).tag(), python.tag());
  EXPECT_EQ(find_python(python.version).version, python.version);
}

TEST_F(Interpreters, a_missing_version_is_an_error_that_names_those_there_are) {
  try {
    find_python("3.2");
    FAIL() << "found one";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::environment);
    EXPECT_NE(error.context().find(find_python("").version), std::string::npos) << error.what();
  }
}

TEST_F(Interpreters, a_program_that_is_no_python_is_passed_over) {
  put_script("python3", "exit 1");
  EXPECT_NE(find_python("").path, folder.path() / "bin" / "python3");
}

}  // namespace
}  // namespace hawse::executor
