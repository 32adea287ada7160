// SPDX-License-Identifier: Apache-2.0
//
// hawse/timer: a small frame at every tick. Ticks lie on a grid that begins with the first one (CLOCK_MONOTONIC), so they never drift. One that
// couldn't be sent in time (an edge that blocks was full) is left out, and the next frame says how many were.
#include <ctime>

#include <string>

#include "entries.hpp"

namespace hawse::nodes {
namespace {

constexpr const char* kSignature = R"({
  "doc": "A frame at every tick of a clock: {\"tick\": 7, \"missed\": 0}.",
  "source": true,
  "background": true,
  "outputs": {"out": "json"},
  "params": {
    "every": {"type": "duration", "required": true, "minimum": 0.0001, "maximum": 86400, "doc": "time between two ticks"},
    "count": {"type": "int", "default": 0, "minimum": 0, "doc": "frames to send; 0: until the run ends"}
  }
})";

std::int64_t now_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

class Timer : public Node {
  void setup(const Params& params) override {
    every_ns_ = params.duration_ns("every");
    count_ = params.integer("count");
  }

  bool produce() override {
    if (due_ns_ == 0) due_ns_ = now_ns(CLOCK_MONOTONIC);
    const std::int64_t missed = skip_missed();
    if (!context().sleep_until(due_ns_)) return false;
    Output& out = output("out");
    OutFrame frame = out.json("{\"tick\": " + std::to_string(tick_) + ", \"missed\": " + std::to_string(missed) + "}");
    frame.info().timestamp_ns = now_ns(CLOCK_REALTIME) - (now_ns(CLOCK_MONOTONIC) - due_ns_);
    frame.info().duration_ns = every_ns_;
    const auto number = static_cast<std::int64_t>(frame.info().sequence);  // a timer that was started again goes on counting
    if (count_ != 0 && number > count_) return false;
    out.send(std::move(frame));
    ++tick_;
    due_ns_ += every_ns_;
    return count_ == 0 || number < count_;
  }

  // A tick is missed when the one after it is due as well.
  std::int64_t skip_missed() {
    const std::int64_t late_ns = now_ns(CLOCK_MONOTONIC) - due_ns_;
    const std::int64_t missed = late_ns > 0 ? late_ns / every_ns_ : 0;
    tick_ += missed;
    due_ns_ += missed * every_ns_;
    return missed;
  }

  std::int64_t every_ns_ = 0, count_ = 0, due_ns_ = 0, tick_ = 1;
};

}  // namespace

StockEntry timer() {
  return {"hawse/timer", kSignature, "thread", [] { return std::unique_ptr<Node>(new Timer); }};
}

}  // namespace hawse::nodes
