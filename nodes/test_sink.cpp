// SPDX-License-Identifier: Apache-2.0
//
// test/sink: takes everything; on demand checks what test/source wrote, and that no frame is missing.
#include <ctime>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "entries.hpp"
#include "pattern.hpp"

namespace hawse::nodes {
namespace {

constexpr const char* kSignature = R"({
  "doc": "Takes every frame, and checks it on demand. Says at the end how many frames and bytes came.",
  "inputs": {"in": "any"},
  "params": {
    "verify": {"type": "bool", "default": false, "doc": "fail on a frame whose content isn't what test/source wrote, or that isn't the next in sequence"},
    "gaps": {"type": "bool", "default": false, "doc": "with verify: frames may be missing (dropping edges), but not out of order"},
    "delay": {"type": "duration", "default": 0, "minimum": 0, "doc": "time to spend on each frame"}
  }
})";

class TestSink : public Node {
  void setup(const Params& params) override {
    verify_ = params.boolean("verify");
    gaps_ = params.boolean("gaps");
    delay_ns_ = params.duration_ns("delay");
  }

  void process(const Input& in) override {
    ++frames_;
    bytes_ += in.frame.bytes().size();
    if (delay_ns_ > 0) {
      const timespec delay{delay_ns_ / 1'000'000'000, delay_ns_ % 1'000'000'000};
      ::nanosleep(&delay, nullptr);
    }
    if (verify_) check(in.frame);
  }

  void check(const Frame& frame) {
    const FrameInfo& info = frame.info();
    const std::string name = "frame " + std::to_string(info.sequence);
    if (last_ != 0 && !info.given_again) {
      if (info.sequence <= last_) throw std::runtime_error(name + " came after frame " + std::to_string(last_));
      if (!gaps_ && info.sequence != last_ + 1) throw std::runtime_error(name + " came after frame " + std::to_string(last_) + ": frames are missing");
    }
    if (info.sequence > last_) last_ = info.sequence;
    if (info.type == FrameType::text) {
      if (frame.text() != name) throw std::runtime_error(name + " has the text '" + std::string(frame.text().substr(0, 40)) + "'");
      return;
    }
    if (!has_pattern(info.dtype)) throw std::runtime_error(name + " has dtype " + to_string(info.dtype) + ": test/source writes none such");
    const std::size_t at = first_difference(frame.bytes(), info.dtype, info.sequence);
    if (at != kIntact) throw std::runtime_error(name + " isn't what was sent: element " + std::to_string(at) + " differs");
  }

  void finish() override {
    log(LogLevel::info, std::to_string(frames_) + " frames, " + std::to_string(bytes_) + " bytes" + (verify_ ? ", every one as it was sent" : ""));
  }

  bool verify_ = false, gaps_ = false;
  std::int64_t delay_ns_ = 0;
  std::uint64_t frames_ = 0, bytes_ = 0, last_ = 0;
};

}  // namespace

StockEntry test_sink() {
  return {"test/sink", kSignature, "thread", [] { return std::unique_ptr<Node>(new TestSink); }};
}

}  // namespace hawse::nodes
