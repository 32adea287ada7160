// SPDX-License-Identifier: Apache-2.0
//
// Decoded media into frames of the pipeline: resampled and converted straight into the output's memory.
#pragma once

#include <functional>
#include <optional>

#include "av.hpp"
#include "hawse/node.hpp"

namespace hawse::nodes {

using Send = std::function<void(OutFrame)>;

struct AudioShape {
  int rate = 0;                    // 0: that of the medium
  int channels = 0;                // likewise
  double frame_ms = 0;             // 0: frames as they are decoded
  Dtype dtype = Dtype::float32;
};

// Frames of exactly frame_ms, the last one filled up with silence. Timestamps count samples from the first, and follow the medium where it has a gap.
class AudioCutter {
 public:
  AudioCutter(Output&, const AudioShape&, Send);  // rate and channels are known; throws std::invalid_argument where frame_ms is no whole number of samples
  void take(const AVFrame&, std::int64_t timestamp_ns);
  void finish();

 private:
  void open(const AVFrame&);
  void follow(std::int64_t timestamp_ns);
  void convert(const std::uint8_t* const* samples, int count);
  void begin(int samples);
  void emit(int samples);
  std::int64_t time_of(std::int64_t sample) const noexcept;

  Output& out_;
  AudioShape shape_;
  Send send_;
  int frame_samples_ = 0;
  SwrPtr resampler_;
  int in_rate_ = 0, in_format_ = -1, in_channels_ = 0;
  std::optional<OutFrame> frame_;  // being filled
  int filled_ = 0;
  bool started_ = false;
  std::int64_t base_ns_ = 0;       // of sample 0
  std::int64_t next_sample_ = 0;   // the next to be put out
};

struct VideoShape {
  PixelFormat format = PixelFormat::bgr24;
  int width = 0, height = 0;       // 0: that of the medium, or as its proportions say
  AVRational rate = {0, 1};        // 0: every picture as it comes
};

class VideoCutter {
 public:
  VideoCutter(Output&, const VideoShape&, AVRational medium_rate, Send);
  void take(const AVFrame&, std::int64_t timestamp_ns, std::int64_t duration_ns);  // AV_NOPTS_VALUE: follows the one before
  void finish();

 private:
  void emit(const AVFrame&, std::int64_t timestamp_ns);
  void choose_size(const AVFrame&);

  Output& out_;
  VideoShape shape_;
  AVRational rate_;                // of what is put out
  std::int64_t period_ns_ = 0;     // 0: not known
  Send send_;
  Scaler scaler_;
  bool started_ = false;
  std::int64_t first_ns_ = 0, end_ns_ = 0;
  FramePtr held_;                  // with a rate of our own: the picture that stands
  std::int64_t ticks_ = 0;         // pictures put out so far
};

}  // namespace hawse::nodes
