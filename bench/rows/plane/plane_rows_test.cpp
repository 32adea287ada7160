// SPDX-License-Identifier: Apache-2.0
//
// Every row yields figures for what is ours and for the floors, from real processes, with a few samples each. A peer has a figure or a reason that names it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>

#include "bench/rows/plane/plane_rows.hpp"

namespace hawse::bench {
namespace {

constexpr std::size_t kSamples = 3;

class FewSamples : public Pass {
 public:
  explicit FewSamples(const RowSpec& spec) {
    for (const SeriesSpec& series : spec.series) role[series.key] = series.role;
  }
  unsigned number() const override { return 0; }
  Effort effort() const override { return Effort::quick; }
  bool peers() const override { return true; }
  std::size_t samples(std::size_t, std::size_t) const override { return kSamples; }
  bool wants(const std::string&) const override { return true; }
  void measure(const std::string& key, const std::function<std::vector<float>()>& take) override {
    try {
      values[key] = take();
    } catch (const Unavailable& error) {
      reasons[key] = error.what();
    }
  }
  void keep(const std::string& key, std::vector<float> kept) override { values[key] = std::move(kept); }
  void missing(const std::string& key, const std::string& why) override { reasons[key] = why; }
  void version(const std::string& key, const std::string& version) override { versions[key] = version; }
  void fact(Fact) override {}
  void interleave(std::vector<std::function<void()>> calls) override {
    for (const auto& call : calls) call();
  }
  std::string folder() override { return ""; }
  void progress(const std::string&) override {}

  std::map<std::string, Role> role;
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, std::string> reasons, versions;
};

std::vector<RowSpec> plane_rows() {
  ::setenv("HAWSE_RESOURCES", HAWSE_TEST_RESOURCES, 1);
  std::vector<RowSpec> rows;
  add_plane_rows(rows);
  return rows;
}

class PlaneRow : public testing::TestWithParam<std::string> {};

TEST_P(PlaneRow, has_figures_for_ours_and_the_floors_and_a_figure_or_a_reason_for_each_peer) {
  for (const RowSpec& spec : plane_rows()) {
    if (spec.row.id != "plane/" + GetParam()) continue;
    FewSamples pass(spec);
    spec.measure(pass);
    for (const auto& [key, role] : pass.role) {
      if (role == Role::peer && pass.reasons.contains(key)) {
        EXPECT_THAT(pass.reasons[key], testing::HasSubstr("plug-in isn't built")) << key;
        continue;
      }
      EXPECT_EQ(pass.reasons[key], "") << key;
      ASSERT_EQ(pass.values[key].size(), kSamples) << key;
      for (const float value : pass.values[key]) EXPECT_TRUE(std::isfinite(value) && value > 0) << key << ": " << value;
      EXPECT_EQ(pass.versions.contains(key), role != Role::floor) << key;
    }
    return;
  }
  FAIL() << "there is no row plane/" << GetParam();
}

INSTANTIATE_TEST_SUITE_P(all, PlaneRow,
                         testing::Values("edge-setup", "handover-1mb", "handover-by-size", "round-trip-64-polling", "round-trip-64-sleeping",
                                         "one-way-after-idle", "round-trip-1mib-written", "rate-64", "throughput-1mib", "readers"),
                         [](const auto& row) {
                           std::string name = row.param;
                           for (char& letter : name)
                             if (letter == '-') letter = '_';
                           return name;
                         });

TEST(PlaneRows, name_only_their_own_series_in_their_targets) {
  for (const RowSpec& spec : plane_rows()) {
    std::vector<std::string> keys{""};
    for (const SeriesSpec& series : spec.series) keys.push_back(series.key);
    EXPECT_THAT(keys, testing::SizeIs(testing::Gt(2u)));
    EXPECT_FALSE(spec.row.targets.empty()) << spec.row.id;
    for (const Target& target : spec.row.targets) {
      EXPECT_THAT(keys, testing::Contains(target.of)) << spec.row.id;
      EXPECT_THAT(keys, testing::Contains(target.against)) << spec.row.id;
    }
  }
}

}  // namespace
}  // namespace hawse::bench
