// SPDX-License-Identifier: Apache-2.0
//
// Frames of several inputs that belong together, by their timestamps (docs/manifest.md, "Matched inputs"). python/hawse/_match.py is the same for
// Python nodes; tests/data/matching.json holds both to one behaviour.
//
// Rule.       Of each input the oldest that is held is its candidate. The newest candidate sets the time. A candidate that is older by more than the
//             tolerance can have no partner any more: it's dropped, and the next one of its input takes its place. So does the next one where it is held
//             already and nearer to that time. Else the candidates are a set.
// Invariants. An input holds at most `hold` items, in the order in which they came; a set takes them in that order. Once an input has ended with nothing
//             held, no set can come: everything is dropped from then on.
// Threading.  One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

namespace hawse::node {

struct MatchRule {
  std::int64_t tolerance_ns = 0;
  std::int64_t wait_ns = 0;
  std::size_t hold = 1;
};

template <typename Item>
class Matcher {
 public:
  using Drop = std::function<void(Item&&)>;
  Matcher(const MatchRule& rule, std::size_t inputs, Drop drop) : rule_(rule), inputs_(inputs), drop_(std::move(drop)) {}

  bool has_room(std::size_t input) const noexcept { return inputs_[input].held.size() < rule_.hold; }

  void add(std::size_t input, Item item, std::int64_t timestamp_ns, std::int64_t now_ns) {
    inputs_[input].held.push_back({std::move(item), timestamp_ns, now_ns});
    if (over_) clear();
  }

  void end(std::size_t input) {
    inputs_[input].ended = true;
    drop_if_over();
  }

  // The next set, an item of every input in their order; false: none is complete.
  bool take(std::vector<Item>& set) {
    set.clear();
    if (std::ranges::any_of(inputs_, [](const Input& input) { return input.held.empty(); })) return false;
    while (drop_one_hopeless())
      if (std::ranges::any_of(inputs_, [](const Input& input) { return input.held.empty(); })) {
        drop_if_over();
        return false;
      }
    for (Input& input : inputs_) {
      set.push_back(std::move(input.held.front().item));
      input.held.pop_front();
    }
    drop_if_over();
    return true;
  }

  // When the first of those held gives up; negative: nothing is held.
  std::int64_t deadline_ns() const noexcept {
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (const Input& input : inputs_)
      if (!input.held.empty()) first = std::min(first, input.held.front().came_ns);
    return first == std::numeric_limits<std::int64_t>::max() ? -1 : first + rule_.wait_ns;
  }

  void expire(std::int64_t now_ns) {
    for (Input& input : inputs_)
      while (!input.held.empty() && now_ns - input.held.front().came_ns >= rule_.wait_ns) drop_front(input);
    drop_if_over();
  }

  void clear() {
    for (std::size_t i = 0; i < inputs_.size(); ++i) clear(i);
  }

  void clear(std::size_t input) {
    while (!inputs_[input].held.empty()) drop_front(inputs_[input]);
    drop_if_over();
  }

 private:
  struct Held {
    Item item;
    std::int64_t timestamp_ns = 0;
    std::int64_t came_ns = 0;
  };
  struct Input {
    std::deque<Held> held;
    bool ended = false;
  };

  static std::uint64_t apart(std::int64_t a, std::int64_t b) noexcept {
    const auto high = static_cast<std::uint64_t>(std::max(a, b)), low = static_cast<std::uint64_t>(std::min(a, b));
    return high - low;
  }

  // Every input holds something.
  bool drop_one_hopeless() {
    std::int64_t time = inputs_[0].held.front().timestamp_ns;
    for (const Input& input : inputs_) time = std::max(time, input.held.front().timestamp_ns);
    for (Input& input : inputs_) {
      const std::uint64_t far = apart(input.held.front().timestamp_ns, time);
      const bool nearer_next = input.held.size() > 1 && apart(input.held[1].timestamp_ns, time) < far;
      if (far <= static_cast<std::uint64_t>(rule_.tolerance_ns) && !nearer_next) continue;
      drop_front(input);
      return true;
    }
    return false;
  }

  void drop_front(Input& input) {
    drop_(std::move(input.held.front().item));
    input.held.pop_front();
  }

  void drop_if_over() {
    if (over_ || std::ranges::none_of(inputs_, [](const Input& input) { return input.ended && input.held.empty(); })) return;
    over_ = true;
    clear();
  }

  MatchRule rule_;
  std::vector<Input> inputs_;
  Drop drop_;
  bool over_ = false;
};

}  // namespace hawse::node
