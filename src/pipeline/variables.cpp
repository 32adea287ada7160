// SPDX-License-Identifier: Apache-2.0
//
// Variables: declared, given, used.
#include "pipeline/variables.hpp"

#include "pipeline/keys.hpp"

namespace hawse::pipeline {

Variables::Variables(const Value* section, const std::map<std::string, std::string>& set, Findings& findings) {
  if (section != nullptr && section->kind == Value::Kind::map) declare(*section, findings);
  for (const auto& [name, text] : set) give(name, text, findings);
}

void Variables::declare(const Value& section, Findings& findings) {
  for (const Value::Entry& entry : section.entries) {
    if (!is_id(entry.key)) findings.add(entry.key_at, "'" + shortened(entry.key) + "' can't be a variable's name", kIdSays);
    if (!entry.value.is_scalar())
      findings.add(entry.value.at, "variable '" + shortened(entry.key) + "' must be one value; it is " + describe(entry.value));
    else if (entry.value.text.find("${") != std::string::npos)
      findings.add(entry.value.at, "variable '" + shortened(entry.key) + "' uses another variable", "write its value out");
    values_[entry.key] = entry.value;
  }
}

void Variables::give(const std::string& name, const std::string& text, Findings& findings) {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    findings.add_flag("--set " + name + ": the manifest has no variable '" + name + "'", did_you_mean_or_list(name, names(), "variables"));
    return;
  }
  if (!is_utf8(text) || text.find('\0') != std::string::npos) {
    findings.add_flag("--set " + name + ": the value isn't UTF-8 text");
    return;
  }
  const Position at = found->second.at;
  found->second = plain_scalar(text);
  if (found->second.kind == Value::Kind::null) found->second.kind = Value::Kind::text;  // "--set name=" is empty text
  found->second.at = at;
  found->second.loose = true;
  given_.insert(name);
}

std::vector<std::string> Variables::names() const {
  std::vector<std::string> list;
  for (const auto& [name, value] : values_) list.push_back(name);
  return list;
}

std::map<std::string, std::string> Variables::texts() const {
  std::map<std::string, std::string> map;
  for (const auto& [name, value] : values_)
    if (value.is_scalar() && value.kind != Value::Kind::null) map[name] = value.text;
  return map;
}

const Value* Variables::look_up(const std::string& name, Position at, Findings& findings) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    findings.add(at, "unknown variable '" + shortened(name) + "'", did_you_mean_or_list(name, names(), "variables"));
    return nullptr;
  }
  if (!found->second.is_scalar()) return nullptr;  // reported where it is declared
  if (found->second.kind == Value::Kind::null) {
    findings.add(at, "variable '" + name + "' has no value", "give it one: --set " + name + "=...");
    return nullptr;
  }
  return &found->second;
}

void Variables::substitute(Value& value, Findings& findings) const {
  if (value.kind == Value::Kind::text) substitute_text(value, findings);
  for (Value& item : value.items) substitute(item, findings);
  for (Value::Entry& entry : value.entries) substitute(entry.value, findings);
}

void Variables::substitute_text(Value& value, Findings& findings) const {
  const std::string text = std::move(value.text);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t dollar = std::min(text.find('$', i), text.size());
    out.append(text, i, dollar - i);
    i = dollar;
    if (i == text.size()) break;
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (next != '{') {  // "$$" is a dollar sign, and so is one that stands alone
      out += '$';
      i += next == '$' ? 2 : 1;
      continue;
    }
    const std::size_t end = text.find('}', i);
    if (end == std::string::npos) {
      findings.add(value.at, "a '${' without its '}'", "write $${ for the characters themselves");
      break;
    }
    const std::string name = text.substr(i + 2, end - i - 2);
    const Value* variable = look_up(name, value.at, findings);
    if (variable != nullptr && i == 0 && end + 1 == text.size()) {
      const Position at = value.at;
      value = *variable;
      value.at = at;
      value.substituted = true;
      value.from_command_line = given_.contains(name);
      return;
    }
    value.substituted = true;
    if (variable != nullptr && i == 0) value.from_command_line = given_.contains(name);
    if (variable != nullptr) out += variable->text;
    i = end + 1;
    if (out.size() > kMaxTextBytes) {
      findings.add(value.at, "more than 4 MiB of text", "");
      break;
    }
  }
  value.text = std::move(out);
}

}  // namespace hawse::pipeline
