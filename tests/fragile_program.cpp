// SPDX-License-Identifier: Apache-2.0
//
// A C++ node that dies of certain frames; of the others it passes the number on. It first says which frame it has, and of which time.
#include <algorithm>
#include <cstdlib>
#include <hawse/node.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

class Fragile : public hawse::Node {
  void setup(const hawse::Params& params) override {
    dies_on_ = params.integers("dies_on");
    throws_ = params.boolean("throws");
  }

  void process(const hawse::Input& in) override {
    const hawse::FrameInfo& info = in.frame.info();
    if (std::ranges::find(dies_on_, static_cast<std::int64_t>(info.sequence)) != dies_on_.end()) {
      log(hawse::LogLevel::info, std::to_string(info.sequence) + " of " + std::to_string(info.timestamp_ns));
      if (throws_) throw std::runtime_error("no");
      std::abort();
    }
    output("out").send(output("out").text(std::to_string(info.sequence)));
  }

  std::vector<std::int64_t> dies_on_;
  bool throws_ = false;
};

}  // namespace

HAWSE_PROGRAM(Fragile, R"({"inputs": {"tensor": "tensor"}, "outputs": {"out": "text"},
                           "params": {"dies_on": {"type": "list", "items": "int", "required": true}, "throws": {"type": "bool", "default": false}}})")
