// SPDX-License-Identifier: Apache-2.0
//
// media/source: anything FFmpeg opens, as audio and video frames with the time that they have in the medium.
// It parses what strangers made, so by default it is a process of its own.
#include <ctime>

#include <memory>
#include <string>
#include <utility>

#include "media_cutters.hpp"
#include "media_input.hpp"
#include "media_plugin.hpp"

namespace hawse::nodes {
namespace {

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

int integer_or_0(const Params& params, std::string_view name) { return params.has(name) ? static_cast<int>(params.integer(name)) : 0; }

class MediaSource : public Node {
  void setup(const Params& params) override {
    uri_ = params.text("uri");
    realtime_ = params.boolean("realtime");
    loop_ = params.boolean("loop");
    wants_ = {.audio = has_output("audio"), .video = has_output("video")};
    decoded_ = new_frame();
    if (!wants_.audio && !wants_.video) return log(LogLevel::warning, "no edge uses its outputs: there is nothing to do");
    if (!open()) return;
    if (wants_.audio) set_up_audio(params.child("audio"));
    if (wants_.video) set_up_video(params.child("video"));
  }

  // false: stopped meanwhile, which is no failure.
  bool open() try {
    // Asking for a sleep that is over lets the host look at its messages.
    input_ = std::make_unique<MediaInput>(uri_, wants_, [this] { return !context().sleep_until(0); }, [this](const std::string& text) { log(LogLevel::warning, text); });
    return true;
  } catch (const std::runtime_error&) {
    if (!context().stopping()) throw;
    input_.reset();
    return false;
  }

  void set_up_audio(const Params& params) {
    const AVCodecParameters& medium = *input_->stream(MediaInput::Kind::audio).codecpar;
    AudioShape shape;
    shape.rate = params.has("rate") ? integer_or_0(params, "rate") : medium.sample_rate;
    shape.channels = params.has("channels") ? integer_or_0(params, "channels") : medium.ch_layout.nb_channels;
    shape.frame_ms = params.has("frame_ms") ? params.number("frame_ms") : 0;
    shape.dtype = params.text("dtype") == "int16" ? Dtype::int16 : Dtype::float32;
    if (shape.rate <= 0 || shape.channels <= 0) throw std::runtime_error(uri_ + " doesn't say its sample rate and channels: give audio.rate and audio.channels");
    audio_ = std::make_unique<AudioCutter>(output("audio"), shape, [this](OutFrame frame) { send("audio", std::move(frame)); });
  }

  void set_up_video(const Params& params) {
    VideoShape shape;
    shape.format = pixel_format(params.text("format")).value();
    shape.width = integer_or_0(params, "width");
    shape.height = integer_or_0(params, "height");
    if (params.has("rate")) shape.rate = av_d2q(params.number("rate"), 1'000'000);
    video_ = std::make_unique<VideoCutter>(output("video"), shape, input_->frame_rate(), [this](OutFrame frame) { send("video", std::move(frame)); });
  }

  bool produce() override {
    if (!input_) return false;
    const MediaInput::Kind kind = input_->next(decoded_.get());
    if (kind == MediaInput::Kind::end) return at_end();
    const std::int64_t medium_ns = input_->timestamp_ns(kind, decoded_.get());
    const std::int64_t at_ns = medium_ns == AV_NOPTS_VALUE ? medium_ns : medium_ns + offset_ns_;
    if (kind == MediaInput::Kind::audio)
      audio_->take(*decoded_, at_ns);
    else
      video_->take(*decoded_, at_ns, av_rescale_q(decoded_->pkt_duration, input_->stream(kind).time_base, kNanoseconds));
    av_frame_unref(decoded_.get());
    if (input_->duration_ns() > 0 && !loop_)
      context().progress("media", static_cast<std::uint64_t>(input_->decoded_ns()) / 1'000'000'000, static_cast<std::uint64_t>(input_->duration_ns()) / 1'000'000'000, "s");
    return true;
  }

  bool at_end() {
    const auto damage = input_->damage();
    if (damage || !loop_) flush();
    if (damage) throw std::runtime_error(*damage);
    if (!loop_ || context().stopping()) return false;
    offset_ns_ += input_->decoded_ns();
    return open();
  }

  void finish() override { flush(); }  // stopped in the middle: what is decoded belongs to the stream

  void flush() {
    if (std::exchange(flushed_, true)) return;
    if (audio_) audio_->finish();
    if (video_) video_->finish();
  }

  void send(const char* port, OutFrame frame) {
    if (realtime_) {
      if (start_ns_ == 0) start_ns_ = monotonic_ns() - frame.info().timestamp_ns;
      context().sleep_until(start_ns_ + frame.info().timestamp_ns);
    }
    output(port).send(std::move(frame));
  }

  std::string uri_;
  MediaInput::Wants wants_;
  bool realtime_ = false, loop_ = false, flushed_ = false;
  std::unique_ptr<MediaInput> input_;
  std::unique_ptr<AudioCutter> audio_;
  std::unique_ptr<VideoCutter> video_;
  FramePtr decoded_;
  std::int64_t offset_ns_ = 0, start_ns_ = 0;
};

}  // namespace

std::unique_ptr<Node> make_media_source() { return std::unique_ptr<Node>(new MediaSource); }

}  // namespace hawse::nodes
