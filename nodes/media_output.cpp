// SPDX-License-Identifier: Apache-2.0
//
// Encoding and muxing with libavcodec and libavformat.
#include "media_output.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "text_file.hpp"

namespace hawse::nodes {
namespace {

constexpr std::int64_t kSecond_ns = 1'000'000'000;
constexpr std::int64_t kGap_ns = 50'000'000;  // a longer one in the audio becomes silence
constexpr int kUsualFrameSamples = 1024;      // for encoders that take any number

// MPEG-4 Part 2 has 16 bits for its clock.
AVRational clock_of(AVCodecID id) { return id == AV_CODEC_ID_MPEG4 ? AVRational{1, 60000} : AVRational{1, 90000}; }

template <typename T>
T preferred(const T* supported, T wanted, T end) {
  if (supported == nullptr) return wanted;
  for (const T* entry = supported; *entry != end; ++entry)
    if (*entry == wanted) return wanted;
  return *supported;
}

int nearest_rate(const int* supported, int wanted) {
  if (supported == nullptr) return wanted;
  int best = *supported;
  for (; *supported != 0; ++supported)
    if (std::abs(*supported - wanted) < std::abs(best - wanted)) best = *supported;
  return best;
}

struct Picture {
  int width = 0, height = 0;
  Planes planes;
};

Picture picture_of(const Frame& frame) {
  const FrameInfo& info = frame.info();
  if (info.shape.size() < 2 || info.format == PixelFormat::none || info.dtype != Dtype::uint8)
    throw std::runtime_error("frame " + std::to_string(info.sequence) + " is no picture that can be encoded: it needs a pixel format, dtype uint8, and shape (height, width, channels)");
  Picture picture;
  constexpr std::uint64_t kMost = 16384;
  const std::uint64_t height = info.format == PixelFormat::yuv420p ? info.shape[0] / 3 * 2 : info.shape[0];
  if (height < 2 || info.shape[1] < 2 || height > kMost || info.shape[1] > kMost)
    throw std::runtime_error("frame " + std::to_string(info.sequence) + " has " + std::to_string(info.shape[1]) + "x" + std::to_string(height) + " pixels: 2 to 16384 each way can be encoded");
  picture.width = static_cast<int>(info.shape[1]);
  picture.height = static_cast<int>(height);
  const int needed = av_image_get_buffer_size(av_format(info.format), picture.width, picture.height, 1);
  if (needed < 0 || frame.bytes().size() < static_cast<std::size_t>(needed))
    throw std::runtime_error("frame " + std::to_string(info.sequence) + " is shorter than its pixel format needs");
  picture.planes = planes_of(const_cast<std::byte*>(frame.bytes().data()), info.format, picture.width, picture.height);  // only read
  return picture;
}

}  // namespace

MediaOutput::MediaOutput(std::string uri, const std::string& container) : uri_(std::move(uri)) {
  collect_av_log();
  forget_complaint();
  const int code = avformat_alloc_output_context2(&format_, nullptr, container.empty() ? nullptr : container.c_str(), uri_.c_str());
  if (format_ == nullptr) throw std::runtime_error("write " + uri_ + ": " + (code == AVERROR(EINVAL) ? "its name doesn't tell the container; end it with .mp4, .mkv, .wav, ... or give container" : av_error(code)));
  if ((format_->oformat->flags & AVFMT_NOFILE) == 0) {
    const int opened = avio_open(&format_->pb, uri_.c_str(), AVIO_FLAG_WRITE);
    if (opened < 0) {
      avformat_free_context(std::exchange(format_, nullptr));
      require(opened, "write " + uri_);
    }
  }
}

MediaOutput::~MediaOutput() {
  if (format_ == nullptr) return;
  if ((format_->oformat->flags & AVFMT_NOFILE) == 0) avio_closep(&format_->pb);
  avformat_free_context(format_);
}

const AVCodec& MediaOutput::encoder_for(AVMediaType type, const EncoderChoice& choice, const char* what) const {
  const AVCodec* codec = nullptr;
  if (!choice.codec.empty()) {
    const AVCodecDescriptor* known = avcodec_descriptor_get_by_name(choice.codec.c_str());
    codec = choice.codec == "h264" ? avcodec_find_encoder_by_name("libx264") : nullptr;
    if (codec == nullptr) codec = known != nullptr ? avcodec_find_encoder(known->id) : avcodec_find_encoder_by_name(choice.codec.c_str());
    if (codec == nullptr || codec->type != type) throw std::runtime_error("write " + uri_ + ": FFmpeg here has no " + what + " encoder '" + choice.codec + "'");
    return *codec;
  }
  const AVCodecID usual = av_guess_codec(format_->oformat, nullptr, uri_.c_str(), nullptr, type);
  if (usual == AV_CODEC_ID_NONE) throw std::runtime_error("write " + uri_ + ": a file of type " + format_->oformat->name + " takes no " + what);
  if (usual == AV_CODEC_ID_H264) codec = avcodec_find_encoder_by_name("libx264");
  if (codec == nullptr) codec = avcodec_find_encoder(usual);
  if (codec == nullptr && type == AVMEDIA_TYPE_VIDEO) codec = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
  if (codec == nullptr) throw std::runtime_error("write " + uri_ + ": FFmpeg here has no encoder for " + avcodec_get_name(usual));
  return *codec;
}

MediaOutput::Track MediaOutput::add_track(const AVCodec& codec, const EncoderChoice& choice, const char* what) {
  Track track{.stream = avformat_new_stream(format_, nullptr), .encoder = CodecPtr(avcodec_alloc_context3(&codec)), .frame = new_frame()};
  if (track.stream == nullptr || !track.encoder) throw std::bad_alloc();
  if (avformat_query_codec(format_->oformat, codec.id, FF_COMPLIANCE_NORMAL) == 0)
    throw std::runtime_error("write " + uri_ + ": a file of type " + format_->oformat->name + " takes no " + what + " in " + avcodec_get_name(codec.id));
  if (choice.bitrate > 0) track.encoder->bit_rate = choice.bitrate;
  if ((format_->oformat->flags & AVFMT_GLOBALHEADER) != 0) track.encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  return track;
}

void MediaOutput::open_encoder(Track& track, const EncoderChoice& choice, const char* what) {
  AVDictionary* options = nullptr;
  for (const auto& [name, value] : choice.options) av_dict_set(&options, name.c_str(), value.c_str(), 0);
  forget_complaint();
  const int code = avcodec_open2(track.encoder.get(), nullptr, &options);
  const AVDictionaryEntry* unknown = av_dict_get(options, "", nullptr, AV_DICT_IGNORE_SUFFIX);
  const std::string unknown_name = unknown != nullptr ? unknown->key : "";
  av_dict_free(&options);
  require(code, "encode the " + std::string(what) + " of " + uri_ + " with " + track.encoder->codec->name);
  if (!unknown_name.empty()) throw std::runtime_error("encode the " + std::string(what) + " of " + uri_ + ": " + track.encoder->codec->name + " has no option '" + unknown_name + "'");
  require(avcodec_parameters_from_context(track.stream->codecpar, track.encoder.get()), "write " + uri_);
  track.stream->time_base = track.encoder->time_base;
}

// Media time as it is; a wall clock's counts from the first frame that came.
std::int64_t MediaOutput::media_time_ns(const Frame& frame) {
  const std::int64_t at_ns = frame.info().timestamp_ns;
  if (origin_ns_ == AV_NOPTS_VALUE) origin_ns_ = is_wall_time(at_ns) ? at_ns : 0;
  return at_ns - origin_ns_;
}

// ---- video ----------------------------------------------------------------------------------------------------------------

void MediaOutput::begin_video(const Frame& frame, const EncoderChoice& choice) {
  const AVCodec& codec = encoder_for(AVMEDIA_TYPE_VIDEO, choice, "video");
  const Picture picture = picture_of(frame);
  const FrameInfo& info = frame.info();
  auto track = std::make_unique<Track>(add_track(codec, choice, "video"));
  AVCodecContext& encoder = *track->encoder;
  encoder.pix_fmt = preferred(codec.pix_fmts, AV_PIX_FMT_YUV420P, AV_PIX_FMT_NONE);
  const AVPixFmtDescriptor& pixels = *av_pix_fmt_desc_get(encoder.pix_fmt);
  const bool half_colour = pixels.log2_chroma_w > 0 || pixels.log2_chroma_h > 0;  // an even size, then
  encoder.width = half_colour ? picture.width / 2 * 2 : picture.width;
  encoder.height = half_colour ? picture.height / 2 * 2 : picture.height;
  encoder.time_base = clock_of(codec.id);
  encoder.framerate = info.rate_numerator > 0 ? AVRational{static_cast<int>(info.rate_numerator), static_cast<int>(std::max(info.rate_denominator, 1u))} : AVRational{25, 1};
  encoder.colorspace = space_for(encoder.height);
  encoder.color_primaries = encoder.height >= 720 ? AVCOL_PRI_BT709 : AVCOL_PRI_BT470BG;
  encoder.color_trc = encoder.height >= 720 ? AVCOL_TRC_BT709 : AVCOL_TRC_SMPTE170M;
  encoder.color_range = AVCOL_RANGE_MPEG;
  if ((pixels.flags & AV_PIX_FMT_FLAG_RGB) != 0) {
    encoder.colorspace = AVCOL_SPC_RGB;
    encoder.color_primaries = AVCOL_PRI_BT709;
    encoder.color_trc = AVCOL_TRC_IEC61966_2_1;
    encoder.color_range = AVCOL_RANGE_JPEG;
  }
  encoder.thread_count = 0;
  track->stream->avg_frame_rate = encoder.framerate;
  open_encoder(*track, choice, "video");
  track->frame->format = encoder.pix_fmt;
  track->frame->width = encoder.width;
  track->frame->height = encoder.height;
  require(av_frame_get_buffer(track->frame.get(), 0), "encode video");
  video_ = std::move(track);
  write_header_if_known();
}

void MediaOutput::video(const Frame& frame, const EncoderChoice& choice) {
  if (!video_) begin_video(frame, choice);
  const Picture picture = picture_of(frame);
  AVFrame& out = *video_->frame;
  require(av_frame_make_writable(&out), "encode video");  // the encoder may still hold the last picture
  const Scaler::Side from{picture.width, picture.height, av_format(frame.info().format), AVCOL_SPC_UNSPECIFIED, false};
  const Scaler::Side to{out.width, out.height, static_cast<AVPixelFormat>(out.format), video_->encoder->colorspace, false};
  scaler_.convert(from, picture.planes.data, picture.planes.strides, to, out.data, out.linesize);
  const std::int64_t pts = av_rescale_q(media_time_ns(frame), kNanoseconds, video_->encoder->time_base);
  out.pts = video_->last_pts == AV_NOPTS_VALUE ? pts : std::max(pts, video_->last_pts + 1);  // time only goes on
  video_->last_pts = out.pts;
  encode(*video_, &out);
}

// ---- audio ----------------------------------------------------------------------------------------------------------------

void MediaOutput::begin_audio(const Frame& frame, const EncoderChoice& choice) {
  const AVCodec& codec = encoder_for(AVMEDIA_TYPE_AUDIO, choice, "audio");
  const FrameInfo& info = frame.info();
  in_format_ = av_format(info.dtype);
  in_rate_ = static_cast<int>(info.rate_numerator);
  in_channels_ = info.shape.size() == 2 ? static_cast<int>(info.shape[1]) : 0;
  if (in_format_ == AV_SAMPLE_FMT_NONE || in_rate_ <= 0 || in_channels_ <= 0 || in_channels_ > 64)
    throw std::runtime_error("frame " + std::to_string(info.sequence) + " is no audio that can be encoded: it needs a sample rate, dtype float32 or int16, and shape (samples, channels)");
  auto track = std::make_unique<Track>(add_track(codec, choice, "audio"));
  AVCodecContext& encoder = *track->encoder;
  encoder.sample_fmt = preferred(codec.sample_fmts, in_format_, AV_SAMPLE_FMT_NONE);
  encoder.sample_rate = nearest_rate(codec.supported_samplerates, in_rate_);
  av_channel_layout_default(&encoder.ch_layout, in_channels_);
  encoder.time_base = {1, encoder.sample_rate};
  open_encoder(*track, choice, "audio");
  AVChannelLayout in{};
  av_channel_layout_default(&in, in_channels_);
  SwrContext* context = nullptr;
  const int code = swr_alloc_set_opts2(&context, &encoder.ch_layout, encoder.sample_fmt, encoder.sample_rate, &in, in_format_, in_rate_, 0, nullptr);
  resampler_.reset(context);
  require(code, "resample audio");
  require(swr_init(context), "resample audio");
  AVFrame& out = *track->frame;
  out.format = encoder.sample_fmt;
  out.sample_rate = encoder.sample_rate;
  out.nb_samples = encoder.frame_size > 0 ? encoder.frame_size : kUsualFrameSamples;
  require(av_channel_layout_copy(&out.ch_layout, &encoder.ch_layout), "encode audio");
  require(av_frame_get_buffer(&out, 0), "encode audio");
  audio_start_ns_ = media_time_ns(frame);
  track->last_pts = av_rescale(audio_start_ns_, encoder.sample_rate, kSecond_ns);  // of the next frame
  audio_ = std::move(track);
  write_header_if_known();
}

void MediaOutput::audio(const Frame& frame, const EncoderChoice& choice) {
  if (!audio_) begin_audio(frame, choice);
  const FrameInfo& info = frame.info();
  if (av_format(info.dtype) != in_format_ || static_cast<int>(info.rate_numerator) != in_rate_ || info.shape.size() != 2 || static_cast<int>(info.shape[1]) != in_channels_)
    throw std::runtime_error("write " + uri_ + ": the audio changed its rate, channels or dtype at frame " + std::to_string(info.sequence));
  std::int64_t missing = av_rescale(media_time_ns(frame) - audio_start_ns_, in_rate_, kSecond_ns) - taken_;
  if (missing > av_rescale(kGap_ns, in_rate_, kSecond_ns)) {
    const std::vector<std::uint8_t> silence(static_cast<std::size_t>(kUsualFrameSamples * in_channels_ * av_get_bytes_per_sample(in_format_)), in_format_ == AV_SAMPLE_FMT_U8 ? 0x80 : 0);
    for (; missing > 0; missing -= kUsualFrameSamples) resample(silence.data(), static_cast<int>(std::min<std::int64_t>(missing, kUsualFrameSamples)));
  }
  resample(reinterpret_cast<const std::uint8_t*>(frame.bytes().data()), static_cast<int>(info.shape[0]));
}

// samples null: the rest of the resampler.
void MediaOutput::resample(const std::uint8_t* samples, int count) {
  AVFrame& out = *audio_->frame;
  const int full = audio_->encoder->frame_size > 0 ? audio_->encoder->frame_size : kUsualFrameSamples;
  taken_ += count;
  for (;;) {
    if (filled_ == 0) {
      out.nb_samples = full;
      require(av_frame_make_writable(&out), "encode audio");
    }
    std::array<std::uint8_t*, 64> into{};
    const bool planar = av_sample_fmt_is_planar(audio_->encoder->sample_fmt) != 0;
    const int sample_bytes = av_get_bytes_per_sample(audio_->encoder->sample_fmt) * (planar ? 1 : in_channels_);
    for (int plane = 0; plane < (planar ? in_channels_ : 1); ++plane) into[static_cast<std::size_t>(plane)] = out.extended_data[plane] + filled_ * sample_bytes;
    const int got = require(swr_convert(resampler_.get(), into.data(), full - filled_, samples != nullptr ? &samples : nullptr, count), "resample audio");
    count = 0;
    filled_ += got;
    if (filled_ < full) return;
    filled_ = 0;
    out.pts = audio_->last_pts;
    audio_->last_pts += full;
    encode(*audio_, &out);
  }
}

// ---- the container ----------------------------------------------------------------------------------------------------------

void MediaOutput::encode(Track& track, const AVFrame* frame) {
  forget_complaint();
  require(avcodec_send_frame(track.encoder.get(), frame), "encode " + uri_);
  for (;;) {
    PacketPtr packet = new_packet();
    const int code = avcodec_receive_packet(track.encoder.get(), packet.get());
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
    require(code, "encode " + uri_);
    if (packet->duration == 0 && &track == video_.get()) packet->duration = av_rescale_q(1, av_inv_q(track.encoder->framerate), track.encoder->time_base);
    packet->stream_index = track.stream->index;
    if (header_written_) write(std::move(packet));
    else waiting_.push_back(std::move(packet));
  }
}

void MediaOutput::expect(int streams) {
  expected_ = streams;
  write_header_if_known();
}

void MediaOutput::write_header_if_known() {
  if (header_written_ || static_cast<int>(format_->nb_streams) < expected_ || format_->nb_streams == 0) return;
  forget_complaint();
  require(avformat_write_header(format_, nullptr), "write " + uri_);
  header_written_ = true;
  for (PacketPtr& packet : waiting_) write(std::move(packet));
  waiting_.clear();
}

// Takes packets in the encoder's clock: the muxer may have chosen another.
void MediaOutput::write(PacketPtr packet) {
  const Track& track = video_ && packet->stream_index == video_->stream->index ? *video_ : *audio_;
  av_packet_rescale_ts(packet.get(), track.encoder->time_base, track.stream->time_base);
  forget_complaint();
  require(av_interleaved_write_frame(format_, packet.get()), "write " + uri_);
}

bool MediaOutput::finish() {
  if (format_->nb_streams == 0) return false;
  expected_ = static_cast<int>(format_->nb_streams);
  write_header_if_known();
  if (audio_) {
    resample(nullptr, 0);
    if (filled_ > 0) {
      AVFrame& out = *audio_->frame;
      out.nb_samples = filled_;
      out.pts = audio_->last_pts;
      encode(*audio_, &out);
    }
    encode(*audio_, nullptr);
  }
  if (video_) encode(*video_, nullptr);
  require(av_write_trailer(format_), "write " + uri_);
  if ((format_->oformat->flags & AVFMT_NOFILE) == 0) require(avio_closep(&format_->pb), "write " + uri_);
  return true;
}

}  // namespace hawse::nodes
