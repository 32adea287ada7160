// SPDX-License-Identifier: Apache-2.0
//
// The manifest's variables, and putting them into the values that use them: ${name}, and $$ for a dollar sign.
//
// A value that is exactly one ${name} becomes the variable with its YAML type; within other text it is the variable's text.
// Variables don't use other variables. Those given with --set win over the manifest's defaults.
#pragma once

#include <map>
#include <set>
#include <string>

#include "pipeline/value.hpp"

namespace hawse::pipeline {

class Variables {
 public:
  Variables(const Value* section, const std::map<std::string, std::string>& set, Findings&);

  void substitute(Value& value, Findings&) const;    // in place, everywhere below
  std::map<std::string, std::string> texts() const;  // those that have a value

 private:
  void declare(const Value& section, Findings&);
  void give(const std::string& name, const std::string& text, Findings&);
  void substitute_text(Value& value, Findings&) const;
  const Value* look_up(const std::string& name, Position at, Findings&) const;
  std::vector<std::string> names() const;

  std::map<std::string, Value> values_;
  std::set<std::string> given_;  // by --set
};

}  // namespace hawse::pipeline
