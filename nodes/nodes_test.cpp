// SPDX-License-Identifier: Apache-2.0
//
// The stock nodes without media, each between real neighbours on the real plane.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/files.hpp"
#include "pattern.hpp"
#include "pipeline/pipeline.hpp"
#include "testing.hpp"
#include "text_file.hpp"

namespace hawse::nodes {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

TEST(Catalogue, has_signatures_that_the_manifest_understands) {
  for (const StockEntry& entry : catalogue()) {
    const pipeline::Signature signature = pipeline::parse_signature(std::string_view(entry.signature));
    EXPECT_FALSE(signature.doc.empty()) << entry.name;
    EXPECT_NE(signature.inputs.empty(), signature.outputs.empty()) << entry.name;
    EXPECT_EQ(signature.source, signature.inputs.empty()) << entry.name;
    EXPECT_THAT(entry.executor, testing::AnyOf("thread", "process")) << entry.name;
    EXPECT_EQ(find(catalogue(), entry.name)->signature, entry.signature);
  }
  EXPECT_EQ(find(catalogue(), "no/such"), nullptr);
}

TEST(Pattern, differs_between_neighbours_and_is_checked_in_every_dtype) {
  for (int i = 0; i <= static_cast<int>(Dtype::complex128); ++i) {
    const auto dtype = static_cast<Dtype>(i);
    if (!has_pattern(dtype)) continue;
    std::vector<std::byte> payload(1024);
    fill(payload, dtype, 5);
    EXPECT_EQ(first_difference(payload, dtype, 5), kIntact) << to_string(dtype);
    EXPECT_EQ(first_difference(payload, dtype, 6), 0u) << to_string(dtype);
    payload.back() ^= std::byte{1};
    EXPECT_EQ(first_difference(payload, dtype, 5), payload.size() / std::max<std::size_t>(1, bytes_of(dtype)) - 1) << to_string(dtype);
  }
}

class TestSource : public testing::TestWithParam<std::pair<const char*, Json>> {};

TEST_P(TestSource, sends_frames_that_test_sink_finds_intact) {
  Bench bench;
  const auto source = bench.stock("test/source", GetParam().second);
  const auto sink = bench.stock("test/sink", {{"verify", true}});
  bench.runtime.connect(source, "out", sink, "in");
  bench.runtime.start();
  EXPECT_EQ(bench.runtime.wait(source), 0) << bench.failure(source);
  EXPECT_EQ(bench.runtime.wait(sink), 0) << bench.failure(sink);
  EXPECT_THAT(bench.runtime.log(sink), HasSubstr("info 50 frames, "));
  EXPECT_EQ(bench.runtime.view(0).writer().copies.load(), 0u);
}

INSTANTIATE_TEST_SUITE_P(, TestSource,
                         testing::Values(std::pair{"tensor", Json{{"count", 50}, {"shape", {100, 7}}}}, std::pair{"uint8", Json{{"count", 50}, {"dtype", "uint8"}, {"shape", {1000}}}},
                                         std::pair{"bytes", Json{{"count", 50}, {"bytes", "1 MiB"}}}, std::pair{"text", Json{{"count", 50}, {"type", "text"}}},
                                         std::pair{"audio", Json{{"count", 50}, {"type", "audio"}}}, std::pair{"video", Json{{"count", 50}, {"type", "video"}, {"shape", {90, 160}}}},
                                         std::pair{"image", Json{{"count", 50}, {"type", "image"}}}, std::pair{"empty", Json{{"count", 50}, {"shape", {0}}}},
                                         std::pair{"paced", Json{{"count", 50}, {"rate_hz", 1000}}}),
                         [](const auto& tested) { return tested.param.first; });

// What a timer sent, and whether its numbers account for every tick.
std::vector<Json> ticks_of(const std::vector<Kept>& kept) {
  std::vector<Json> ticks;
  std::int64_t last = 0;
  for (const Kept& frame : kept) {
    ticks.push_back(Json::parse(std::string(reinterpret_cast<const char*>(frame.bytes.data()), frame.bytes.size())));
    EXPECT_EQ(frame.info.type, FrameType::json);
    EXPECT_EQ(ticks.back().at("tick").get<std::int64_t>(), last + 1 + ticks.back().at("missed").get<std::int64_t>());
    last = ticks.back().at("tick");
  }
  return ticks;
}

TEST(Timer, ticks_on_a_grid_that_does_not_drift) {
  Bench bench;
  std::vector<Kept> kept;
  const auto source = bench.stock("hawse/timer", {{"every", "2ms"}, {"count", 51}});
  const auto sink = bench.runtime.add("sink", bench.keeping(kept));
  bench.runtime.connect(source, "out", sink, "in");
  bench.runtime.start();
  EXPECT_EQ(bench.runtime.wait(source), 0) << bench.failure(source);
  EXPECT_EQ(bench.runtime.wait(sink), 0);
  const std::vector<Json> ticks = ticks_of(kept);
  ASSERT_EQ(kept.size(), 51u);
  std::vector<std::int64_t> off_ns;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(kept[i].info.duration_ns, 2'000'000);
    off_ns.push_back(std::abs(kept[i].info.timestamp_ns - kept[0].info.timestamp_ns - (ticks[i].at("tick").get<std::int64_t>() - 1) * 2'000'000));
  }
  std::ranges::nth_element(off_ns, off_ns.begin() + 25);
  EXPECT_LT(off_ns[25], 1'000'000) << "half a tick: what a preemption between two looks at a clock adds is no drift";
}

TEST(Timer, leaves_out_the_ticks_that_a_full_edge_kept_it_from_and_says_how_many) {
  Bench bench;
  const auto source = bench.stock("hawse/timer", {{"every", "1ms"}, {"count", 6}});
  std::vector<Kept> kept;
  const auto sink = bench.runtime.add("sink", [&]() -> std::unique_ptr<Node> {
    struct Slow : Node {
      std::vector<Kept>& into;
      explicit Slow(std::vector<Kept>& where) : into(where) {}
      void process(const Input& in) override {
        into.push_back({in.frame.info(), {in.frame.bytes().begin(), in.frame.bytes().end()}});
        context().sleep_until(std::chrono::steady_clock::now().time_since_epoch().count() + 20'000'000);
      }
    };
    return std::make_unique<Slow>(kept);
  });
  bench.runtime.connect(source, "out", sink, "in", 1);
  bench.runtime.start();
  EXPECT_EQ(bench.runtime.wait(sink), 0);
  const std::vector<Json> ticks = ticks_of(kept);
  ASSERT_EQ(ticks.size(), 6u);
  EXPECT_GT(ticks.back().at("tick").get<int>(), 6) << "missed ticks are not made up for";
}

TEST(Timer, ends_when_it_is_stopped) {
  Bench bench;
  const auto source = bench.stock("hawse/timer", {{"every", "1h"}});
  const auto sink = bench.stock("test/sink");
  bench.runtime.connect(source, "out", sink, "in");
  bench.runtime.start();
  bench.runtime.stop(source);
  EXPECT_EQ(bench.runtime.wait(source), 0);
  EXPECT_EQ(bench.runtime.wait(sink), 0);
}

TEST(TestSink, fails_on_a_frame_that_is_not_what_was_sent) {
  Bench bench;
  const auto source = bench.runtime.add("source", bench.producing(3, [](Output& out, std::uint64_t number) {
    OutFrame frame = out.tensor({100}, Dtype::float32);
    fill(frame.bytes(), Dtype::float32, number);
    if (number == 2) frame.as<float>()[42] += 1;
    return frame;
  }));
  const auto sink = bench.stock("test/sink", {{"verify", true}});
  bench.runtime.connect(source, "out", sink, "in");
  bench.runtime.start();
  EXPECT_EQ(bench.runtime.wait(sink), 1);
  EXPECT_EQ(bench.failure(sink), "frame 2 isn't what was sent: element 42 differs");
}

TEST(TestSink, tells_a_missing_frame_unless_gaps_are_allowed) {
  for (const bool gaps : {false, true}) {
    Bench bench;
    const auto source = bench.stock("test/source", {{"count", 200}, {"rate_hz", 5000}});
    const auto sink = bench.stock("test/sink", {{"verify", true}, {"gaps", gaps}, {"delay", "1ms"}});
    bench.runtime.connect(source, "out", sink, "in", 2, plane::WhenFull::drop_oldest);
    bench.runtime.start();
    EXPECT_EQ(bench.runtime.wait(sink), gaps ? 0 : 1) << bench.failure(sink);
    EXPECT_GT(bench.runtime.view(0).writer().dropped.load(), 0u);
    bench.runtime.end(sink);
  }
}

MakeNode texts(Bench& bench, std::vector<std::string> lines, FrameType type = FrameType::text) {
  const std::uint64_t count = lines.size();
  return bench.producing(count, [lines = std::move(lines), type](Output& out, std::uint64_t number) {
    OutFrame frame = out.text(lines[number - 1]);
    frame.info().type = type;
    frame.info().timestamp_ns = static_cast<std::int64_t>(number - 1) * 61'234'000'000;
    frame.info().duration_ns = number == 1 ? 1'500'000'000 : 0;
    return frame;
  });
}

// Runs `lines` through the stock node, and gives what it wrote into its file.
std::string written(const std::string& name, Json params, std::vector<std::string> lines, FrameType type = FrameType::text) {
  const ScopedDir folder(testing::TempDir());
  const auto path = folder.path() / "out";
  Bench bench;
  params["path"] = path.string();
  const auto source = bench.runtime.add("source", texts(bench, std::move(lines), type));
  const auto node = bench.stock(name, params);
  bench.runtime.connect(source, "out", node, "in");
  bench.runtime.start();
  EXPECT_EQ(bench.runtime.wait(node), 0) << bench.failure(node);
  return read_file(path);
}

TEST(TextSrt, writes_numbered_cues_with_their_times) {
  EXPECT_EQ(written("text/srt", {}, {"It was the best of times,", " it was\n\nthe worst of times \n", "  ", "\x1b[2Jthe age of wisdom"}),
            "1\n00:00:00,000 --> 00:00:01,500\nIt was the best of times,\n\n"
            "2\n00:01:01,234 --> 00:01:02,900\nit was\nthe worst of times\n\n"
            "3\n00:03:03,702 --> 00:03:05,302\n\\x1b[2Jthe age of wisdom\n\n");
}

TEST(TextSrt, logs_each_cue_as_it_comes) {
  const ScopedDir folder(testing::TempDir());
  Bench bench;
  const auto source = bench.runtime.add("source", texts(bench, {"one", "two"}));
  const auto node = bench.stock("text/srt", {{"path", (folder.path() / "x.srt").string()}});
  bench.runtime.connect(source, "out", node, "in");
  bench.runtime.start();
  EXPECT_EQ(bench.runtime.wait(node), 0);
  EXPECT_EQ(bench.runtime.log(node), "info 00:00:00,000  one\ninfo 00:01:01,234  two\n");
}

TEST(TextSrt, names_the_file_that_it_cannot_write) {
  Bench bench;
  const auto source = bench.runtime.add("source", texts(bench, {"one"}));
  const auto node = bench.stock("text/srt", {{"path", "/no/such/folder/x.srt"}});
  bench.runtime.connect(source, "out", node, "in");
  bench.runtime.start();
  EXPECT_EQ(bench.runtime.wait(node), 1);
  EXPECT_EQ(bench.failure(node), "write /no/such/folder/x.srt: No such file or directory");
}

TEST(JsonLines, writes_an_object_a_line) {
  const std::string text = written("json/lines", {}, {"a \"quoted\" text"});
  const Json line = Json::parse(text);
  EXPECT_EQ(line, (Json{{"type", "text"}, {"sequence", 1}, {"timestamp_ns", 0}, {"duration_ns", 1'500'000'000}, {"text", "a \"quoted\" text"}}));
  EXPECT_EQ(Json::parse(written("json/lines", {}, {R"({"x": [1, 2]})"}, FrameType::json)).at("value"), (Json{{"x", {1, 2}}}));
  EXPECT_EQ(Json::parse(written("json/lines", {}, {"{broken"}, FrameType::json)).at("value"), "{broken");
  EXPECT_EQ(Json::parse(written("json/lines", {{"payload", true}}, {"any carnal pleas"}, FrameType::bytes)).at("payload"), "YW55IGNhcm5hbCBwbGVhcw==");
  EXPECT_EQ(Json::parse(written("json/lines", {}, {"12345"}, FrameType::bytes)).at("bytes"), 5);
}

TEST(TextPrint, prints_a_line_a_frame_in_the_form_that_is_asked_for) {
  testing::internal::CaptureStdout();
  {
    Bench bench;
    const auto source = bench.runtime.add("source", texts(bench, {"one", "t\x1bwo"}));
    const auto node = bench.stock("text/print", {{"format", "{node} {sequence} [{timestamp} +{duration}] {text} {other} {"}});
    bench.runtime.connect(source, "out", node, "in");
    bench.runtime.start();
    EXPECT_EQ(bench.runtime.wait(node), 0) << bench.failure(node);
  }
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "text/print 1 [00:00:00.000 +1.500] one {other} {\n"
            "text/print 2 [00:01:01.234 +0.000] t\\x1bwo {other} {\n");
}

TEST(TimeText, tells_media_time_from_the_clock) {
  EXPECT_EQ(time_text(3'723'004'000'000), "01:02:03.004");
  EXPECT_EQ(time_text(-5), "00:00:00.000");
  EXPECT_EQ(time_text(1'795'509'731'123'000'000), "2026-11-24T08:42:11.123Z");
}

TEST(HawseNode, runs_a_stock_node_as_a_process) {
  Bench bench;
  const auto source = bench.runtime.add_program("source", {HAWSE_NODE, "test/source"}, {{"count", 20}, {"bytes", 100'000}});
  const auto sink = bench.runtime.add_program("sink", {HAWSE_NODE, "test/sink"}, {{"verify", true}});
  bench.runtime.connect(source, "out", sink, "in");
  bench.runtime.start();
  EXPECT_EQ(bench.runtime.wait(source), 0) << bench.failure(source);
  EXPECT_EQ(bench.runtime.wait(sink), 0) << bench.failure(sink);
  EXPECT_THAT(bench.runtime.log(sink), HasSubstr("20 frames, 2000000 bytes, every one as it was sent"));
}

}  // namespace
}  // namespace hawse::nodes
