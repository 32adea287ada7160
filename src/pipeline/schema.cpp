// SPDX-License-Identifier: Apache-2.0
//
// The manifest's JSON Schema, made from the table of keys. It can't say everything that load() checks (files, ports, types of frames, the
// range of a size with a unit); what it can say, it says the same.
#include "pipeline/keys.hpp"

namespace hawse::pipeline {
namespace {

// As base/text.hpp reads them.
constexpr const char* kSizePattern = "^[0-9]+(\\.[0-9]*)? *(B|k|K|kB|KB|M|MB|G|GB|T|TB|KiB|MiB|GiB|TiB)?$";
constexpr const char* kDurationPattern = "^[0-9]+(\\.[0-9]*)? *(ns|us|\u00b5s|ms|s|m|min|h)?$";

json reference(const std::string& name) { return {{"$ref", "#/$defs/" + name}}; }

void add_range(const Key& key, json& schema) {
  const auto number = [](double limit) {
    return limit == static_cast<double>(static_cast<std::int64_t>(limit)) ? json(static_cast<std::int64_t>(limit)) : json(limit);
  };
  if (key.minimum) schema["minimum"] = number(*key.minimum);
  if (key.maximum) schema["maximum"] = number(*key.maximum);
}

json with_range(const Key& key, const char* type) {
  json schema = {{"type", type}};
  add_range(key, schema);
  return schema;
}

json text_schema(const Key& key) {
  if (!key.choices.empty()) return {{"enum", std::vector<std::string>(key.choices.begin(), key.choices.end())}};
  json schema = {{"type", "string"}, {"minLength", 1}};
  if (key.pattern == nullptr) return schema;
  schema["pattern"] = key.pattern;
  schema["maxLength"] = kMaxNameBytes;
  return schema;
}

json by_name(json values, const char* pattern) {
  return {{"type", "object"}, {"propertyNames", {{"pattern", pattern}, {"maxLength", kMaxNameBytes}}}, {"additionalProperties", std::move(values)}};
}

json any_of(std::vector<json> alternatives) { return {{"anyOf", std::move(alternatives)}}; }

// What a key takes; empty: said by a reference alone.
std::vector<json> alternatives(const Key& key) {
  const json variable = reference("variable"), ends = reference("ends");
  switch (key.type) {
    case KeyType::flag: return {{{"type", "boolean"}}, variable};
    case KeyType::integer: return {with_range(key, "integer"), variable};
    case KeyType::number: return {with_range(key, "number"), variable};
    case KeyType::text: return {text_schema(key), variable};
    case KeyType::label: return {text_schema(key), {{"type", "number"}}, variable};
    case KeyType::size: return {{{"type", "string"}, {"pattern", kSizePattern}}, with_range(key, "integer"), variable};
    case KeyType::duration: return {{{"type", "string"}, {"pattern", kDurationPattern}}, with_range(key, "number"), variable};
    case KeyType::texts: return {{{"type", "array"}, {"items", any_of({text_schema(key), variable})}}};
    case KeyType::environment:
      return {
          {{"type", "object"}, {"propertyNames", {{"pattern", "^[^=]+$"}}}, {"additionalProperties", {{"type", {"string", "number", "boolean"}}}}}};
    case KeyType::anything: return {{{"type", "object"}}};
    case KeyType::section: return {reference(key.name)};
    case KeyType::variables: return {by_name({{"type", {"string", "number", "boolean", "null"}}}, kIdPattern)};
    case KeyType::nodes: {
      json nodes = by_name(reference("node"), kIdPattern);
      nodes["minProperties"] = 1;
      return {nodes};
    }
    case KeyType::edges: return {{{"type", "array"}, {"items", any_of({{{"type", "string"}, {"pattern", "->|\\$\\{"}}, reference("edge")})}}};
    case KeyType::ends: return {ends};
    case KeyType::inputs: return {by_name(any_of({ends, reference("input")}), kIdPattern)};
    case KeyType::outputs: return {by_name(any_of({ends, reference("output")}), kIdPattern)};
  }
  return {};
}

json key_schema(const Key& key) {
  std::vector<json> list = alternatives(key);
  if (!key.required) list.push_back({{"type", "null"}});
  json schema = list.size() == 1 ? list.front() : any_of(std::move(list));
  schema["description"] = key.doc;
  if (!key.fallback.is_null()) schema["default"] = key.fallback;
  return schema;
}

json section_schema(const Section& section) {
  json schema = {{"type", "object"}, {"description", section.doc}, {"properties", json::object()}, {"additionalProperties", false}};
  for (const Key& key : section.keys) {
    schema["properties"][key.name] = key_schema(key);
    if (key.required) schema["required"].push_back(key.name);
  }
  return schema;
}

}  // namespace

json schema() {
  json schema = section_schema(section("manifest"));
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "Hawsepipe manifest";
  json& definitions = schema["$defs"];
  for (const Section& one : sections())
    if (std::string_view(one.name) != "manifest") definitions[one.name] = section_schema(one);
  const char* end = "^\\s*[A-Za-z][A-Za-z0-9_-]*(\\.[A-Za-z_][A-Za-z0-9_-]*)?\\s*$";
  const json one_end = any_of({{{"type", "string"}, {"pattern", end}}, reference("variable")});
  definitions["variable"] = {{"type", "string"}, {"pattern", "\\$\\{"}, {"description", "Text with a variable in it."}};
  definitions["ends"] = any_of({one_end, {{"type", "array"}, {"items", one_end}, {"minItems", 1}}});
  definitions["ends"]["description"] = "A port (node.port, or node where only one port fits), or a list of ports.";
  return schema;
}

}  // namespace hawse::pipeline
