// SPDX-License-Identifier: Apache-2.0
//
// The small things around FFmpeg.
#include "av.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>

namespace hawse::nodes {
namespace {

thread_local std::array<char, 256> complaint{};  // plain storage: FFmpeg's own threads log here, too

void keep_complaint(void*, int level, const char* format, va_list arguments) {
  if (level <= AV_LOG_ERROR) std::vsnprintf(complaint.data(), complaint.size(), format, arguments);
}

}  // namespace

FramePtr new_frame() {
  FramePtr frame(av_frame_alloc());
  if (!frame) throw std::bad_alloc();
  return frame;
}

PacketPtr new_packet() {
  PacketPtr packet(av_packet_alloc());
  if (!packet) throw std::bad_alloc();
  return packet;
}

void collect_av_log() noexcept { av_log_set_callback(keep_complaint); }
void forget_complaint() noexcept { complaint[0] = '\0'; }

std::string av_error(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  std::string details = complaint.data();
  while (!details.empty() && (details.back() == '\n' || details.back() == ' ' || details.back() == '.')) details.pop_back();
  return details.empty() ? std::string(text) : std::string(text) + " (" + details + ")";
}

int require(int code, const std::string& what) {
  if (code < 0) throw std::runtime_error(what + ": " + av_error(code));
  return code;
}

AVPixelFormat av_format(PixelFormat format) noexcept {
  switch (format) {
    case PixelFormat::rgb24: return AV_PIX_FMT_RGB24;
    case PixelFormat::bgr24: return AV_PIX_FMT_BGR24;
    case PixelFormat::rgba: return AV_PIX_FMT_RGBA;
    case PixelFormat::bgra: return AV_PIX_FMT_BGRA;
    case PixelFormat::gray8: return AV_PIX_FMT_GRAY8;
    case PixelFormat::yuv420p: return AV_PIX_FMT_YUV420P;
    case PixelFormat::none: break;
  }
  return AV_PIX_FMT_NONE;
}

std::optional<PixelFormat> pixel_format(const std::string& name) noexcept {
  for (int i = 1; i <= static_cast<int>(PixelFormat::yuv420p); ++i)
    if (name == to_string(static_cast<PixelFormat>(i))) return static_cast<PixelFormat>(i);
  return std::nullopt;
}

AVSampleFormat av_format(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::uint8: return AV_SAMPLE_FMT_U8;
    case Dtype::int16: return AV_SAMPLE_FMT_S16;
    case Dtype::int32: return AV_SAMPLE_FMT_S32;
    case Dtype::float32: return AV_SAMPLE_FMT_FLT;
    case Dtype::float64: return AV_SAMPLE_FMT_DBL;
    default: return AV_SAMPLE_FMT_NONE;
  }
}

Planes planes_of(std::byte* payload, PixelFormat format, int width, int height) {
  Planes planes;
  require(av_image_fill_arrays(planes.data, planes.strides, reinterpret_cast<std::uint8_t*>(payload), av_format(format), width, height, 1), "lay out a picture");
  return planes;
}

AVColorSpace space_for(int height) noexcept { return height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_BT470BG; }

void Scaler::convert(const Side& from, const std::uint8_t* const* data, const int* strides, const Side& to, std::uint8_t* const* out, const int* out_strides) {
  if (!context_ || from != from_ || to != to_) {
    context_.reset(sws_getContext(from.width, from.height, from.format, to.width, to.height, to.format, SWS_BICUBIC, nullptr, nullptr, nullptr));
    if (!context_) {
      const char* name = av_get_pix_fmt_name(from.format);
      throw std::runtime_error("can't convert pictures of format " + std::string(name != nullptr ? name : "unknown"));
    }
    const auto coefficients = [](const Side& side) { return sws_getCoefficients(side.space == AVCOL_SPC_UNSPECIFIED ? space_for(side.height) : side.space); };
    sws_setColorspaceDetails(context_.get(), coefficients(from), from.full_range, coefficients(to), to.full_range, 0, 1 << 16, 1 << 16);
    from_ = from;
    to_ = to;
  }
  sws_scale(context_.get(), data, strides, 0, from.height, out, out_strides);
}

}  // namespace hawse::nodes
