// SPDX-License-Identifier: Apache-2.0
//
// Every key that a manifest may have: its name, type, range, default and description. The parser (fields.hpp) and the JSON Schema
// (schema.cpp) both read this table and nothing else, so they can't drift apart.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::pipeline {

enum class KeyType {
  flag,  // true or false
  integer,
  number,
  text,
  label,        // text, or a number that is taken as it is written: 3.10
  size,         // "512MiB", or a number of bytes
  duration,     // "250ms", or a number of seconds
  texts,        // a list of text
  environment,  // a mapping of names to text, numbers or booleans
  anything,     // a mapping that somebody else checks
  section,      // a mapping with the keys of the section of that name
  variables,    // a mapping of names to scalars
  nodes,        // a mapping of ids to sections "node"
  edges,        // a list of chains and of sections "edge"
  ends,         // "node.port", or a list of them
  inputs,       // a mapping of names to ends or sections "input"
  outputs,      // a mapping of names to ends or sections "output"
};

struct Key {
  const char* name;
  KeyType type;
  const char* doc;
  json fallback = nullptr;  // null: none
  bool required = false;
  std::optional<double> minimum = {};  // sizes in bytes, durations in seconds
  std::optional<double> maximum = {};
  std::vector<const char*> choices = {};
  const char* pattern = nullptr;       // text, label, each of texts: ECMAScript
  const char* pattern_says = nullptr;  // "small letters, digits, '-' and '_'"
  const char* example = nullptr;       // of a good value; shown in messages
};

struct Section {
  const char* name;   // "node"
  const char* title;  // where its keys stand, for messages: "a node"
  const char* doc;
  std::vector<Key> keys;
};

inline constexpr std::size_t kMaxNameBytes = 256;  // of a text with a pattern

// "manifest" is the top level; the others are named by the keys that hold them.
const std::vector<Section>& sections();
const Section& section(std::string_view name);

// The pattern of node ids, port names and variable names, and what it means.
inline constexpr const char* kIdPattern = "^[A-Za-z][A-Za-z0-9_-]*$";
inline constexpr const char* kIdSays = "a letter, then letters, digits, '_' and '-'";
bool is_id(std::string_view);

}  // namespace hawse::pipeline
