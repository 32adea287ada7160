// SPDX-License-Identifier: Apache-2.0
//
// Params against a signature: names, types, choices, ranges, nested fields.
#include "pipeline/params.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "pipeline/fields.hpp"

namespace hawse::pipeline {
namespace {

using Kind = Value::Kind;

struct Param {
  std::string name;  // "audio.rate", for messages
  const json& spec;
};

json check_fields(const Value* map, Position at, const json& fields, bool open, const std::string& prefix, const std::string& where, Context&);

bool is_uri(const std::string& text) {  // "rtsp://...", "v4l2:/dev/video0"; a drive letter isn't one
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon < 2) return false;
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-'; });
}

std::string absolute_path(const Value& value, const Context& context) {
  if (value.text.empty() || value.text == "-" || is_uri(value.text)) return value.text;
  return resolve_path(value.text, value.from_command_line, context).string();
}

// The value as one of the types, or nullopt if it isn't of that type.
std::optional<json> as_type(const Value& value, const std::string& type, const Context& context) {
  const bool number = value.kind == Kind::integer || value.kind == Kind::real;
  const bool text = value.kind == Kind::text || (value.loose && value.kind != Kind::null);
  if (type == "any") return to_json(value);
  if (type == "none" && value.kind == Kind::null) return json(nullptr);
  if (type == "bool" && value.kind == Kind::boolean) return json(value.boolean);
  if (type == "int" && value.kind == Kind::integer) return json(value.integer);
  if (type == "float" && number) return json(value.real);
  if (type == "str" && text) return json(value.text);
  if (type == "path" && text) return json(absolute_path(value, context));
  if ((type == "list" && value.kind == Kind::list) || (type == "dict" && value.kind == Kind::map)) return to_json(value);
  if ((type == "size" && to_bytes(value)) || (type == "duration" && to_duration_ns(value))) return to_json(value);
  return std::nullopt;
}

std::vector<std::string> types_of(const json& spec, const char* key = "type") {
  std::vector<std::string> types;
  std::string text = spec.value(key, "any");
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('|', at), text.size());
    types.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  // The strictest first: text from the command line is a number where a number will do.
  std::stable_sort(types.begin(), types.end(), [](const std::string& a, const std::string& b) {
    const auto loose = [](const std::string& t) { return t == "str" || t == "path" || t == "any"; };
    return !loose(a) && loose(b);
  });
  return types;
}

std::string in_words(const std::vector<std::string>& types) {
  static const std::map<std::string, std::string> kWords = {{"bool", "true or false"},
                                                            {"int", "a whole number"},
                                                            {"float", "a number"},
                                                            {"str", "text"},
                                                            {"path", "a path"},
                                                            {"list", "a list"},
                                                            {"dict", "a mapping"},
                                                            {"size", "a size, such as 4MiB"},
                                                            {"duration", "a duration, such as 250ms"},
                                                            {"none", "nothing"},
                                                            {"any", "anything"}};
  std::vector<std::string> words;
  for (const std::string& type : types) words.push_back(kWords.at(type));
  return join(words, " or ");
}

// What minimum and maximum are of.
std::optional<double> magnitude(const Value& value, const std::string& type) {
  if (type == "int" || type == "float") return value.real;
  if (type == "size") return static_cast<double>(*to_bytes(value));
  if (type == "duration") return static_cast<double>(*to_duration_ns(value)) / 1e9;
  if (type == "list") return static_cast<double>(value.items.size());
  if (type == "str") return static_cast<double>(value.text.size());
  return std::nullopt;
}

std::string out_of_range(const Value& value, const Param& param, const std::string& type) {
  const std::optional<double> size = magnitude(value, type);
  if (!size) return "";
  const bool low = param.spec.contains("minimum") && *size < param.spec["minimum"].get<double>();
  const bool high = param.spec.contains("maximum") && *size > param.spec["maximum"].get<double>();
  if (!low && !high) return "";
  const std::string unit = type == "size" ? " bytes" : type == "duration" ? " s" : type == "list" ? " items" : type == "str" ? " bytes" : "";
  return std::string(low ? "at least " : "at most ") + param.spec[low ? "minimum" : "maximum"].dump() + unit;
}

void check_choice(const json& checked, const Value& value, const Param& param, const std::string& where, Context& context) {
  if (!param.spec.contains("choices")) return;
  std::vector<std::string> names;
  for (const json& choice : param.spec["choices"]) {
    if (choice == checked) return;
    names.push_back(choice.is_string() ? choice.get<std::string>() : choice.dump());
  }
  const std::string near = did_you_mean(value.text, names);
  context.findings.add(value.at, "param '" + param.name + "' of " + where + " can't be " + describe(value),
                       near.empty() ? "choices: " + join(names) : near);
}

void check_items(const Value& list, const Param& param, const std::string& where, Context& context) {
  if (!param.spec.contains("items")) return;
  const std::vector<std::string> types = types_of(param.spec, "items");
  for (const Value& item : list.items) {
    const bool good = std::any_of(types.begin(), types.end(), [&](const std::string& type) { return as_type(item, type, context).has_value(); });
    if (good) continue;
    context.findings.add(item.at,
                         "every item of param '" + param.name + "' of " + where + " must be " + in_words(types) + "; this is " + describe(item));
    return;
  }
}

json check_param(const Value& value, const Param& param, const std::string& where, Context& context) {
  const std::vector<std::string> types = types_of(param.spec);
  for (const std::string& type : types) {
    const std::optional<json> checked = as_type(value, type, context);
    if (!checked) continue;
    if (type == "dict" && param.spec.contains("fields"))
      return check_fields(&value, value.at, param.spec["fields"], false, param.name + ".", where, context);
    if (type == "list") check_items(value, param, where, context);
    const std::string range = out_of_range(value, param, type);
    if (!range.empty()) context.findings.add(value.at, "param '" + param.name + "' of " + where + " must be " + range + "; it is " + describe(value));
    check_choice(*checked, value, param, where, context);
    return *checked;
  }
  if (value.kind == Kind::null && param.spec.contains("default") && param.spec["default"].is_null()) return nullptr;
  const bool quote =
      value.kind != Kind::text && value.is_scalar() && value.kind != Kind::null && std::find(types.begin(), types.end(), "str") != types.end();
  context.findings.add(value.at, "param '" + param.name + "' of " + where + " must be " + in_words(types) + "; it is " + describe(value),
                       quote ? "quote it: \"" + shortened(value.text) + "\"" : "");
  return nullptr;
}

json check_fields(const Value* map, Position at, const json& fields, bool open, const std::string& prefix, const std::string& where,
                  Context& context) {
  json checked = json::object();
  std::vector<std::string> names;
  for (const auto& [name, spec] : fields.items()) names.push_back(name);
  if (map != nullptr)
    for (const Value::Entry& entry : map->entries) {
      const auto spec = fields.find(entry.key);
      if (spec != fields.end()) {
        checked[entry.key] = check_param(entry.value, {prefix + entry.key, *spec}, where, context);
      } else if (open) {
        checked[entry.key] = to_json(entry.value);
      } else {
        context.findings.add(entry.key_at, "unknown param '" + prefix + shortened(entry.key) + "' of " + where,
                             did_you_mean_or_list(entry.key, names, "params"));
      }
    }
  for (const auto& [name, spec] : fields.items())
    if (spec.value("required", false) && (map == nullptr || map->find(name) == nullptr))
      context.findings.add(at, "param '" + prefix + name + "' of " + where + " is missing", spec.value("doc", ""));
  return checked;
}

}  // namespace

json check_params(const Value* params, Position at, const Signature& signature, const std::string& where, Context& context) {
  return check_fields(params, at, signature.params, signature.any_params, "", where, context);
}

}  // namespace hawse::pipeline
