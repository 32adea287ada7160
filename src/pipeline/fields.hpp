// SPDX-License-Identifier: Apache-2.0
//
// One mapping of the manifest, checked against its section of the table: unknown keys, types, ranges, choices, required keys.
// After construction every finding about the keys themselves has been made; the getters give what is there, else the table's default.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pipeline/keys.hpp"
#include "pipeline/value.hpp"

namespace hawse::pipeline {

class Fields {
 public:
  // `where` is for messages: "node 'speech'", "limits: of node 'speech'". A missing or null `map` is an empty one at `at`.
  Fields(const Value* map, Position at, const Section&, std::string where, Findings&);

  const Value* find(std::string_view key) const;  // nullptr: absent, null, or wrong (and reported)
  Position at(std::string_view key) const;        // of the value; of the mapping where the key is absent
  bool flag(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;
  std::string text(std::string_view key) const;  // text and label
  std::uint64_t bytes(std::string_view key) const;
  std::int64_t duration_ns(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;
  std::map<std::string, std::string> environment(std::string_view key) const;
  const std::string& where() const noexcept { return where_; }

 private:
  void check_keys(const Value& map, Findings&);
  const Value& get(std::string_view key) const;  // the value, or the table's default as one

  Position at_;
  const Section& section_;
  std::string where_;
  std::map<std::string, const Value*, std::less<>> good_;
  std::map<std::string, Value, std::less<>> fallbacks_;
};

std::optional<std::uint64_t> to_bytes(const Value&);
std::optional<std::int64_t> to_duration_ns(const Value&);
// What is wrong with `value` as `key` ("a size, such as 512MiB"), or "" if it is good.
std::string wrong_with(const Value& value, const Key& key);

}  // namespace hawse::pipeline
