// SPDX-License-Identifier: Apache-2.0
//
// An opened medium, one decoded frame after the other. Only the streams that are wanted are read and decoded.
//
// Damage.     What can't be decoded is skipped and told once a burst through `warn`. damage() says at the end what a user must know: that the
//             medium ended in an error, or before its own length.
// Threading.  One thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "av.hpp"

namespace hawse::nodes {

class MediaInput {
 public:
  enum class Kind { audio, video, end };
  struct Wants {
    bool audio = false, video = false;
  };
  // Asked while the network or a device lets wait; true breaks off.
  using Interrupted = std::function<bool()>;
  using Warn = std::function<void(const std::string&)>;

  // Throws std::runtime_error: not there, not a medium, or without a stream that is wanted (and which it has).
  MediaInput(std::string uri, Wants, Interrupted, Warn);

  Kind next(AVFrame*);
  std::int64_t timestamp_ns(Kind, const AVFrame*) const;   // from the beginning of the medium; AV_NOPTS_VALUE: not known
  const AVStream& stream(Kind) const;
  const AVCodecContext& decoder(Kind) const;
  AVRational frame_rate() const;                           // of the video; 0/1: not known
  std::int64_t duration_ns() const noexcept;               // 0: not known
  bool seekable() const noexcept;
  std::optional<std::string> damage() const;               // after `end`
  std::int64_t decoded_ns() const noexcept { return decoded_ns_; }

 private:
  struct Track {
    Kind kind;
    AVStream* stream = nullptr;
    CodecPtr decoder;
    bool done = false;
    bool broken = false;  // in a burst of errors
  };

  void open();
  void add_track(Kind, AVMediaType, const char* name);
  std::string streams() const;
  bool read_packet();
  void feed(Track&, const AVPacket*);
  void complain(Track&, int code);
  const Track& track(Kind) const;
  std::optional<std::int64_t> missing_ns() const;

  std::string uri_;
  Interrupted interrupted_;
  Warn warn_;
  InputPtr format_;
  std::vector<Track> tracks_;
  PacketPtr packet_;
  bool at_end_ = false;
  std::string last_error_;   // of the burst that goes on, or of the reading
  bool reading_failed_ = false;
  std::int64_t decoded_ns_ = 0;  // end of the latest decoded frame
};

}  // namespace hawse::nodes
