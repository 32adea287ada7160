// SPDX-License-Identifier: Apache-2.0
//
// media/sink: encodes audio and video frames into a file. What it parses is our own frames, so it runs as a thread by default.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "media_output.hpp"
#include "media_plugin.hpp"

namespace hawse::nodes {
namespace {

EncoderChoice choice_of(const Params& params) {
  EncoderChoice choice;
  if (params.has("codec")) choice.codec = params.text("codec");
  if (params.has("bitrate")) choice.bitrate = static_cast<std::int64_t>(params.bytes("bitrate"));
  if (params.has("preset")) choice.options["preset"] = params.text("preset");
  const auto options = nlohmann::json::parse(params.json("options"));
  if (options.is_object())
    for (const auto& [name, value] : options.items()) choice.options[name] = value.is_string() ? value.get<std::string>() : value.dump();
  return choice;
}

class MediaSink : public Node {
  void setup(const Params& params) override {
    uri_ = params.text("uri");
    audio_ = choice_of(params.child("audio"));
    video_ = choice_of(params.child("video"));
    out_ = std::make_unique<MediaOutput>(uri_, params.has("container") ? params.text("container") : "");
    streams_ = (has_input("audio") ? 1 : 0) + (has_input("video") ? 1 : 0);
    out_->expect(streams_);
  }

  void process(const Input& in) override {
    if (in.port == "audio") {
      audio_came_ = true;
      out_->audio(in.frame, audio_);
    } else {
      video_came_ = true;
      out_->video(in.frame, video_);
    }
  }

  // An input that ends without a frame isn't waited for.
  void input_ended(std::string_view port) override {
    if (!(port == "audio" ? audio_came_ : video_came_)) out_->expect(--streams_);
  }

  void finish() override {
    if (!out_->finish()) log(LogLevel::warning, uri_ + ": no frame came, and nothing was written");
    out_.reset();
  }

  void close() override { out_.reset(); }

  std::string uri_;
  EncoderChoice audio_, video_;
  std::unique_ptr<MediaOutput> out_;
  int streams_ = 0;  // expected
  bool audio_came_ = false, video_came_ = false;
};

class MediaWriter : public FrameWriter {
 public:
  MediaWriter(const std::string& uri, const std::string& container) : out_(uri, container) {}
  void write(const Frame& frame) override {
    if (frame.info().type == FrameType::audio) out_.audio(frame, {});
    else out_.video(frame, {});
  }
  bool finish() override { return out_.finish(); }

 private:
  MediaOutput out_;
};

}  // namespace

std::unique_ptr<FrameWriter> make_frame_writer(const std::string& uri, const std::string& container) {
  return std::make_unique<MediaWriter>(uri, container);
}

std::unique_ptr<Node> make_media_sink() { return std::unique_ptr<Node>(new MediaSink); }

}  // namespace hawse::nodes
