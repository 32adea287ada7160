// SPDX-License-Identifier: Apache-2.0
#include "bench/record/record.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <vector>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bench/record/export.hpp"
#include "bench/record/testing.hpp"

namespace hawse::bench {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class TheRecord : public testing::Test {
 protected:
  ScopedDir folder_{"/tmp", "hawse-test-"};
  fs::path file_ = folder_.path() / "state" / "bench.sqlite";  // the folder isn't there yet
};

TEST_F(TheRecord, gives_back_every_part_of_a_run) {
  auto run = example_run();
  run.id = Record(file_).save(run);
  EXPECT_EQ(run.id, 1);
  const auto again = Record(file_).load("1");
  EXPECT_EQ(to_json(again, true), to_json(run, true));
  ASSERT_EQ(again.rows.size(), run.rows.size());
  for (std::size_t r = 0; r < run.rows.size(); ++r)
    for (std::size_t s = 0; s < run.rows[r].series.size(); ++s) {
      const Series &seen = again.rows[r].series[s], &kept = run.rows[r].series[s];
      EXPECT_EQ(seen.spec.variant, kept.spec.variant);
      ASSERT_EQ(seen.batches.size(), kept.batches.size());
      for (std::size_t b = 0; b < kept.batches.size(); ++b) {
        EXPECT_EQ(seen.batches[b].values, kept.batches[b].values) << "to the last bit";
        EXPECT_EQ(seen.batches[b].pass, kept.batches[b].pass);
        EXPECT_EQ(seen.batches[b].placement, kept.batches[b].placement);
      }
    }
}

TEST_F(TheRecord, lists_the_newest_run_first_with_its_baselines) {
  Record record(file_);
  EXPECT_TRUE(record.list().empty());
  auto run = example_run();
  record.save(run);
  run.commit = "0000aaaa";
  record.save(run);
  record.set_baseline("release", 1);
  const auto runs = record.list();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].id, 2);
  EXPECT_EQ(runs[0].commit, "0000aaaa");
  EXPECT_EQ(runs[1].rows, 2u);
  EXPECT_EQ(runs[1].series, 2u) << "the peer has no samples";
  EXPECT_EQ(runs[1].baselines, std::vector<std::string>{"release"});
  EXPECT_EQ(runs[1].seconds, 125);
}

TEST_F(TheRecord, finds_a_run_by_number_place_baseline_and_commit) {
  Record record(file_);
  EXPECT_THAT(error_of([&] { record.load("last"); }), HasSubstr("there is no run 'last'"));
  auto run = example_run();
  for (const char* commit : {"abcdef01", "abcdef02", "12345678"}) {
    run.commit = commit;
    record.save(run);
  }
  record.set_baseline("main", 1);
  EXPECT_EQ(record.find("last"), 3);
  EXPECT_EQ(record.find("last~0"), 3);
  EXPECT_EQ(record.find("last~2"), 1);
  EXPECT_EQ(record.find("2"), 2);
  EXPECT_EQ(record.find("main"), 1);
  EXPECT_EQ(record.find("abcdef"), 2) << "the newest run of the commits that begin so";
  EXPECT_EQ(record.find("abcdef01"), 1);
  EXPECT_EQ(record.find("12345678"), 3) << "no run has that number";
  for (const char* nothing : {"last~3", "4", "mains", "abc", "abcdef03", "", "last~", "99999999999999999999999"}) {
    EXPECT_THROW(record.find(nothing), Error) << nothing;
  }
  EXPECT_THAT(error_of([&] { record.find("nightly"); }), testing::AllOf(HasSubstr("nightly"), HasSubstr("bench history")));
}

TEST_F(TheRecord, a_baseline_can_be_moved_and_removed_and_keeps_its_run) {
  Record record(file_);
  record.save(example_run());
  record.save(example_run());
  record.set_baseline("main", 1);
  EXPECT_THAT(error_of([&] { record.remove(1); }), HasSubstr("run 1 is the baseline 'main'"));
  record.set_baseline("main", 2);
  ASSERT_EQ(record.baselines().size(), 1u);
  EXPECT_EQ(record.baselines()[0].run, 2);
  record.remove(1);
  EXPECT_EQ(record.find("main"), 2);
  record.remove_baseline("main");
  EXPECT_TRUE(record.baselines().empty());
  EXPECT_THROW(record.remove_baseline("main"), Error);
  EXPECT_THROW(record.set_baseline("main", 1), Error) << "run 1 is gone";
  for (const char* name : {"", "12", "last", "last~1", "a b", "a/b"}) EXPECT_THROW(record.set_baseline(name, 2), Error) << name;
}

TEST_F(TheRecord, a_run_that_is_removed_takes_its_samples_along_and_its_number_is_never_given_again) {
  Record record(file_);
  auto run = example_run();
  run.rows[0].series[0].batches[0].values.assign(1000000, 1.5f);
  record.save(example_run());
  record.save(run);
  record.remove(2);
  EXPECT_THROW(record.remove(2), Error);
  EXPECT_EQ(record.save(example_run()), 3);
  SQLite::Database database(file_.string());
  EXPECT_EQ(database.execAndGet("SELECT count(*) FROM batches").getInt(), 12) << "of the two small runs";
  EXPECT_LT(database.execAndGet("PRAGMA page_count").getInt64() * database.execAndGet("PRAGMA page_size").getInt64(), 1000000)
      << "the space is given back";
}

TEST_F(TheRecord, processes_that_make_and_fill_the_same_file_at_once_dont_disturb_each_other) {
  constexpr int kProcesses = 4, kRuns = 5;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const std::string error = error_of([&] {
        for (int run = 0; run < kRuns; ++run) Record(file_).save(example_run());
      });
      ::_exit(error == "no error" ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  Record one(file_), other(file_);
  EXPECT_EQ(one.list().size(), std::size_t{kProcesses * kRuns});
  EXPECT_EQ(other.save(example_run()), kProcesses * kRuns + 1);
  EXPECT_EQ(one.find("last"), kProcesses * kRuns + 1);
}

TEST_F(TheRecord, a_file_that_is_damaged_is_named_and_left_as_it_is) {
  fs::create_directories(file_.parent_path());
  const std::string garbage(10000, 'x');
  write_file(file_, garbage);
  EXPECT_THAT(error_of([&] { Record record(file_); }), testing::AllOf(HasSubstr(file_.string()), HasSubstr("damaged")));
  EXPECT_EQ(read_file(file_), garbage);
}

TEST_F(TheRecord, damage_within_the_file_is_named_when_it_is_met) {
  Record(file_).save(example_run());
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE).exec("UPDATE batches SET samples = x'010203'");
  EXPECT_THAT(error_of([&] { Record(file_).load("last"); }), testing::AllOf(HasSubstr(file_.string()), HasSubstr("cut off")));
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE).exec("UPDATE runs SET machine = '{'");
  EXPECT_THAT(error_of([&] { Record(file_).load("last"); }), testing::AllOf(HasSubstr(file_.string()), HasSubstr("damaged")));
}

TEST_F(TheRecord, a_newer_versions_file_and_another_programs_are_refused) {
  { Record make(file_); }
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 2");
  EXPECT_THAT(error_of([&] { Record record(file_); }), testing::AllOf(HasSubstr(file_.string()), HasSubstr("version 2"), HasSubstr("newer hawse")));
  const fs::path other = folder_.path() / "other.sqlite";
  SQLite::Database(other.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("CREATE TABLE runs(id)");
  EXPECT_THAT(error_of([&] { Record record(other); }), HasSubstr("another program"));
}

TEST_F(TheRecord, a_file_that_cant_be_made_is_an_error_that_names_it) {
  write_file(folder_.path() / "file", "");
  const fs::path below_a_file = folder_.path() / "file" / "bench.sqlite";
  EXPECT_THAT(error_of([&] { Record record(below_a_file); }), HasSubstr(below_a_file.string()));
}

TEST_F(TheRecord, lies_in_the_state_folder) {
  ::setenv("HAWSE_STATE", (folder_.path() / "elsewhere").c_str(), 1);
  EXPECT_EQ(Record::default_file(), folder_.path() / "elsewhere" / "bench.sqlite");
  ::unsetenv("HAWSE_STATE");
}

}  // namespace
}  // namespace hawse::bench
