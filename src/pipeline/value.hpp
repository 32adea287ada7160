// SPDX-License-Identifier: Apache-2.0
//
// YAML text as a tree in which every value and every key knows its place in the file. JSON is YAML.
//
// Invariants: valid UTF-8 without NUL; keys are scalars and unique in their mapping; at most kMaxDepth deep and kMaxValues large,
// aliases included, so that a small file can't become a large tree. Scalars are resolved by YAML 1.2's core schema ("on" and "yes"
// are text), and keep the text they were written as (3.10 stays "3.10").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/findings.hpp"

namespace hawse::pipeline {

inline constexpr std::size_t kMaxManifestBytes = 1 << 20;
inline constexpr std::size_t kMaxDepth = 64;
inline constexpr std::size_t kMaxValues = 20'000;
inline constexpr std::size_t kMaxTextBytes = 4 << 20;  // all text of the tree together

struct Value {
  enum class Kind { null, boolean, integer, real, text, list, map };
  struct Entry;

  Kind kind = Kind::null;
  Position at;
  std::string text;  // every scalar: as written
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0;  // integer and real
  bool quoted = false;
  bool from_command_line = false;  // it begins with the content of a --set variable
  bool substituted = false;        // a variable was put into it
  bool loose = false;              // it is the content of a --set variable: a number may be meant as text
  std::vector<Value> items;
  std::vector<Entry> entries;  // in the file's order

  const Entry* find(std::string_view key) const;
  bool is_scalar() const noexcept { return kind != Kind::list && kind != Kind::map; }
};

struct Value::Entry {
  std::string key;
  Position key_at;
  Value value;
};

// nullopt after a finding.
std::optional<Value> read_yaml(std::string_view text, Findings&);
// A scalar as it would stand in the file without quotes.
Value plain_scalar(std::string text);
bool is_utf8(std::string_view);

// For messages: "text 'lots'", "the number 5", "a list", "nothing"
std::string describe(const Value&);
std::string shortened(std::string_view text);  // for quoting in messages: at most 60 bytes
json to_json(const Value&);

}  // namespace hawse::pipeline
