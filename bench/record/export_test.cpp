// SPDX-License-Identifier: Apache-2.0
#include "bench/record/export.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/record/testing.hpp"

namespace hawse::bench {
namespace {

using nlohmann::json;

TEST(Json, holds_the_run_with_summaries_and_judgements) {
  const json run = json::parse(to_json(example_run(), false));
  EXPECT_EQ(run["format"], "hawse-bench");
  EXPECT_EQ(run["machine"]["more"]["cgroup"], "v1");
  EXPECT_EQ(run["calibration"]["near_ns"], 123.4);
  EXPECT_TRUE(run["calibration"]["far_ns"].is_null());
  const json& row = run["rows"][0];
  EXPECT_EQ(row["better"], "less");
  EXPECT_EQ(row["facts"][0]["ok"], true);
  EXPECT_TRUE(row["facts"][1]["ok"].is_null());
  EXPECT_EQ(row["targets"][0]["judgement"]["met"], "unknown");
  EXPECT_EQ(row["targets"][0]["judgement"]["why"], "iceoryx2: cargo isn't there,\nor too old");
  EXPECT_EQ(row["targets"][1]["judgement"]["met"], "met");
  EXPECT_EQ(row["targets"][1]["judgement"]["interval"].size(), 2u);
  EXPECT_EQ(run["rows"][1]["missing"], "this machine has no GPU");

  const json& ours = row["series"][0];
  EXPECT_EQ(ours["x"], 64.0);
  EXPECT_FALSE(ours.contains("batches"));
  ASSERT_EQ(ours["summaries"].size(), 3u);
  EXPECT_EQ(ours["summaries"][0]["placement"], "near");
  EXPECT_EQ(ours["summaries"][0]["samples"], 6);
  EXPECT_EQ(ours["summaries"][0]["passes"], 2) << "a batch without samples is no pass";
  EXPECT_EQ(ours["summaries"][1]["median"], 400.625);
  EXPECT_EQ(ours["summaries"][2]["placement"], "moved");
  EXPECT_EQ(row["series"][1]["variant"], "iceoryx2") << "its key";
  EXPECT_EQ(row["series"][1]["summaries"].size(), 0u);
}

TEST(Json, with_samples_every_value_comes_back_as_the_same_float) {
  const auto run = example_run();
  const std::string text = to_json(run, true);
  EXPECT_THAT(text, testing::HasSubstr("\"values\":[0.1,130.5,1e-45,-3.0]")) << "short, not 0.10000000149011612";
  const json series = json::parse(text)["rows"][0]["series"][0];
  for (std::size_t b = 0; b < series["batches"].size(); ++b)
    EXPECT_EQ(series["batches"][b]["values"].get<std::vector<float>>(), run.rows[0].series[0].batches[b].values);
}

TEST(Json, text_that_is_no_utf_8_doesnt_break_it) {
  auto run = example_run();
  run.rows[0].facts[0].seen = "\xff\xfe";
  EXPECT_TRUE(json::accept(to_json(run, true)));
}

// As RFC 4180 has it.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> lines(1, {""});
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"')
      lines.back().back() += text[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && c == ',')
      lines.back().emplace_back();
    else if (!quoted && c == '\n')
      lines.push_back({""});
    else
      lines.back().back() += c;
  }
  lines.pop_back();
  return lines;
}

TEST(Csv, has_a_line_for_each_series_and_placement_and_one_for_what_is_missing) {
  const auto lines = parse_csv(to_csv(example_run()));
  ASSERT_EQ(lines.size(), 7u);
  for (const auto& line : lines) EXPECT_EQ(line.size(), lines[0].size());
  const auto field = [&](std::size_t line, const std::string& column) {
    const auto found = std::find(lines[0].begin(), lines[0].end(), column);
    return found == lines[0].end() ? "no column " + column : lines[line][static_cast<std::size_t>(found - lines[0].begin())];
  };
  EXPECT_EQ(field(1, "row"), "latency/64");
  EXPECT_EQ(field(1, "series"), "process 64 B");
  EXPECT_EQ(field(1, "placement"), "near");
  EXPECT_EQ(field(2, "placement"), "far");
  EXPECT_EQ(field(2, "n"), "2");
  EXPECT_EQ(field(2, "median"), "400.625");
  EXPECT_EQ(field(2, "x"), "64");
  EXPECT_EQ(field(3, "placement"), "moved");
  EXPECT_EQ(field(4, "version"), "0.7.0, \"beta\"") << "quoted and back";
  EXPECT_EQ(field(4, "missing"), "cargo isn't there,\nor too old");
  EXPECT_EQ(field(4, "median"), "");
  EXPECT_EQ(field(5, "series"), "imports");
  EXPECT_EQ(field(6, "row"), "gpu");
  EXPECT_EQ(field(6, "missing"), "this machine has no GPU");
}

}  // namespace
}  // namespace hawse::bench
