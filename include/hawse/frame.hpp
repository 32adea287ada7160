// SPDX-License-Identifier: Apache-2.0
//
// Frames as a C++ node sees them: an incoming one is read in place, an outgoing one is built in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace hawse {

enum class FrameType : std::uint8_t { none = 0, audio = 1, video = 2, image = 3, tensor = 4, text = 5, json = 6, bytes = 7, control = 8 };
enum class Dtype : std::uint8_t {
  none = 0, boolean = 1, int8 = 2, uint8 = 3, int16 = 4, uint16 = 5, int32 = 6, uint32 = 7, int64 = 8, uint64 = 9,
  float16 = 10, float32 = 11, float64 = 12, bfloat16 = 13, complex64 = 14, complex128 = 15,
};
enum class PixelFormat : std::uint16_t { none = 0, rgb24 = 1, bgr24 = 2, rgba = 3, bgra = 4, gray8 = 5, yuv420p = 6 };

const char* to_string(FrameType) noexcept;
const char* to_string(Dtype) noexcept;
const char* to_string(PixelFormat) noexcept;
std::size_t bytes_of(Dtype) noexcept;  // of one element; 0 for none

// A frame that is sent with this takes the timestamp of the input that is being processed; a source's takes the clock (CLOCK_REALTIME).
inline constexpr std::int64_t kNoTimestamp = std::numeric_limits<std::int64_t>::min();

// What a frame is, beside its payload.
struct FrameInfo {
  FrameType type = FrameType::bytes;
  Dtype dtype = Dtype::none;
  PixelFormat format = PixelFormat::none;
  std::vector<std::uint64_t> shape;     // audio: samples, channels. video, image: height, width, channels. tensor: its own
                                        // yuv420p: height * 3 / 2, width, 1 (Y, then U, then V, without padding)
  std::int64_t timestamp_ns = kNoTimestamp;  // capture time of the first sample (media time for media)
  std::int64_t duration_ns = 0;
  std::uint32_t rate_numerator = 0;     // audio: samples a second; video: frames a second
  std::uint32_t rate_denominator = 1;
  std::uint64_t trace_id = 0;           // 0 when sent: that of the input; a source's is new for each frame
  std::uint64_t sequence = 0;           // of the output port that sent it, from 1. Set by send(); before it, the number it gets if it is the next to be sent
  bool given_again = false;             // the node that this frame had been given to before died with it
};

// A received frame: a lease on a slot in the sender's memory. Cheap to copy; the slot returns with the last copy.
// Threading: may be passed to and dropped in any thread.
class Frame {
 public:
  struct Lease;  // private to the runtime
  Frame() noexcept = default;
  explicit Frame(std::shared_ptr<const Lease>) noexcept;

  const FrameInfo& info() const noexcept;
  std::span<const std::byte> bytes() const noexcept;  // read-only memory: writing to it ends the process
  std::string_view text() const noexcept;             // text and JSON: UTF-8
  template <typename T>
  std::span<const T> as() const noexcept {
    return {reinterpret_cast<const T*>(bytes().data()), bytes().size() / sizeof(T)};
  }
  explicit operator bool() const noexcept { return lease_ != nullptr; }
  const std::shared_ptr<const Lease>& lease() const noexcept { return lease_; }

 private:
  std::shared_ptr<const Lease> lease_;
};

// A frame under construction in the output port's arena. Move-only; given back if it is never sent.
class OutFrame {
 public:
  struct Slot;  // private to the runtime
  OutFrame() noexcept;
  explicit OutFrame(std::unique_ptr<Slot>) noexcept;
  OutFrame(OutFrame&&) noexcept;
  OutFrame& operator=(OutFrame&&) noexcept;
  ~OutFrame();

  FrameInfo& info() noexcept;
  std::span<std::byte> bytes() noexcept;
  template <typename T>
  std::span<T> as() noexcept {
    return {reinterpret_cast<T*>(bytes().data()), bytes().size() / sizeof(T)};
  }
  void resize(std::size_t bytes);  // smaller only: how much of the slot is payload
  Slot* slot() noexcept { return slot_.get(); }

 private:
  std::unique_ptr<Slot> slot_;
};

}  // namespace hawse
