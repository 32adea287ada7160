// SPDX-License-Identifier: Apache-2.0
//
// Nodes for tests, made out of functions.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "node/test_supervisor.hpp"

namespace hawse::node {

// What happened, in order, told by several nodes.
class Record {
 public:
  void add(std::string what) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(what));
    changed_.notify_all();
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  void await(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return lines_.size() >= count; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

// Nodes out of functions.
struct Scripted : Node {
  std::function<void(Scripted&, const Params&)> on_setup;
  std::function<void(Scripted&, const Input&)> on_process;
  std::function<bool(Scripted&)> on_produce;
  std::function<void(Scripted&)> on_finish, on_close;
  std::function<void(Scripted&, std::string)> on_ended;
  std::vector<Frame> kept;
  std::uint64_t count = 0;

  void setup(const Params& params) override {
    if (on_setup) on_setup(*this, params);
  }
  void process(const Input& in) override { on_process(*this, in); }
  bool produce() override { return on_produce(*this); }
  void input_ended(std::string_view port) override {
    if (on_ended) on_ended(*this, std::string(port));
  }
  void finish() override {
    if (on_finish) on_finish(*this);
  }
  void close() override {
    if (on_close) on_close(*this);
  }
  using Node::context;
  using Node::has_output;
  using Node::id;
  using Node::log;
  using Node::output;
};

inline MakeNode scripted(const std::function<void(Scripted&)>& script) {
  return [script] {
    auto node = std::make_unique<Scripted>();
    script(*node);
    return node;
  };
}

}  // namespace hawse::node
