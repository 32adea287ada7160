// SPDX-License-Identifier: Apache-2.0
//
// The tree's scalars: how text becomes a number, and how a value is put into words or into JSON.
#include "pipeline/value.hpp"

#include <charconv>
#include <cmath>

namespace hawse::pipeline {
namespace {

constexpr std::size_t kQuotedBytes = 60;

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words)
    if (text == word) return true;
  return false;
}

template <typename T, typename... Base>
bool parses(std::string_view text, T* out, Base... base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out, base...);
  return error == std::errc() && end == text.data() + text.size();
}

bool looks_like_number(std::string_view text) {  // from_chars takes "inf" and "nan", too
  return !text.empty() && text.find_first_not_of("0123456789.eE+-") == std::string_view::npos &&
         text.find_first_of("0123456789") != std::string_view::npos;
}

void resolve_number(Value& value) {
  std::string_view text = value.text;
  if (text.starts_with("0x") && parses(text.substr(2), &value.integer, 16) && text[2] != '-') {
    value.kind = Value::Kind::integer;
  } else if (text.starts_with("0o") && parses(text.substr(2), &value.integer, 8) && text[2] != '-') {
    value.kind = Value::Kind::integer;
  } else {
    if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
    if (!looks_like_number(text)) return;
    if (parses(text, &value.integer)) {
      value.kind = Value::Kind::integer;
    } else if (parses(text, &value.real) && std::isfinite(value.real)) {
      value.kind = Value::Kind::real;
    }
  }
  if (value.kind == Value::Kind::integer) value.real = static_cast<double>(value.integer);
}

}  // namespace

const Value::Entry* Value::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key == key) return &entry;
  return nullptr;
}

Value plain_scalar(std::string text) {
  Value value;
  value.text = std::move(text);
  value.kind = Value::Kind::text;
  if (one_of(value.text, {"", "~", "null", "Null", "NULL"})) {
    value.kind = Value::Kind::null;
  } else if (one_of(value.text, {"true", "True", "TRUE", "false", "False", "FALSE"})) {
    value.kind = Value::Kind::boolean;
    value.boolean = value.text[0] == 't' || value.text[0] == 'T';
  } else {
    resolve_number(value);
  }
  return value;
}

std::string shortened(std::string_view text) {
  if (text.size() <= kQuotedBytes) return std::string(text);
  std::size_t end = kQuotedBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not within a character
  return std::string(text.substr(0, end)) + "...";
}

std::string describe(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null: return "nothing";
    case Value::Kind::boolean: return value.boolean ? "true" : "false";
    case Value::Kind::integer:
    case Value::Kind::real: return "the number " + shortened(value.text);
    case Value::Kind::text: return "text '" + shortened(value.text) + "'";
    case Value::Kind::list: return "a list";
    case Value::Kind::map: return "a mapping";
  }
  return "";
}

json to_json(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null: return nullptr;
    case Value::Kind::boolean: return value.boolean;
    case Value::Kind::integer: return value.integer;
    case Value::Kind::real: return value.real;
    case Value::Kind::text: return value.text;
    case Value::Kind::list: {
      json list = json::array();
      for (const Value& item : value.items) list.push_back(to_json(item));
      return list;
    }
    case Value::Kind::map: {
      json map = json::object();
      for (const Value::Entry& entry : value.entries) map[entry.key] = to_json(entry.value);
      return map;
    }
  }
  return nullptr;
}

}  // namespace hawse::pipeline
