// SPDX-License-Identifier: Apache-2.0
//
// The package store with the real uv, where there is one and it reaches an index. A wheel made here serves the tests that need no index.
#include "executor/python/packages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/error.hpp"
#include "base/subprocess.hpp"
#include "executor/python/uv.hpp"

namespace hawse::executor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Store : ::testing::Test {
  ScopedDir folder{fs::temp_directory_path(), "hawse-test-"};
  fs::path state = folder.path() / "state";

  void SetUp() override {
    ::setenv("HAWSE_STATE", state.c_str(), 1);
    fs::create_directories(state);
    try {
      find_uv();
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  void TearDown() override { ::unsetenv("HAWSE_STATE"); }

  // A pure wheel `thing` of that version, made with Python's zipfile.
  std::string wheel(const std::string& version) {
    const std::string name = "thing-" + version + "-py3-none-any.whl";
    const std::string script =
        "import sys, zipfile\n"
        "name, version = sys.argv[1:]\n"
        "with zipfile.ZipFile(name, 'w') as z:\n"
        "    info = 'thing-' + version + '.dist-info/'\n"
        "    z.writestr('thing.py', 'version = %r\\n' % version)\n"
        "    z.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: thing\\nVersion: ' + version + '\\n')\n"
        "    z.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "    z.writestr(info + 'RECORD', '')\n";
    SpawnOptions options;
    options.argv = {find_python("").path.string(), "-c", script, (folder.path() / name).string(), version};
    options.env = current_environment();
    EXPECT_EQ(run_to_end(options).status.value, 0);
    return "thing @ file://" + (folder.path() / name).string();
  }

  PackageTarget host() { return {find_python("").tag(), "", find_python("")}; }
  std::string import_from(const fs::path& packages, const std::string& statement) {
    SpawnOptions options;
    options.argv = {find_python("").path.string(), "-c", "import sys; sys.path.insert(0, sys.argv[1]); " + statement, packages.string()};
    options.env = current_environment();
    const RunResult result = run_to_end(options);
    return result.out + result.err;
  }
  bool empty(const fs::path& below) { return !fs::exists(below) || fs::is_empty(below); }
};

TEST_F(Store, installs_a_package_that_can_be_imported_with_its_bytecode_ready) {
  EnvironmentIndex index(state / "index.sqlite");
  PackageStore store(state, index);
  const Packages packages = store.install(host(), {wheel("1.5")}, nullptr);
  EXPECT_EQ(packages.summary, "thing 1.5");
  EXPECT_EQ(import_from(packages.folder, "import thing; print(thing.version)"), "1.5\n");
  EXPECT_FALSE(empty(packages.folder / "__pycache__"));
  EXPECT_TRUE(empty(state / "store" / "tmp"));
}

TEST_F(Store, makes_a_set_once_and_notes_each_use) {
  const std::string thing = wheel("1.5");
  EnvironmentIndex index(state / "index.sqlite");
  PackageStore store(state, index);
  unsigned lines = 0;
  const Report count = [&](const Progress&) { ++lines; };
  const Packages first = store.install(host(), {thing}, count);
  EXPECT_GT(lines, 0u);
  auto noted = *index.find("packages", first.key);
  noted.last_used_s = 1000;
  index.put(noted);
  lines = 0;
  const Packages second = store.install(host(), {thing}, count);
  EXPECT_EQ(lines, 0u);
  EXPECT_EQ(second.folder, first.folder);
  EXPECT_EQ(second.summary, first.summary);
  EXPECT_GT(index.find("packages", first.key)->last_used_s, 1000);
}

TEST_F(Store, keeps_sets_apart_that_differ_in_python_platform_or_a_wheels_content) {
  const std::string thing = wheel("1.5");
  EnvironmentIndex index(state / "index.sqlite");
  PackageStore store(state, index);
  const Packages first = store.install(host(), {thing}, nullptr);
  PackageTarget container{"3.9", "x86_64-manylinux_2_28", find_python(""), "", [](const fs::path&) {}};
  EXPECT_NE(store.install(container, {thing}, nullptr).key, first.key);
  fs::last_write_time(folder.path() / "thing-1.5-py3-none-any.whl", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_NE(store.install(host(), {thing}, nullptr).key, first.key);
}

TEST_F(Store, two_that_want_the_same_set_at_once_make_it_once) {
  const std::string thing = wheel("1.5");
  std::atomic<int> compiled = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      EnvironmentIndex index(state / "index.sqlite");
      PackageTarget target = host();
      target.compile = [&](const fs::path&) { ++compiled; };
      PackageStore(state, index).install(target, {thing}, nullptr);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(compiled, 1);
}

TEST_F(Store, a_failed_install_leaves_nothing_and_says_what_uv_said) {
  EnvironmentIndex index(state / "index.sqlite");
  PackageStore store(state, index);
  const std::string both = wheel("1.5"), other = wheel("1.6");
  try {
    store.install(host(), {both, other}, nullptr);
    FAIL() << "two versions of one package were installed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::environment);
    EXPECT_THAT(error.context(), HasSubstr("thing"));
    EXPECT_FALSE(error.hint().empty());
  }
  EXPECT_TRUE(empty(store.folder()));
  EXPECT_TRUE(empty(state / "store" / "tmp"));
  EXPECT_TRUE(index.all().empty());
}

TEST_F(Store, is_readable_for_others_whatever_the_umask_is) {
  const std::string thing = wheel("1.5");
  const mode_t before = ::umask(0077);
  EnvironmentIndex index(state / "index.sqlite");
  const Packages packages = PackageStore(state, index).install(host(), {thing}, nullptr);
  ::umask(before);
  for (const auto& entry : fs::recursive_directory_iterator(packages.folder))
    EXPECT_NE(entry.status().permissions() & fs::perms::others_read, fs::perms::none) << entry.path();
}

TEST_F(Store, sweeps_the_work_of_a_process_that_is_gone) {
  const fs::path left = state / "store" / "tmp" / "4194999-abc";  // above every kernel's largest process id
  fs::create_directories(left / "site");
  { const ScopedDir work = work_folder(state); }
  EXPECT_FALSE(fs::exists(left));
}

}  // namespace
}  // namespace hawse::executor
