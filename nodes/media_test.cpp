// SPDX-License-Identifier: Apache-2.0
//
// media/sink writes real files, media/source reads them again; then the files are damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "base/files.hpp"
#include "testing.hpp"

namespace hawse::nodes {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

constexpr std::int64_t kSecond_ns = 1'000'000'000;
constexpr int kRate = 48000;

// A tone of 440 Hz in frames of 1000 samples.
OutFrame tone(Output& out, std::uint64_t number) {
  OutFrame frame = out.audio(1000, 2, kRate);
  const auto samples = frame.as<float>();
  for (std::size_t i = 0; i < 1000; ++i) {
    const double at = static_cast<double>((number - 1) * 1000 + i) / kRate;
    samples[2 * i] = samples[2 * i + 1] = 0.5f * static_cast<float>(std::sin(2 * std::numbers::pi * 440 * at));
  }
  frame.info().timestamp_ns = static_cast<std::int64_t>(number - 1) * 1000 * kSecond_ns / kRate;
  return frame;
}

// A grey that gets lighter from picture to picture, blue on the left half.
Bench::MakeFrame pictures(std::uint64_t height, std::uint64_t width, std::uint32_t rate) {
  return [=](Output& out, std::uint64_t number) {
    OutFrame frame = out.video(height, width, PixelFormat::bgr24, rate, 1);
    const auto pixels = frame.as<std::uint8_t>();
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const bool left = i / 3 % width < width / 2;
      pixels[i] = left && i % 3 == 0 ? 255 : static_cast<std::uint8_t>(10 * number);
    }
    frame.info().timestamp_ns = static_cast<std::int64_t>(number - 1) * kSecond_ns / rate;
    return frame;
  };
}

class Media : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  void write_audio(const std::string& file, std::uint64_t frames = 96, Json params = Json::object()) {
    Bench bench;
    params["uri"] = file;
    const auto source = bench.runtime.add("source", bench.producing(frames, tone));
    const auto sink = bench.stock("media/sink", params);
    bench.runtime.connect(source, "out", sink, "audio");
    bench.runtime.start();
    ASSERT_EQ(bench.runtime.wait(sink), 0) << bench.failure(sink);
  }

  void write_video(const std::string& file, std::uint64_t frames, std::uint64_t height, std::uint64_t width, bool with_audio = false) {
    Bench bench;
    const auto sink = bench.stock("media/sink", {{"uri", file}, {"video", {{"preset", "ultrafast"}, {"codec", "h264"}, {"options", {{"g", 10}}}}}});
    const auto source = bench.runtime.add("video", bench.producing(frames, pictures(height, width, 25)));
    bench.runtime.connect(source, "out", sink, "video");
    if (with_audio) bench.runtime.connect(bench.runtime.add("audio", bench.producing(frames * 48 / 25, tone)), "out", sink, "audio");
    bench.runtime.start();
    ASSERT_EQ(bench.runtime.wait(sink), 0) << bench.failure(sink);
  }

  struct Result {
    int code = -1;
    std::string failure, log;
    std::vector<Kept> audio, video;
    std::uint64_t copies = 0, edges = 0;
    std::size_t progress = 0;
  };
  Result read(Json params, bool audio, bool video) {
    Result result;
    Bench bench;
    const auto source = bench.stock("media/source", std::move(params));
    if (audio) bench.runtime.connect(source, "audio", bench.runtime.add("audio", bench.keeping(result.audio)), "in");
    if (video) bench.runtime.connect(source, "video", bench.runtime.add("video", bench.keeping(result.video)), "in");
    bench.runtime.start();
    result.code = bench.runtime.wait(source);
    result.failure = bench.failure(source);
    result.log = bench.runtime.log(source);
    result.progress = bench.runtime.said(source, "progress").size();
    bench.runtime.end(source);
    for (std::size_t i = 0; i < (audio ? 1u : 0u) + (video ? 1u : 0u); ++i) {
      bench.runtime.wait(1 + i);
      result.copies += bench.runtime.view(i).writer().copies.load();
    }
    return result;
  }

  void truncate(const std::string& file, double part) {
    std::filesystem::resize_file(file, static_cast<std::uintmax_t>(static_cast<double>(std::filesystem::file_size(file)) * part));
  }

  ScopedDir folder_{testing::TempDir()};
};

double loudness(const std::vector<float>& samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  return std::sqrt(sum / static_cast<double>(samples.size()));
}

TEST_F(Media, resamples_into_frames_of_an_exact_length_and_pads_the_last_with_silence) {
  write_audio(path("tone.wav"), 99);  // 99,000 samples: 2.0625 s
  const Result result = read({{"uri", path("tone.wav")}, {"audio", {{"rate", 16000}, {"channels", 1}, {"frame_ms", 32}}}}, true, false);
  EXPECT_EQ(result.code, 0) << result.failure;
  ASSERT_EQ(result.audio.size(), 65u);  // 33,000 samples in frames of 512
  EXPECT_EQ(result.copies, 0u);
  for (std::size_t i = 0; i < result.audio.size(); ++i) {
    const FrameInfo& info = result.audio[i].info;
    EXPECT_EQ(info.type, FrameType::audio);
    EXPECT_EQ(info.shape, (std::vector<std::uint64_t>{512, 1}));
    EXPECT_EQ(info.rate_numerator, 16000u);
    EXPECT_EQ(info.duration_ns, 32'000'000);
    EXPECT_EQ(info.timestamp_ns, static_cast<std::int64_t>(i) * 32'000'000);
  }
  EXPECT_NEAR(loudness(result.audio[30].as<float>()), 0.5 / std::sqrt(2), 0.01);
  const auto last = result.audio.back().as<float>();
  EXPECT_TRUE(std::all_of(last.begin() + 300, last.end(), [](float sample) { return sample == 0; }));
  EXPECT_GT(result.progress, 0u);
}

TEST_F(Media, gives_pcm_back_as_it_was_written) {
  write_audio(path("tone.wav"), 48, {{"audio", {{"codec", "pcm_f32le"}}}});
  const Result result = read({{"uri", path("tone.wav")}}, true, false);
  EXPECT_EQ(result.code, 0) << result.failure;
  std::vector<float> samples;
  for (const Kept& frame : result.audio) {
    const auto values = frame.as<float>();
    EXPECT_EQ(frame.info.shape, (std::vector<std::uint64_t>{values.size() / 2, 2}));
    EXPECT_NEAR(static_cast<double>(frame.info.timestamp_ns), static_cast<double>(samples.size() / 2) * 1e9 / kRate, 1);
    samples.insert(samples.end(), values.begin(), values.end());
  }
  ASSERT_EQ(samples.size(), 2u * 48000u);
  for (std::size_t i = 0; i < 48000; ++i) ASSERT_NEAR(samples[2 * i], 0.5 * std::sin(2 * std::numbers::pi * 440 * static_cast<double>(i) / kRate), 1e-4) << i;
}

TEST_F(Media, gives_int16_where_that_is_asked_for) {
  write_audio(path("tone.wav"), 10);
  const Result result = read({{"uri", path("tone.wav")}, {"audio", {{"dtype", "int16"}, {"frame_ms", 10}}}}, true, false);
  EXPECT_EQ(result.code, 0) << result.failure;
  ASSERT_FALSE(result.audio.empty());
  EXPECT_EQ(result.audio[0].info.dtype, Dtype::int16);
  const auto samples = result.audio[0].as<std::int16_t>();
  EXPECT_NEAR(*std::max_element(samples.begin(), samples.end()), 16383, 20);
}

TEST_F(Media, refuses_a_frame_length_that_is_no_whole_number_of_samples) {
  write_audio(path("tone.wav"), 10);
  const Result result = read({{"uri", path("tone.wav")}, {"audio", {{"rate", 44100}, {"frame_ms", 32}}}}, true, false);
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.failure, HasSubstr("audio.frame_ms"));
}

TEST_F(Media, decodes_compressed_audio_with_its_length) {
  write_audio(path("tone.m4a"), 96);
  const Result result = read({{"uri", path("tone.m4a")}, {"audio", {{"rate", 16000}, {"channels", 1}, {"frame_ms", 20}}}}, true, false);
  EXPECT_EQ(result.code, 0) << result.failure;
  EXPECT_NEAR(static_cast<double>(result.audio.size()), 100, 3);
  EXPECT_NEAR(loudness(result.audio[50].as<float>()), 0.5 / std::sqrt(2), 0.03);
}

TEST_F(Media, writes_and_reads_1080p_video_with_its_colours_and_times) {
  write_video(path("film.mp4"), 10, 1080, 1920);
  const Result result = read({{"uri", path("film.mp4")}, {"video", {{"format", "bgr24"}}}}, false, true);
  EXPECT_EQ(result.code, 0) << result.failure;
  ASSERT_EQ(result.video.size(), 10u);
  EXPECT_EQ(result.copies, 0u);
  for (std::size_t i = 0; i < result.video.size(); ++i) {
    const Kept& frame = result.video[i];
    EXPECT_EQ(frame.info.type, FrameType::video);
    EXPECT_EQ(frame.info.format, PixelFormat::bgr24);
    EXPECT_EQ(frame.info.shape, (std::vector<std::uint64_t>{1080, 1920, 3}));
    EXPECT_EQ(frame.bytes.size(), 1080u * 1920u * 3u);
    EXPECT_NEAR(static_cast<double>(frame.info.timestamp_ns), static_cast<double>(i) * 40e6, 1e6);
    EXPECT_EQ(frame.info.duration_ns, 40'000'000);
    EXPECT_EQ(frame.info.rate_numerator, 25 * frame.info.rate_denominator);
    const auto pixel = [&](std::size_t x, std::size_t c) { return std::to_integer<int>(frame.bytes[(540 * 1920 + x) * 3 + c]); };
    const int grey = static_cast<int>(10 * (i + 1));
    EXPECT_NEAR(pixel(1500, 0), grey, 6) << i;
    EXPECT_NEAR(pixel(1500, 2), grey, 6) << i;
    EXPECT_NEAR(pixel(400, 0), 255, 12) << i;
    EXPECT_NEAR(pixel(400, 1), grey, 12) << i;
    EXPECT_NEAR(pixel(400, 2), grey, 12) << i;
  }
}

TEST_F(Media, scales_and_changes_the_rate_of_video) {
  write_video(path("film.mkv"), 10, 240, 320);
  const Result result = read({{"uri", path("film.mkv")}, {"video", {{"format", "gray8"}, {"width", 160}, {"rate", 50}}}}, false, true);
  EXPECT_EQ(result.code, 0) << result.failure;
  ASSERT_EQ(result.video.size(), 20u);
  for (std::size_t i = 0; i < result.video.size(); ++i) {
    EXPECT_EQ(result.video[i].info.shape, (std::vector<std::uint64_t>{120, 160, 1}));
    EXPECT_EQ(result.video[i].info.timestamp_ns, static_cast<std::int64_t>(i) * 20'000'000);
  }
  const Result planar = read({{"uri", path("film.mkv")}, {"video", {{"format", "yuv420p"}}}}, false, true);
  EXPECT_EQ(planar.code, 0) << planar.failure;
  ASSERT_EQ(planar.video.size(), 10u);
  EXPECT_EQ(planar.video[0].info.shape, (std::vector<std::uint64_t>{360, 320, 1}));
}

TEST_F(Media, writes_audio_and_video_into_one_file_and_decodes_only_what_is_used) {
  write_video(path("both.mp4"), 50, 120, 160, true);
  const Result both = read({{"uri", path("both.mp4")}}, true, true);
  EXPECT_EQ(both.code, 0) << both.failure;
  EXPECT_EQ(both.video.size(), 50u);
  std::size_t samples = 0;
  for (const Kept& frame : both.audio) samples += frame.info.shape[0];
  EXPECT_NEAR(static_cast<double>(samples), 96000, 2100);
  const Result video = read({{"uri", path("both.mp4")}}, false, true);
  EXPECT_EQ(video.code, 0) << video.failure;
  EXPECT_EQ(video.video.size(), 50u);
  const Result nothing = read({{"uri", path("both.mp4")}}, false, false);
  EXPECT_EQ(nothing.code, 0);
  EXPECT_THAT(nothing.log, HasSubstr("there is nothing to do"));
}

TEST_F(Media, fills_a_gap_in_the_audio_with_silence) {
  Bench bench;
  const auto source = bench.runtime.add("source", bench.producing(20, [](Output& out, std::uint64_t number) {
    OutFrame frame = tone(out, number);
    if (number > 10) frame.info().timestamp_ns += kSecond_ns;
    return frame;
  }));
  const auto sink = bench.stock("media/sink", {{"uri", path("gap.wav")}});
  bench.runtime.connect(source, "out", sink, "audio");
  bench.runtime.start();
  ASSERT_EQ(bench.runtime.wait(sink), 0) << bench.failure(sink);
  const Result result = read({{"uri", path("gap.wav")}, {"audio", {{"channels", 1}, {"frame_ms", 10}}}}, true, false);
  ASSERT_NEAR(static_cast<double>(result.audio.size()), 142, 1);
  EXPECT_EQ(loudness(result.audio[70].as<float>()), 0);
  EXPECT_GT(loudness(result.audio[10].as<float>()), 0.3);
  EXPECT_GT(loudness(result.audio[130].as<float>()), 0.3);
}

TEST_F(Media, names_a_file_that_is_not_there_and_one_that_is_no_medium) {
  EXPECT_EQ(read({{"uri", path("none.mp4")}}, true, false).failure, "open " + path("none.mp4") + ": No such file or directory");
  write_file(path("notes.mp4"), std::string(5000, 'x'));
  const Result result = read({{"uri", path("notes.mp4")}}, true, false);
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.failure, HasSubstr("open " + path("notes.mp4") + ": Invalid data found"));
}

TEST_F(Media, says_which_streams_there_are_where_one_is_missing) {
  write_audio(path("tone.wav"), 10);
  EXPECT_EQ(read({{"uri", path("tone.wav")}}, false, true).failure, path("tone.wav") + " has no video stream; its streams: audio (pcm_s16le)");
}

TEST_F(Media, opens_no_other_scheme_and_no_network_from_a_local_playlist) {
  EXPECT_THAT(read({{"uri", "concat:/etc/passwd|/etc/group"}}, true, false).failure, HasSubstr("scheme 'concat' is not opened"));
  EXPECT_THAT(read({{"uri", "device:nosuch:x"}}, true, false).failure, HasSubstr("no device format 'nosuch'"));
  write_file(path("list.m3u8"), "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n");
  const Result result = read({{"uri", path("list.m3u8")}}, true, false);
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.failure, testing::Not(HasSubstr("Connection refused")));
}

TEST_F(Media, opens_a_device) {
  const Result result = read({{"uri", "device:lavfi:sine=frequency=440:duration=1"}, {"audio", {{"rate", 8000}, {"frame_ms", 100}}}}, true, false);
  EXPECT_EQ(result.code, 0) << result.failure;
  EXPECT_EQ(result.audio.size(), 10u);
}

TEST_F(Media, gives_what_can_be_decoded_of_a_cut_file_and_then_fails_with_how_much_that_was) {
  for (const char* name : {"tone.wav", "tone.mkv"}) {
    write_audio(path(name), 480);  // 10 s
    truncate(path(name), 0.5);
    const Result result = read({{"uri", path(name)}, {"audio", {{"channels", 1}, {"frame_ms", 100}}}}, true, false);
    EXPECT_EQ(result.code, 1) << name;
    EXPECT_NEAR(static_cast<double>(result.audio.size()), 50, 10) << name;
    EXPECT_THAT(result.failure, testing::ContainsRegex("decoded [0-9]\\.[0-9] s of audio before: ")) << name;
  }
}

TEST_F(Media, goes_on_after_damage_in_the_middle_with_one_warning_a_burst) {
  write_video(path("film.ts"), 100, 240, 320);  // a stream that one can join anywhere
  std::string bytes = read_file(path("film.ts"));
  for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 300; ++i) bytes[i] = static_cast<char>(i * 31);
  write_file(path("film.ts"), bytes);
  const Result result = read({{"uri", path("film.ts")}}, false, true);
  EXPECT_GT(result.video.size(), 60u);
  const auto warnings = std::count(result.log.begin(), result.log.end(), '\n');
  EXPECT_LT(warnings, 10);
}

TEST_F(Media, fails_with_a_file_that_has_nothing_left) {
  write_audio(path("tone.mp4"), 480);
  truncate(path("tone.mp4"), 0.5);  // an MP4's index stands at its end
  const Result result = read({{"uri", path("tone.mp4")}}, true, false);
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.failure, "open " + path("tone.mp4") + ": Invalid data found when processing input (moov atom not found)");
}

TEST_F(Media, loops_with_time_that_goes_on_until_it_is_stopped) {
  write_audio(path("tone.wav"), 24);  // 0.5 s
  Bench bench;
  std::vector<Kept> frames;
  const auto source = bench.stock("media/source", {{"uri", path("tone.wav")}, {"loop", true}, {"audio", {{"channels", 1}, {"frame_ms", 100}}}});
  const auto sink = bench.runtime.add("sink", bench.keeping(frames));
  bench.runtime.connect(source, "audio", sink, "in");
  bench.runtime.start();
  while (bench.runtime.page(sink).frames_in.load() < 20) std::this_thread::yield();
  bench.runtime.stop(source);
  EXPECT_EQ(bench.runtime.wait(source), 0) << bench.failure(source);
  EXPECT_EQ(bench.runtime.wait(sink), 0);
  for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_NEAR(static_cast<double>(frames[i].info.timestamp_ns), static_cast<double>(i) * 1e8, 1e6) << i;
}

TEST_F(Media, keeps_to_the_time_of_the_medium_in_real_time) {
  write_audio(path("tone.wav"), 24);
  const std::int64_t begin_ns = plane::monotonic_ns();
  const Result result = read({{"uri", path("tone.wav")}, {"realtime", true}, {"audio", {{"frame_ms", 50}}}}, true, false);
  EXPECT_EQ(result.code, 0) << result.failure;
  EXPECT_EQ(result.audio.size(), 10u);
  EXPECT_GE(plane::monotonic_ns() - begin_ns, 450'000'000);
}

TEST_F(Media, tells_what_it_cannot_write) {
  const auto failure = [&](Json params, const char* port, const Bench::MakeFrame& make) {
    Bench bench;
    const auto source = bench.runtime.add("source", bench.producing(1, make));
    const auto sink = bench.stock("media/sink", std::move(params));
    bench.runtime.connect(source, "out", sink, port);
    bench.runtime.start();
    EXPECT_EQ(bench.runtime.wait(sink), 1);
    bench.runtime.end(sink);
    return bench.failure(sink);
  };
  EXPECT_EQ(failure({{"uri", "/no/such/folder/x.mp4"}}, "audio", tone), "write /no/such/folder/x.mp4: No such file or directory");
  EXPECT_THAT(failure({{"uri", path("x.unknown")}}, "audio", tone), HasSubstr("its name doesn't tell the container"));
  EXPECT_THAT(failure({{"uri", path("x.wav")}}, "video", pictures(16, 16, 25)), HasSubstr("a file of type wav takes no video"));
  EXPECT_THAT(failure({{"uri", path("x.mp4")}, {"video", {{"codec", "nosuch"}}}}, "video", pictures(16, 16, 25)), HasSubstr("no video encoder 'nosuch'"));
  EXPECT_THAT(failure({{"uri", path("x.mp4")}, {"video", {{"options", {{"nosuch", 1}}}}}}, "video", pictures(16, 16, 25)), HasSubstr("has no option 'nosuch'"));
}

}  // namespace
}  // namespace hawse::nodes
