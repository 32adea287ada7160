// SPDX-License-Identifier: Apache-2.0
//
// For the tests of stock nodes: a runtime with stock nodes in it, sources out of a function, and what comes out.
#pragma once

#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "catalogue.hpp"
#include "node/test_supervisor.hpp"

namespace hawse::nodes {

using node::MakeNode;

// A copy of a frame: tests look at it when the run is over.
struct Kept {
  FrameInfo info;
  std::vector<std::byte> bytes;
  template <typename T>
  std::vector<T> as() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }
};

struct Bench {
  using Json = nlohmann::json;
  node::TestSupervisor runtime;

  std::size_t stock(const std::string& name, Json params = Json::object()) {
    static const std::vector<StockEntry> entries = catalogue();
    const StockEntry* entry = find(entries, name);
    return runtime.add(name, entry->make, std::move(params), Json::parse(entry->signature).value("params", Json::object()));
  }

  using MakeFrame = std::function<OutFrame(Output&, std::uint64_t number)>;
  MakeNode producing(std::uint64_t count, MakeFrame make) {
    struct Source : Node {
      std::uint64_t count, sent = 0;
      MakeFrame make;
      Source(std::uint64_t n, MakeFrame m) : count(n), make(std::move(m)) {}
      bool produce() override {
        if (sent == count) return false;
        output("out").send(make(output("out"), ++sent));
        return true;
      }
    };
    return [count, make] { return std::make_unique<Source>(count, make); };
  }

  // Collects copies of all frames into `into`, which outlives the run.
  MakeNode keeping(std::vector<Kept>& into) {
    struct Sink : Node {
      std::vector<Kept>& into;
      explicit Sink(std::vector<Kept>& where) : into(where) {}
      void process(const Input& in) override { into.push_back({in.frame.info(), {in.frame.bytes().begin(), in.frame.bytes().end()}}); }
    };
    return [&into] { return std::make_unique<Sink>(into); };
  }

  std::string failure(std::size_t node) {
    const auto failed = runtime.said(node, "failed");
    return failed.empty() ? "" : failed[0].at("summary").get<std::string>();
  }
};

}  // namespace hawse::nodes
