// SPDX-License-Identifier: Apache-2.0
//
// FFmpeg's objects with owners, and its errors as text. FFmpeg keeps these as C structs; nothing else in this folder calls its free functions.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavdevice/avdevice.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "hawse/frame.hpp"

namespace hawse::nodes {

template <auto Function>
struct FreeBy {
  template <typename T>
  void operator()(T* object) const noexcept {
    if constexpr (requires { Function(&object); })
      Function(&object);
    else
      Function(object);
  }
};

using InputPtr = std::unique_ptr<AVFormatContext, FreeBy<avformat_close_input>>;
using CodecPtr = std::unique_ptr<AVCodecContext, FreeBy<avcodec_free_context>>;
using FramePtr = std::unique_ptr<AVFrame, FreeBy<av_frame_free>>;
using PacketPtr = std::unique_ptr<AVPacket, FreeBy<av_packet_free>>;
using SwrPtr = std::unique_ptr<SwrContext, FreeBy<swr_free>>;
using SwsPtr = std::unique_ptr<SwsContext, FreeBy<sws_freeContext>>;

FramePtr new_frame();
PacketPtr new_packet();

// FFmpeg writes its details ("moov atom not found") to one global log: here each thread keeps its own last complaint, and nothing is printed.
void collect_av_log() noexcept;
void forget_complaint() noexcept;
std::string av_error(int code);  // "Invalid data found when processing input (moov atom not found)"

// Negative `code`: throws std::runtime_error "what: av_error(code)"; else it is given back.
int require(int code, const std::string& what);

inline constexpr AVRational kNanoseconds{1, 1'000'000'000};
inline constexpr AVRational kMicroseconds{1, AV_TIME_BASE};

AVPixelFormat av_format(PixelFormat) noexcept;
std::optional<PixelFormat> pixel_format(const std::string& name) noexcept;
AVSampleFormat av_format(Dtype) noexcept;  // packed; AV_SAMPLE_FMT_NONE where FFmpeg has none such

// Planes of a picture that lies in a frame's payload without padding.
struct Planes {
  std::uint8_t* data[4] = {};
  int strides[4] = {};
};
Planes planes_of(std::byte* payload, PixelFormat format, int width, int height);

// A converter between two pictures that knows the colour space of the YUV side (BT.601 or BT.709, limited or full range).
class Scaler {
 public:
  struct Side {
    int width = 0, height = 0;
    AVPixelFormat format = AV_PIX_FMT_NONE;
    AVColorSpace space = AVCOL_SPC_UNSPECIFIED;
    bool full_range = false;
    bool operator==(const Side&) const = default;
  };
  void convert(const Side& from, const std::uint8_t* const* data, const int* strides, const Side& to, std::uint8_t* const* out, const int* out_strides);

 private:
  Side from_, to_;
  SwsPtr context_;
};
AVColorSpace space_for(int height) noexcept;  // what is meant where nothing is said: BT.709 from 720 lines on, BT.601 below

}  // namespace hawse::nodes
