// SPDX-License-Identifier: Apache-2.0
//
// A user's program, as docs/cpp.md shows it: the tests run it as a process, and build it against an installed Hawsepipe.
#include <algorithm>
#include <hawse/node.hpp>

class Gain : public hawse::Node {
  void setup(const hawse::Params& params) override { gain_ = static_cast<float>(params.number("gain")); }

  void process(const hawse::Input& in) override {
    auto out = output("out").like(in.frame);
    std::ranges::transform(in.frame.as<float>(), out.as<float>().begin(), [&](float x) { return x * gain_; });
    output("out").send(std::move(out));
  }

  float gain_ = 1;
};

HAWSE_PROGRAM(Gain, R"({"doc": "Multiplies audio by a number.", "inputs": {"audio": "audio"}, "outputs": {"out": "audio"},
                        "params": {"gain": {"type": "float", "default": 1}}})")
