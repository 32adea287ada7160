// SPDX-License-Identifier: Apache-2.0
//
// test/source: frames whose content follows from their number (pattern.hpp), as many and as fast as asked.
// A restarted one goes on where it was: it counts by the output's sequence.
#include <ctime>

#include <charconv>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "entries.hpp"
#include "pattern.hpp"

namespace hawse::nodes {
namespace {

constexpr const char* kSignature = R"({
  "doc": "Frames with a content that can be checked (test/sink does), as many and as fast as asked.",
  "source": true,
  "outputs": {"out": "tensor|bytes|text|audio|video|image"},
  "params": {
    "count": {"type": "int", "default": 100, "minimum": 0, "doc": "frames to send; 0: without end"},
    "rate_hz": {"type": "float", "default": 0, "minimum": 0, "doc": "frames a second; 0: as fast as they are taken"},
    "type": {"type": "str", "default": "tensor", "choices": ["tensor", "bytes", "text", "audio", "video", "image"], "doc": "type of the frames"},
    "shape": {"type": "list", "items": "int", "default": null, "doc": "tensor: any, [1] if not given; audio: [samples, channels]; video, image: [height, width]"},
    "dtype": {"type": "str", "default": "float32", "choices": ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"], "doc": "of a tensor or audio"},
    "bytes": {"type": "size", "default": null, "doc": "payload of a frame of type bytes; 64 if not given"},
    "sample_rate": {"type": "int", "default": 16000, "minimum": 1, "doc": "of audio"},
    "fill": {"type": "bool", "default": true, "doc": "write the content; false leaves the memory as it is, to time the hand-over alone"}
  }
})";

Dtype dtype_of(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(Dtype::complex128); ++i)
    if (name == to_string(static_cast<Dtype>(i))) return static_cast<Dtype>(i);
  throw std::invalid_argument("unknown dtype " + name);
}

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

class TestSource : public Node {
  void setup(const Params& params) override {
    count_ = static_cast<std::uint64_t>(params.integer("count"));
    rate_hz_ = params.number("rate_hz");
    type_ = params.text("type");
    dtype_ = dtype_of(params.text("dtype"));
    if (params.has("shape"))
      for (const std::int64_t extent : params.integers("shape")) shape_.push_back(extent_of(extent));
    if (params.has("bytes")) {
      bytes_ = params.bytes("bytes");
      if (type_ == "tensor" && shape_.empty()) type_ = "bytes";
    }
    sample_rate_ = static_cast<std::uint32_t>(params.integer("sample_rate"));
    fill_ = params.boolean("fill");
    const std::size_t rank = type_ == "audio" || type_ == "video" || type_ == "image" ? 2 : 0;
    if (rank != 0 && shape_.empty()) shape_ = type_ == "audio" ? std::vector<std::uint64_t>{512, 1} : std::vector<std::uint64_t>{480, 640};
    if (rank != 0 && shape_.size() != rank) throw std::invalid_argument("shape of " + type_ + " has two entries, not " + std::to_string(shape_.size()));
    if (shape_.empty()) shape_ = {1};
  }

  bool produce() override {
    if (rate_hz_ > 0) {
      if (due_ns_ == 0) due_ns_ = monotonic_ns();
      if (!context().sleep_until(due_ns_)) return false;
      due_ns_ += static_cast<std::int64_t>(1e9 / rate_hz_);
    }
    ++sent_;
    if (type_ == "text") return send_text();
    OutFrame frame = allocate();
    const std::uint64_t sequence = number_of(frame);
    if (count_ != 0 && sequence > count_) return false;
    if (fill_) fill(frame.bytes(), frame.info().dtype, sequence);
    output("out").send(std::move(frame));
    return count_ == 0 || sequence < count_;
  }

  static std::uint64_t extent_of(std::int64_t extent) {
    if (extent < 0) throw std::invalid_argument("shape: " + std::to_string(extent) + " is negative");
    return static_cast<std::uint64_t>(extent);
  }

  // Where no edge reads the output, frames have no sequence of their own.
  std::uint64_t number_of(OutFrame& frame) const { return frame.info().sequence != 0 ? frame.info().sequence : sent_; }

  bool send_text() {
    constexpr std::size_t kLongest = 32;
    OutFrame frame = output("out").allocate(kLongest);
    const std::uint64_t sequence = number_of(frame);
    if (count_ != 0 && sequence > count_) return false;
    char* const text = reinterpret_cast<char*>(frame.bytes().data());
    constexpr std::string_view kWord = "frame ";
    kWord.copy(text, kWord.size());
    const auto end = std::to_chars(text + kWord.size(), text + kLongest, sequence).ptr;
    frame.resize(static_cast<std::size_t>(end - text));
    frame.info().type = FrameType::text;
    output("out").send(std::move(frame));
    return count_ == 0 || sequence < count_;
  }

  OutFrame allocate() {
    Output& out = output("out");
    if (type_ == "audio") return out.audio(shape_[0], shape_[1], sample_rate_, dtype_);
    if (type_ == "video") return out.video(shape_[0], shape_[1], PixelFormat::bgr24, rate_hz_ > 0 ? static_cast<std::uint32_t>(rate_hz_ * 1000 + 0.5) : 25000, 1000);
    if (type_ == "image") return out.image(shape_[0], shape_[1], PixelFormat::bgr24);
    if (type_ == "tensor") return out.tensor(shape_, dtype_);
    OutFrame frame = out.allocate(static_cast<std::size_t>(bytes_));
    frame.info().type = FrameType::bytes;
    return frame;
  }

  std::uint64_t count_ = 0, bytes_ = 64, sent_ = 0;
  double rate_hz_ = 0;
  std::string type_;
  Dtype dtype_ = Dtype::none;
  std::vector<std::uint64_t> shape_;
  std::uint32_t sample_rate_ = 0;
  bool fill_ = true;
  std::int64_t due_ns_ = 0;
};

}  // namespace

StockEntry test_source() {
  return {"test/source", kSignature, "thread", [] { return std::unique_ptr<Node>(new TestSource); }};
}

}  // namespace hawse::nodes
