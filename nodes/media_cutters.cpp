// SPDX-License-Identifier: Apache-2.0
//
// libswresample and libswscale write into the slot that is sent: no picture and no sample is copied after its conversion.
#include "media_cutters.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace hawse::nodes {
namespace {

constexpr std::int64_t kSecond_ns = 1'000'000'000;
constexpr std::int64_t kGap_ns = 50'000'000;  // less is the jitter of a container's timestamps
// libswscale's vector code may write some bytes past the end of the last line.
constexpr std::size_t kScalerSlackBytes = 64;

std::int64_t period_of(AVRational rate) { return rate.num > 0 ? av_rescale(kSecond_ns, rate.den, rate.num) : 0; }

}  // namespace

// ---- audio ----------------------------------------------------------------------------------------------------------------

AudioCutter::AudioCutter(Output& out, const AudioShape& shape, Send send) : out_(out), shape_(shape), send_(std::move(send)) {
  if (shape_.frame_ms <= 0) return;
  const double samples = shape_.rate * shape_.frame_ms / 1000;
  frame_samples_ = static_cast<int>(std::lround(samples));
  if (frame_samples_ < 1 || std::abs(samples - frame_samples_) > 1e-6)
    throw std::invalid_argument("audio.frame_ms: " + std::to_string(shape_.rate) + " samples a second and frames of that length make " + std::to_string(samples) +
                                " samples a frame: choose a length that makes a whole number");
}

std::int64_t AudioCutter::time_of(std::int64_t sample) const noexcept { return base_ns_ + av_rescale(sample, kSecond_ns, shape_.rate); }

void AudioCutter::open(const AVFrame& frame) {
  if (resampler_) convert(nullptr, 0);  // the last samples of what came in another form
  AVChannelLayout in{}, out{};
  if (frame.ch_layout.order == AV_CHANNEL_ORDER_UNSPEC) av_channel_layout_default(&in, frame.ch_layout.nb_channels);
  else require(av_channel_layout_copy(&in, &frame.ch_layout), "resample audio");
  av_channel_layout_default(&out, shape_.channels);
  SwrContext* context = nullptr;
  const int code = swr_alloc_set_opts2(&context, &out, av_format(shape_.dtype), shape_.rate, &in, static_cast<AVSampleFormat>(frame.format), frame.sample_rate, 0, nullptr);
  av_channel_layout_uninit(&in);
  resampler_.reset(context);
  require(code, "resample audio");
  av_opt_set_double(context, "rematrix_maxval", 1.0, 0);  // two loud channels make no mono sound that is too loud
  require(swr_init(context), "resample audio");
  in_rate_ = frame.sample_rate;
  in_format_ = frame.format;
  in_channels_ = frame.ch_layout.nb_channels;
}

// Where the medium's clock is far from the samples counted (a gap, a cut), the next sample takes its time.
void AudioCutter::follow(std::int64_t timestamp_ns) {
  if (timestamp_ns == AV_NOPTS_VALUE) return;
  const std::int64_t inside_ns = swr_get_delay(resampler_.get(), kSecond_ns);  // resampled after what is in the resampler
  if (started_ && std::abs(timestamp_ns - inside_ns - time_of(next_sample_)) <= kGap_ns) return;
  base_ns_ = timestamp_ns - inside_ns;
  next_sample_ = 0;
  started_ = true;
}

void AudioCutter::take(const AVFrame& frame, std::int64_t timestamp_ns) {
  if (frame.nb_samples <= 0) return;
  if (!resampler_ || frame.sample_rate != in_rate_ || frame.format != in_format_ || frame.ch_layout.nb_channels != in_channels_) open(frame);
  follow(timestamp_ns);
  convert(frame.extended_data, frame.nb_samples);
}

// samples null: what the resampler still has.
void AudioCutter::convert(const std::uint8_t* const* samples, int count) {
  const std::size_t sample_bytes = bytes_of(shape_.dtype) * static_cast<std::size_t>(shape_.channels);
  for (;;) {
    if (!frame_) {
      const int room = frame_samples_ > 0 ? frame_samples_ : require(swr_get_out_samples(resampler_.get(), count), "resample audio");
      if (room == 0) return;
      begin(room);
    }
    const int room = static_cast<int>(frame_->bytes().size() / sample_bytes) - filled_;
    std::uint8_t* into = reinterpret_cast<std::uint8_t*>(frame_->bytes().data()) + static_cast<std::size_t>(filled_) * sample_bytes;
    const int got = require(swr_convert(resampler_.get(), &into, room, const_cast<const std::uint8_t**>(samples), count), "resample audio");
    count = 0;  // what it took and didn't give yet, it keeps
    filled_ += got;
    next_sample_ += got;
    if (filled_ == 0) frame_.reset();  // it gets its time when there is a sample for it
    if (got < room && (frame_samples_ > 0 || filled_ == 0)) return;
    emit(filled_);
    if (got < room) return;
  }
}

void AudioCutter::begin(int samples) {
  frame_ = out_.audio(static_cast<std::uint64_t>(samples), static_cast<std::uint64_t>(shape_.channels), static_cast<std::uint32_t>(shape_.rate), shape_.dtype);
  frame_->info().timestamp_ns = time_of(next_sample_);
  filled_ = 0;
}

void AudioCutter::emit(int samples) {
  FrameInfo& info = frame_->info();
  info.shape[0] = static_cast<std::uint64_t>(samples);
  info.duration_ns = av_rescale(samples, kSecond_ns, shape_.rate);
  frame_->resize(static_cast<std::size_t>(samples) * bytes_of(shape_.dtype) * static_cast<std::size_t>(shape_.channels));
  OutFrame frame = std::move(*frame_);
  frame_.reset();
  send_(std::move(frame));
}

void AudioCutter::finish() {
  if (resampler_) convert(nullptr, 0);
  if (frame_ && filled_ > 0) {
    const std::size_t used = static_cast<std::size_t>(filled_) * bytes_of(shape_.dtype) * static_cast<std::size_t>(shape_.channels);
    std::memset(frame_->bytes().data() + used, 0, frame_->bytes().size() - used);
    emit(frame_samples_ > 0 ? frame_samples_ : filled_);
  }
  frame_.reset();
}

// ---- video ----------------------------------------------------------------------------------------------------------------

VideoCutter::VideoCutter(Output& out, const VideoShape& shape, AVRational medium_rate, Send send)
    : out_(out), shape_(shape), rate_(shape.rate.num > 0 ? shape.rate : medium_rate), period_ns_(period_of(rate_)), send_(std::move(send)) {
  if (shape_.rate.num > 0) held_ = new_frame();
}

void VideoCutter::choose_size(const AVFrame& frame) {
  const auto follow = [](int known, int of, int other) { return std::max(2, static_cast<int>(av_rescale(known, other, of)) / 2 * 2); };
  if (shape_.width == 0 && shape_.height == 0) {
    shape_.width = frame.width;
    shape_.height = frame.height;
  } else if (shape_.width == 0) {
    shape_.width = follow(shape_.height, frame.height, frame.width);
  } else if (shape_.height == 0) {
    shape_.height = follow(shape_.width, frame.width, frame.height);
  }
  if (shape_.format == PixelFormat::yuv420p) {  // its planes need an even size
    shape_.width += shape_.width % 2;
    shape_.height += shape_.height % 2;
  }
}

void VideoCutter::take(const AVFrame& frame, std::int64_t timestamp_ns, std::int64_t duration_ns) {
  if (duration_ns <= 0) duration_ns = held_ ? 0 : period_ns_;
  if (timestamp_ns == AV_NOPTS_VALUE) timestamp_ns = end_ns_;
  if (!std::exchange(started_, true)) {
    choose_size(frame);
    first_ns_ = timestamp_ns;
  }
  end_ns_ = timestamp_ns + duration_ns;
  if (!held_) return emit(frame, timestamp_ns);
  const auto next_ns = [&] { return first_ns_ + av_rescale(ticks_, kSecond_ns * rate_.den, rate_.num); };
  for (; held_->width > 0 && next_ns() < timestamp_ns; ++ticks_) emit(*held_, next_ns());
  av_frame_unref(held_.get());
  require(av_frame_ref(held_.get(), &frame), "keep a picture");
}

void VideoCutter::finish() {
  if (!held_ || held_->width == 0) return;
  const auto next_ns = [&] { return first_ns_ + av_rescale(ticks_, kSecond_ns * rate_.den, rate_.num); };
  do {
    emit(*held_, next_ns());
    ++ticks_;
  } while (next_ns() < end_ns_);
  av_frame_unref(held_.get());
}

void VideoCutter::emit(const AVFrame& frame, std::int64_t timestamp_ns) {
  const Planes layout = planes_of(nullptr, shape_.format, shape_.width, shape_.height);
  const int payload_bytes = av_image_get_buffer_size(av_format(shape_.format), shape_.width, shape_.height, 1);
  OutFrame out = out_.allocate(static_cast<std::size_t>(require(payload_bytes, "lay out a picture")) + kScalerSlackBytes);
  const Planes planes = planes_of(out.bytes().data(), shape_.format, shape_.width, shape_.height);
  const auto format = static_cast<AVPixelFormat>(frame.format);
  const bool full_range = frame.color_range == AVCOL_RANGE_JPEG || format == AV_PIX_FMT_YUVJ420P || format == AV_PIX_FMT_YUVJ422P || format == AV_PIX_FMT_YUVJ444P;
  const Scaler::Side from{frame.width, frame.height, format, frame.colorspace, full_range};
  const Scaler::Side to{shape_.width, shape_.height, av_format(shape_.format), AVCOL_SPC_UNSPECIFIED, false};
  scaler_.convert(from, frame.data, frame.linesize, to, planes.data, layout.strides);
  out.resize(static_cast<std::size_t>(payload_bytes));
  const std::vector<std::uint64_t> shape = [&]() -> std::vector<std::uint64_t> {
    const auto height = static_cast<std::uint64_t>(shape_.height), width = static_cast<std::uint64_t>(shape_.width);
    if (shape_.format == PixelFormat::yuv420p) return {height / 2 * 3, width, 1};
    return {height, width, static_cast<std::uint64_t>(payload_bytes) / (height * width)};
  }();
  FrameInfo& info = out.info();
  info.type = FrameType::video;
  info.dtype = Dtype::uint8;
  info.format = shape_.format;
  info.shape = shape;
  info.timestamp_ns = timestamp_ns;
  info.duration_ns = period_ns_ > 0 ? period_ns_ : end_ns_ - timestamp_ns;
  info.rate_numerator = static_cast<std::uint32_t>(std::max(rate_.num, 0));
  info.rate_denominator = static_cast<std::uint32_t>(std::max(rate_.den, 1));
  send_(std::move(out));
}

}  // namespace hawse::nodes
