// SPDX-License-Identifier: Apache-2.0
//
// A file (or stream) that is being written: encoders, and the container around them.
//
// Header.     It is written when every expected stream is known; what is encoded before waits as packets.
// Threading.  One thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "av.hpp"
#include "hawse/frame.hpp"

namespace hawse::nodes {

struct EncoderChoice {
  std::string codec;                           // "": what the container is usually filled with
  std::int64_t bitrate = 0;                    // bits a second; 0: the encoder's own
  std::map<std::string, std::string> options;  // as the encoder calls them
};

class MediaOutput {
 public:
  // Opens the file. `container`: "" to take it from the name. Throws std::runtime_error that names the file, like everything here.
  MediaOutput(std::string uri, const std::string& container);
  ~MediaOutput();
  MediaOutput(const MediaOutput&) = delete;
  MediaOutput& operator=(const MediaOutput&) = delete;

  void expect(int streams);  // how many will come, those that came included
  void video(const Frame&, const EncoderChoice&);
  void audio(const Frame&, const EncoderChoice&);
  bool finish();                                     // flushes and completes the file; false: nothing had come

 private:
  struct Track {
    AVStream* stream = nullptr;
    CodecPtr encoder;
    FramePtr frame;
    std::int64_t last_pts = AV_NOPTS_VALUE;
  };

  Track add_track(const AVCodec&, const EncoderChoice&, const char* what);
  void open_encoder(Track&, const EncoderChoice&, const char* what);
  const AVCodec& encoder_for(AVMediaType, const EncoderChoice&, const char* what) const;
  void begin_video(const Frame&, const EncoderChoice&);
  void begin_audio(const Frame&, const EncoderChoice&);
  void resample(const std::uint8_t* samples, int count);
  void encode(Track&, const AVFrame*);
  void write_header_if_known();
  void write(PacketPtr);
  std::int64_t media_time_ns(const Frame&);

  std::string uri_;
  AVFormatContext* format_ = nullptr;
  int expected_ = 1;
  bool header_written_ = false;
  std::int64_t origin_ns_ = AV_NOPTS_VALUE;  // what counts as 0
  std::vector<PacketPtr> waiting_;           // before the header
  std::unique_ptr<Track> video_, audio_;
  Scaler scaler_;
  SwrPtr resampler_;
  AVSampleFormat in_format_ = AV_SAMPLE_FMT_NONE;
  int in_rate_ = 0, in_channels_ = 0;
  int filled_ = 0;                           // samples in audio_->frame
  std::int64_t taken_ = 0;                   // input samples so far
  std::int64_t audio_start_ns_ = 0;
};

}  // namespace hawse::nodes
