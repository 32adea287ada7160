// SPDX-License-Identifier: Apache-2.0
//
// A user's program as small as one can be: passes on what it gets. Built the way docs/cpp.md says, so that its start is that of a user's node.
#include <hawse/node.hpp>

class PassesOn : public hawse::Node {
  void process(const hawse::Input& in) override { output("out").forward(in.frame); }
};

HAWSE_PROGRAM(PassesOn, R"({"doc": "Passes on what it gets.", "inputs": {"in": "any"}, "outputs": {"out": "any"}})")
