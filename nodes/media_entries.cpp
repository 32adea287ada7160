// SPDX-License-Identifier: Apache-2.0
//
// The media nodes' signatures, and the loading of the library that holds the nodes themselves (media_plugin.hpp). The whole catalogue is here, too, so that who
// wants the other nodes alone isn't linked with what loads a library.
#include <dlfcn.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/files.hpp"
#include "entries.hpp"

namespace hawse::nodes {
namespace {

constexpr const char* kSource = R"({
  "doc": "Opens a file, a URL or a device with FFmpeg and gives its audio and its video. A port that no edge uses isn't decoded.",
  "source": true,
  "outputs": {"audio": "audio", "video": "video"},
  "params": {
    "uri": {"type": "path", "required": true, "doc": "a file; a URL (http, https, rtsp, rtmp, srt, udp, ...); or device:FORMAT:NAME, for example device:v4l2:/dev/video0"},
    "audio": {"type": "dict", "default": {}, "doc": "form of the audio", "fields": {
      "rate": {"type": "int", "default": null, "minimum": 1, "maximum": 768000, "doc": "samples a second; that of the medium if not given"},
      "channels": {"type": "int", "default": null, "minimum": 1, "maximum": 64, "doc": "that of the medium if not given"},
      "frame_ms": {"type": "float", "default": null, "minimum": 0.01, "doc": "length of each frame; as it is decoded if not given. The last one is filled up with silence"},
      "dtype": {"type": "str", "default": "float32", "choices": ["float32", "int16"], "doc": "of a sample"}}},
    "video": {"type": "dict", "default": {}, "doc": "form of the video", "fields": {
      "format": {"type": "str", "default": "bgr24", "choices": ["rgb24", "bgr24", "rgba", "bgra", "gray8", "yuv420p"], "doc": "of a pixel"},
      "width": {"type": "int", "default": null, "minimum": 2, "maximum": 16384, "doc": "that of the medium if not given; keeps the proportions if height alone is given"},
      "height": {"type": "int", "default": null, "minimum": 2, "maximum": 16384, "doc": "likewise"},
      "rate": {"type": "float", "default": null, "minimum": 0.01, "maximum": 1000, "doc": "pictures a second, repeated or left out as needed; every picture as it comes if not given"}}},
    "realtime": {"type": "bool", "default": false, "doc": "send each frame at its time instead of as fast as it is taken"},
    "loop": {"type": "bool", "default": false, "doc": "begin again at the end; time goes on"}
  }
})";

constexpr const char* kSink = R"({
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

// Beside hawse-node, or where the command keeps its parts. It stays loaded: FFmpeg's threads and tables don't like to be unloaded.
void* library() {
  constexpr const char* kName = "hawse-media.so";
  auto file = executable_path().parent_path() / kName;
  if (!std::filesystem::exists(file)) file = resources_dir() / kName;
  void* loaded = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) throw Error(ErrorCode::environment, "load the media nodes", ::dlerror(), "install FFmpeg's libraries (libavformat, libavcodec, libavdevice, ...)");
  return loaded;
}

template <typename Function>
Function find(const char* name) {
  const auto function = reinterpret_cast<Function>(::dlsym(library(), name));
  if (function == nullptr) throw Error(ErrorCode::environment, "load the media nodes", ::dlerror(), "install again: make install");
  return function;
}

std::unique_ptr<Node> make(const char* function) { return std::unique_ptr<Node>(find<Node* (*)()>(function)()); }

}  // namespace

// It parses what strangers made, so by default it is a process of its own.
StockEntry media_source() {
  return {"media/source", kSource, "process", [] { return make("hawse_make_media_source"); }};
}

StockEntry media_sink() {
  return {"media/sink", kSink, "thread", [] { return make("hawse_make_media_sink"); }};
}

std::vector<StockEntry> catalogue() {
  std::vector<StockEntry> all = self_contained();
  all.insert(all.end(), {media_sink(), media_source()});
  return all;
}

std::unique_ptr<FrameWriter> open_frame_writer(const std::string& uri, const std::string& container) {
  return std::unique_ptr<FrameWriter>(find<FrameWriter* (*)(const char*, const char*)>("hawse_make_frame_writer")(uri.c_str(), container.c_str()));
}

}  // namespace hawse::nodes
