// SPDX-License-Identifier: Apache-2.0
//
// Opening and decoding with libavformat and libavcodec.
//
// What may be opened. A name without a scheme is a file and nothing else; "device:FORMAT:NAME" is a capture device; the rest needs one of kSchemes.
// What a medium refers to in turn (a playlist) follows FFmpeg's own rules: a local one opens no network.
#include "media_input.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace hawse::nodes {
namespace {

constexpr std::string_view kSchemes[] = {"file", "http", "https", "tcp", "udp", "tls", "rtp", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "pipe"};
constexpr std::string_view kDevice = "device:";
constexpr std::int64_t kSecond_ns = 1'000'000'000;

// "rtsp" of "rtsp://...", "pipe" of "pipe:0"; "" of a path.
std::string scheme_of(const std::string& uri) {
  const std::size_t colon = uri.find(':');
  if (colon == std::string::npos || colon < 2) return "";
  const std::string scheme = uri.substr(0, colon);
  const bool plain = std::all_of(scheme.begin(), scheme.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.'; });
  return plain && std::isalpha(static_cast<unsigned char>(scheme[0])) != 0 ? scheme : "";
}

struct Place {
  std::string url;
  const AVInputFormat* format = nullptr;
};

Place place_of(const std::string& uri) {
  if (uri.starts_with(kDevice)) {
    const std::size_t colon = uri.find(':', kDevice.size());
    if (colon == std::string::npos) throw std::runtime_error(uri + ": a device is written device:FORMAT:NAME, for example device:v4l2:/dev/video0");
    avdevice_register_all();
    const std::string name = uri.substr(kDevice.size(), colon - kDevice.size());
    const AVInputFormat* format = av_find_input_format(name.c_str());
    if (format == nullptr || format->priv_class == nullptr || !AV_IS_INPUT_DEVICE(format->priv_class->category))
      throw std::runtime_error(uri + ": FFmpeg here knows no device format '" + name + "'");
    return {uri.substr(colon + 1), format};
  }
  const std::string scheme = scheme_of(uri);
  if (scheme.empty()) return {"file:" + uri, nullptr};
  if (std::find(std::begin(kSchemes), std::end(kSchemes), scheme) == std::end(kSchemes))
    throw std::runtime_error(uri + ": scheme '" + scheme + "' is not opened; a file's name may be written as ./" + uri);
  return {uri, nullptr};
}

int ask_interrupted(void* context) noexcept {
  try {
    return (*static_cast<const MediaInput::Interrupted*>(context))() ? 1 : 0;
  } catch (...) {  // must not pass through FFmpeg; the caller meets it again at its next wait
    return 1;
  }
}

std::string seconds_text(std::int64_t ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(ns) / 1e9);
  return text;
}

}  // namespace

MediaInput::MediaInput(std::string uri, Wants wants, Interrupted interrupted, Warn warn)
    : uri_(std::move(uri)), interrupted_(std::move(interrupted)), warn_(std::move(warn)), packet_(new_packet()) {
  collect_av_log();
  forget_complaint();
  open();
  for (unsigned i = 0; i < format_->nb_streams; ++i) format_->streams[i]->discard = AVDISCARD_ALL;
  if (wants.audio) add_track(Kind::audio, AVMEDIA_TYPE_AUDIO, "audio");
  if (wants.video) add_track(Kind::video, AVMEDIA_TYPE_VIDEO, "video");
}

void MediaInput::open() {
  const Place place = place_of(uri_);
  AVFormatContext* format = avformat_alloc_context();
  if (format == nullptr) throw std::bad_alloc();
  format->interrupt_callback = {ask_interrupted, &interrupted_};
  // On failure avformat_open_input frees the context itself.
  require(avformat_open_input(&format, place.url.c_str(), place.format, nullptr), "open " + uri_);
  format_.reset(format);
  require(avformat_find_stream_info(format, nullptr), "read the streams of " + uri_);
}

std::string MediaInput::streams() const {
  std::string text;
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    const AVCodecParameters& codec = *format_->streams[i]->codecpar;
    const char* type = av_get_media_type_string(codec.codec_type);
    text += (i == 0 ? "" : ", ") + std::string(type != nullptr ? type : "unknown") + " (" + avcodec_get_name(codec.codec_id) + ")";
  }
  return text.empty() ? "none" : text;
}

void MediaInput::add_track(Kind kind, AVMediaType type, const char* name) {
  const AVCodec* codec = nullptr;
  const int index = av_find_best_stream(format_.get(), type, -1, -1, &codec, 0);
  if (index == AVERROR_DECODER_NOT_FOUND) throw std::runtime_error(uri_ + ": FFmpeg here can't decode its " + name + "; its streams: " + streams());
  if (index < 0) throw std::runtime_error(uri_ + " has no " + name + " stream; its streams: " + streams());
  Track track{.kind = kind, .stream = format_->streams[index], .decoder = CodecPtr(avcodec_alloc_context3(codec))};
  if (!track.decoder) throw std::bad_alloc();
  require(avcodec_parameters_to_context(track.decoder.get(), track.stream->codecpar), "read the " + std::string(name) + " of " + uri_);
  track.decoder->pkt_timebase = track.stream->time_base;
  track.decoder->thread_count = type == AVMEDIA_TYPE_VIDEO ? 0 : 1;  // 0: as many as there are processors
  require(avcodec_open2(track.decoder.get(), codec, nullptr), "decode the " + std::string(name) + " of " + uri_);
  track.stream->discard = AVDISCARD_DEFAULT;
  tracks_.push_back(std::move(track));
}

MediaInput::Kind MediaInput::next(AVFrame* frame) {
  for (;;) {
    for (Track& track : tracks_) {
      if (track.done) continue;
      const int code = avcodec_receive_frame(track.decoder.get(), frame);
      if (code == 0) {
        track.broken = (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 && track.broken;
        const std::int64_t at_ns = timestamp_ns(track.kind, frame);
        const std::int64_t length_ns = track.kind == Kind::audio && frame->sample_rate > 0 ? frame->nb_samples * kSecond_ns / frame->sample_rate
                                                                                            : av_rescale_q(frame->pkt_duration, track.stream->time_base, kNanoseconds);
        decoded_ns_ = std::max(decoded_ns_, at_ns == AV_NOPTS_VALUE ? decoded_ns_ + length_ns : at_ns + length_ns);
        return track.kind;
      }
      if (code == AVERROR_EOF) track.done = true;
      else if (code != AVERROR(EAGAIN)) complain(track, code);
    }
    if (std::all_of(tracks_.begin(), tracks_.end(), [](const Track& track) { return track.done; })) return Kind::end;
    if (at_end_ || !read_packet()) continue;
    for (Track& track : tracks_)
      if (track.stream->index == packet_->stream_index) feed(track, packet_.get());
    av_packet_unref(packet_.get());
  }
}

// false: the medium is over, and the decoders know.
bool MediaInput::read_packet() {
  forget_complaint();
  int code = AVERROR(EAGAIN);
  while (code == AVERROR(EAGAIN) && !interrupted_()) code = av_read_frame(format_.get(), packet_.get());
  if (code >= 0) return true;
  at_end_ = true;
  const bool interrupted = code == AVERROR_EXIT || code == AVERROR(EAGAIN);
  const bool io_failed = format_->pb != nullptr && format_->pb->error < 0 && format_->pb->error != AVERROR_EOF && format_->pb->error != AVERROR_EXIT;
  if (!interrupted && (code != AVERROR_EOF || io_failed)) {
    reading_failed_ = true;
    last_error_ = av_error(code != AVERROR_EOF ? code : format_->pb->error);
  }
  for (Track& track : tracks_) feed(track, nullptr);
  return false;
}

void MediaInput::feed(Track& track, const AVPacket* packet) {
  forget_complaint();
  const int code = avcodec_send_packet(track.decoder.get(), packet);
  if (code < 0 && code != AVERROR_EOF) complain(track, code);
}

void MediaInput::complain(Track& track, int code) {
  last_error_ = av_error(code);
  if (!std::exchange(track.broken, true))
    warn_(uri_ + ": " + (track.kind == Kind::audio ? "audio" : "video") + " near " + seconds_text(decoded_ns_) + " can't be decoded: " + last_error_);
}

const MediaInput::Track& MediaInput::track(Kind kind) const {
  return *std::find_if(tracks_.begin(), tracks_.end(), [&](const Track& track) { return track.kind == kind; });
}

const AVStream& MediaInput::stream(Kind kind) const { return *track(kind).stream; }
const AVCodecContext& MediaInput::decoder(Kind kind) const { return *track(kind).decoder; }

std::int64_t MediaInput::timestamp_ns(Kind kind, const AVFrame* frame) const {
  if (frame->best_effort_timestamp == AV_NOPTS_VALUE) return AV_NOPTS_VALUE;
  const std::int64_t at_ns = av_rescale_q(frame->best_effort_timestamp, track(kind).stream->time_base, kNanoseconds);
  return format_->start_time == AV_NOPTS_VALUE ? at_ns : at_ns - av_rescale_q(format_->start_time, kMicroseconds, kNanoseconds);
}

AVRational MediaInput::frame_rate() const {
  const AVRational rate = av_guess_frame_rate(format_.get(), track(Kind::video).stream, nullptr);
  return rate.num > 0 && rate.den > 0 ? rate : AVRational{0, 1};
}

std::int64_t MediaInput::duration_ns() const noexcept {
  return format_->duration == AV_NOPTS_VALUE || format_->duration <= 0 ? 0 : av_rescale_q(format_->duration, kMicroseconds, kNanoseconds);
}

bool MediaInput::seekable() const noexcept { return format_->pb != nullptr && (format_->pb->seekable & AVIO_SEEKABLE_NORMAL) != 0; }

// How much shorter the medium was than it says of itself; a length that was only estimated says nothing.
std::optional<std::int64_t> MediaInput::missing_ns() const {
  if (format_->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE) return std::nullopt;
  std::int64_t said_ns = tracks_.size() == format_->nb_streams ? duration_ns() : 0;
  for (const Track& track : tracks_)
    if (track.stream->duration > 0) said_ns = std::max(said_ns, av_rescale_q(track.stream->duration, track.stream->time_base, kNanoseconds));
  const std::int64_t tolerance_ns = std::max(kSecond_ns / 2, said_ns / 100);
  if (said_ns == 0 || decoded_ns_ >= said_ns - tolerance_ns) return std::nullopt;
  return said_ns - decoded_ns_;
}

std::optional<std::string> MediaInput::damage() const {
  const bool broken = std::any_of(tracks_.begin(), tracks_.end(), [](const Track& track) { return track.broken; });
  const auto missing = missing_ns();
  if (interrupted_() || (!broken && !reading_failed_ && !missing && decoded_ns_ > 0)) return std::nullopt;
  const char* what = tracks_.size() == 2 ? "audio and video" : tracks_[0].kind == Kind::audio ? "audio" : "video";
  const std::string why = !last_error_.empty() && (broken || reading_failed_) ? last_error_
                          : missing                                            ? "the end of the medium is missing (" + seconds_text(*missing) + ")"
                                                                               : "nothing in it could be decoded";
  return uri_ + ": decoded " + seconds_text(decoded_ns_) + " of " + what + " before: " + why;
}

}  // namespace hawse::nodes
