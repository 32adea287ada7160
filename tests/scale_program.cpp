// SPDX-License-Identifier: Apache-2.0
//
// A user's C++ node as a program of its own: multiplies a float32 tensor.
#include <algorithm>
#include <hawse/node.hpp>

namespace {

class Gain : public hawse::Node {
  void setup(const hawse::Params& params) override { gain_ = static_cast<float>(params.number("gain")); }
  void process(const hawse::Input& in) override {
    auto out = output("out").like(in.frame);
    const auto from = in.frame.as<float>();
    std::ranges::transform(from, out.as<float>().begin(), [this](float x) { return x * gain_; });
    output("out").send(std::move(out));
  }

  float gain_ = 1;
};

}  // namespace

HAWSE_PROGRAM(Gain, R"({"inputs": {"tensor": "tensor"}, "outputs": {"out": "tensor"}, "params": {"gain": {"type": "float", "default": 1}}})")
