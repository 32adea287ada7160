// SPDX-License-Identifier: Apache-2.0
//
// Values against the table of keys.
#include "pipeline/fields.hpp"

#include <algorithm>
#include <cmath>
#include <regex>

#include "base/text.hpp"

namespace hawse::pipeline {
namespace {

using Kind = Value::Kind;

std::string number_text(double number) { return json(number == std::floor(number) ? json(static_cast<std::int64_t>(number)) : json(number)).dump(); }

// "from 1 to 8192"
std::string range(const Key& key) {
  const auto show = [&](double limit) {
    if (key.type == KeyType::size) return format_bytes(static_cast<std::uint64_t>(limit));
    if (key.type == KeyType::duration) return limit == 0 ? std::string("0") : format_duration_ns(static_cast<std::int64_t>(limit * 1e9));
    return number_text(limit);
  };
  if (key.minimum && key.maximum && *key.minimum == *key.maximum) return show(*key.minimum);
  std::string text;
  if (key.minimum) text = "from " + show(*key.minimum);
  if (key.maximum) text += (text.empty() ? "up to " : " to ") + show(*key.maximum);
  return text;
}

bool in_range(const Key& key, double value) { return (!key.minimum || value >= *key.minimum) && (!key.maximum || value <= *key.maximum); }

bool is_number(const Value& value) { return value.kind == Kind::integer || value.kind == Kind::real; }
bool is_text(const Value& value) { return value.kind == Kind::text || (value.loose && value.is_scalar() && value.kind != Kind::null); }
bool is_label(const Value& value) { return is_text(value) || is_number(value); }

std::string such_as(const Key& key) { return key.example == nullptr ? "" : ", such as " + std::string(key.example); }

std::string wrong_text(const std::string& text, const Key& key) {
  if (!key.choices.empty()) {
    std::vector<std::string> choices(key.choices.begin(), key.choices.end());
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) return "";
    return "one of " + join(choices);
  }
  if (text.empty()) return "text that isn't empty" + such_as(key);
  if (key.pattern == nullptr) return "";
  if (text.size() > kMaxNameBytes) return "at most " + std::to_string(kMaxNameBytes) + " bytes long";
  return std::regex_match(text, std::regex(key.pattern)) ? "" : key.pattern_says + such_as(key);
}

std::string wrong_texts(const Value& value, const Key& key) {
  if (value.kind != Kind::list) return "a list" + such_as(key);
  for (const Value& item : value.items) {
    if (!is_text(item)) return "a list of text" + such_as(key) + " (not " + describe(item) + ")";
    const std::string wrong = wrong_text(item.text, key);
    if (!wrong.empty()) return "a list of " + wrong + " (not '" + shortened(item.text) + "')";
  }
  return "";
}

std::string wrong_environment(const Value& value) {
  if (value.kind != Kind::map) return "a mapping, such as {OMP_NUM_THREADS: 1}";
  for (const Value::Entry& entry : value.entries) {
    if (entry.key.find('=') != std::string::npos) return "names without '=' (not '" + shortened(entry.key) + "')";
    if (!entry.value.is_scalar() || entry.value.kind == Kind::null)
      return "a mapping of names to text ('" + shortened(entry.key) + "' is " + describe(entry.value) + ")";
  }
  return "";
}

std::string wrong_ends(const Value& value) {
  const auto good = [](const Value& one) { return one.kind == Kind::text; };
  if (good(value) || (value.kind == Kind::list && !value.items.empty() && std::all_of(value.items.begin(), value.items.end(), good))) return "";
  return "a port, such as source.audio, or a list of ports";
}

std::string wrong_number(const Value& value, const Key& key) {
  const std::string within = range(key);
  switch (key.type) {
    case KeyType::integer: return value.kind == Kind::integer && in_range(key, value.real) ? "" : "a whole number " + within;
    case KeyType::number: return is_number(value) && in_range(key, value.real) ? "" : "a number " + within;
    case KeyType::size: {
      const auto bytes = to_bytes(value);
      return bytes && in_range(key, static_cast<double>(*bytes)) ? "" : "a size " + within + such_as(key);
    }
    default: {
      const auto ns = to_duration_ns(value);
      return ns && in_range(key, static_cast<double>(*ns) / 1e9) ? "" : "a duration " + within + such_as(key);
    }
  }
}

std::string all_names(const Section& section, std::vector<std::string>* names) {
  for (const Key& key : section.keys) names->push_back(key.name);
  return "keys";
}

// "'memory' belongs under limits:", or "" if no other section has that key.
std::string belongs(const std::string& name, const Section& here) {
  std::vector<std::string> places;
  for (const Section& other : sections()) {
    const bool has = std::any_of(other.keys.begin(), other.keys.end(), [&](const Key& key) { return name == key.name; });
    if (has && &other != &here) places.emplace_back(other.title);
  }
  return places.empty() ? "" : "'" + name + "' belongs under " + join(places, " or ");
}

}  // namespace

std::optional<std::uint64_t> to_bytes(const Value& value) {
  if (value.kind == Kind::integer) return value.integer >= 0 ? std::optional(static_cast<std::uint64_t>(value.integer)) : std::nullopt;
  return value.kind == Kind::text ? parse_bytes(value.text) : std::nullopt;
}

std::optional<std::int64_t> to_duration_ns(const Value& value) {
  if (value.kind == Kind::text) return parse_duration_ns(value.text);
  if (!is_number(value) || value.real < 0 || value.real > 9e9) return std::nullopt;
  return static_cast<std::int64_t>(std::llround(value.real * 1e9));
}

std::string wrong_with(const Value& value, const Key& key) {
  switch (key.type) {
    case KeyType::flag: return value.kind == Kind::boolean ? "" : "true or false";
    case KeyType::integer:
    case KeyType::number:
    case KeyType::size:
    case KeyType::duration: return wrong_number(value, key);
    case KeyType::text: return is_text(value) ? wrong_text(value.text, key) : (key.choices.empty() ? "text" + such_as(key) : wrong_text("", key));
    case KeyType::label: return is_label(value) ? wrong_text(value.text, key) : "text" + such_as(key);
    case KeyType::texts: return wrong_texts(value, key);
    case KeyType::environment: return wrong_environment(value);
    case KeyType::ends: return wrong_ends(value);
    case KeyType::edges: return value.kind == Kind::list ? "" : "a list, such as [\"a -> b\"]";
    case KeyType::anything:
    case KeyType::section:
    case KeyType::variables:
    case KeyType::nodes:
    case KeyType::inputs:
    case KeyType::outputs: return value.kind == Kind::map ? "" : "a mapping";
  }
  return "";
}

Fields::Fields(const Value* map, Position at, const Section& section, std::string where, Findings& findings)
    : at_(at), section_(section), where_(std::move(where)) {
  for (const Key& key : section_.keys)
    if (!key.fallback.is_null())
      fallbacks_[key.name] = plain_scalar(key.fallback.is_string() ? key.fallback.get<std::string>() : key.fallback.dump());
  if (map != nullptr && map->kind != Kind::null) {
    at_ = map->at;
    if (map->kind == Kind::map) {
      check_keys(*map, findings);
    } else {
      findings.add(at_, where_ + " must be a mapping; it is " + describe(*map));
      return;
    }
  }
  for (const Key& key : section_.keys) {
    const Value::Entry* entry = map == nullptr ? nullptr : map->find(key.name);
    if (key.required && (entry == nullptr || entry->value.kind == Kind::null))
      findings.add(entry == nullptr ? at : entry->key_at, "'" + std::string(key.name) + "' is missing in " + where_,
                   key.example == nullptr ? key.doc : "add '" + std::string(key.name) + ": " + key.example + "'");
  }
}

void Fields::check_keys(const Value& map, Findings& findings) {
  for (const Value::Entry& entry : map.entries) {
    const auto key = std::find_if(section_.keys.begin(), section_.keys.end(), [&](const Key& one) { return entry.key == one.name; });
    if (key == section_.keys.end()) {
      std::vector<std::string> names;
      all_names(section_, &names);
      std::string hint = belongs(entry.key, section_);
      if (hint.empty()) hint = did_you_mean_or_list(entry.key, names, "known keys");
      findings.add(entry.key_at, "unknown key '" + shortened(entry.key) + "' in " + where_, hint);
      continue;
    }
    if (entry.value.kind == Kind::null) continue;
    const std::string wrong = wrong_with(entry.value, *key);
    if (wrong.empty()) {
      good_[entry.key] = &entry.value;
      continue;
    }
    const std::string near = key->choices.empty() ? "" : did_you_mean(entry.value.text, {key->choices.begin(), key->choices.end()});
    findings.add(entry.value.at, "'" + entry.key + "' in " + where_ + " must be " + wrong + "; it is " + describe(entry.value), near);
  }
}

const Value* Fields::find(std::string_view key) const {
  const auto found = good_.find(key);
  return found == good_.end() ? nullptr : found->second;
}

Position Fields::at(std::string_view key) const {
  const Value* value = find(key);
  return value == nullptr ? at_ : value->at;
}

const Value& Fields::get(std::string_view key) const {
  static const Value nothing;
  if (const Value* value = find(key)) return *value;
  const auto fallback = fallbacks_.find(key);
  return fallback == fallbacks_.end() ? nothing : fallback->second;
}

bool Fields::flag(std::string_view key) const { return get(key).boolean; }
std::int64_t Fields::integer(std::string_view key) const { return get(key).integer; }
double Fields::number(std::string_view key) const { return get(key).real; }
std::string Fields::text(std::string_view key) const { return get(key).text; }
std::uint64_t Fields::bytes(std::string_view key) const { return to_bytes(get(key)).value_or(0); }
std::int64_t Fields::duration_ns(std::string_view key) const { return to_duration_ns(get(key)).value_or(0); }

std::vector<std::string> Fields::texts(std::string_view key) const {
  std::vector<std::string> list;
  for (const Value& item : get(key).items) list.push_back(item.text);
  return list;
}

std::map<std::string, std::string> Fields::environment(std::string_view key) const {
  std::map<std::string, std::string> map;
  for (const Value::Entry& entry : get(key).entries) map[entry.key] = entry.value.text;
  return map;
}

}  // namespace hawse::pipeline
