// SPDX-License-Identifier: Apache-2.0
//
// media/sink: encodes audio and video frames into a file. What it parses is our own frames, so it runs as a thread by default.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "entries.hpp"
#include "media_output.hpp"

namespace hawse::nodes {
namespace {

constexpr const char* kSignature = R"({
  "doc": "Encodes audio and video into a file; the container follows from its name. Frames go to their time: gaps in the audio become silence.",
  "inputs": {"audio": "audio?", "video": "video?"},
  "params": {
    "uri": {"type": "path", "required": true, "doc": "the file to write, or a URL that FFmpeg can write to"},
    "container": {"type": "str", "default": null, "doc": "FFmpeg's name of the container, where the file's name doesn't tell"},
    "video": {"type": "dict", "default": {}, "doc": "encoding of the video", "fields": {
      "codec": {"type": "str", "default": null, "doc": "h264, mpeg4, libx265, ...; what the container usually has if not given"},
      "bitrate": {"type": "size", "default": null, "doc": "bits a second; the encoder's own choice if not given"},
      "preset": {"type": "str", "default": null, "doc": "the encoder's, for example veryfast"},
      "options": {"type": "dict", "default": {}, "doc": "options of the encoder, for example crf"}}},
    "audio": {"type": "dict", "default": {}, "doc": "encoding of the audio", "fields": {
      "codec": {"type": "str", "default": null, "doc": "aac, libopus, pcm_s16le, ...; what the container usually has if not given"},
      "bitrate": {"type": "size", "default": null, "doc": "bits a second; the encoder's own choice if not given"},
      "options": {"type": "dict", "default": {}, "doc": "options of the encoder"}}}
  }
})";

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

}  // namespace

StockEntry media_sink() {
  return {"media/sink", kSignature, "thread", [] { return std::unique_ptr<Node>(new MediaSink); }};
}

}  // namespace hawse::nodes
