// SPDX-License-Identifier: Apache-2.0
//
// The schema and the parser, kept in step: for every key of the table a good and a bad value, on which both must agree; and the examples.
#include <fstream>
#include <regex>

#include "base/files.hpp"
#include "pipeline/keys.hpp"
#include "pipeline/testing.hpp"
#include "pipeline/value.hpp"

namespace hawse::pipeline {
namespace {

// As much of JSON Schema 2020-12 as schema() uses; any other word in it fails the test.
class Validator {
 public:
  explicit Validator(json root) : root_(std::move(root)) {}

  bool valid(const json& value) const { return valid(value, root_); }

 private:
  bool valid(const json& value, const json& schema) const {
    for (const auto& [word, rule] : schema.items())
      if (!holds(value, word, rule, schema)) return false;
    return true;
  }

  bool holds(const json& value, const std::string& word, const json& rule, const json& schema) const {
    if (word == "$ref") return valid(value, root_.at(json::json_pointer(rule.get<std::string>().substr(1))));
    if (word == "anyOf") return std::any_of(rule.begin(), rule.end(), [&](const json& one) { return valid(value, one); });
    if (word == "type")
      return rule.is_array() ? std::any_of(rule.begin(), rule.end(), [&](const json& one) { return is(value, one); }) : is(value, rule);
    if (word == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
    if (word == "pattern") return !value.is_string() || std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>()));
    if (word == "minLength") return !value.is_string() || value.get<std::string>().size() >= rule;
    if (word == "maxLength") return !value.is_string() || value.get<std::string>().size() <= rule;
    if (word == "minimum") return !value.is_number() || value.get<double>() >= rule.get<double>();
    if (word == "maximum") return !value.is_number() || value.get<double>() <= rule.get<double>();
    if (word == "items") return !value.is_array() || std::all_of(value.begin(), value.end(), [&](const json& one) { return valid(one, rule); });
    if (word == "minItems") return !value.is_array() || value.size() >= rule;
    if (word == "minProperties") return !value.is_object() || value.size() >= rule;
    if (word == "required")
      return !value.is_object() || std::all_of(rule.begin(), rule.end(), [&](const json& name) { return value.contains(name.get<std::string>()); });
    if (word == "propertyNames" || word == "properties" || word == "additionalProperties") return properties(value, word, rule, schema);
    EXPECT_TRUE(word == "$schema" || word == "$defs" || word == "title" || word == "description" || word == "default") << "unknown word " << word;
    return true;
  }

  bool properties(const json& value, const std::string& word, const json& rule, const json& schema) const {
    if (!value.is_object()) return true;
    for (const auto& [name, inner] : value.items()) {
      const bool listed = schema.contains("properties") && schema["properties"].contains(name);
      if (word == "propertyNames" && !valid(name, rule)) return false;
      if (word == "properties" && listed && !valid(inner, rule[name])) return false;
      if (word == "additionalProperties" && !listed && (rule.is_boolean() ? !rule.get<bool>() : !valid(inner, rule))) return false;
    }
    return true;
  }

  static bool is(const json& value, const json& type) {
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    return type == (value.is_string()    ? "string"
                    : value.is_boolean() ? "boolean"
                    : value.is_array()   ? "array"
                    : value.is_object()  ? "object"
                    : value.is_null()    ? "null"
                                         : "number");
  }

  json root_;
};

struct Samples {
  std::vector<json> good, bad;
};

Samples samples_of(const Key& key) {
  const json low = key.minimum ? json(static_cast<std::int64_t>(std::max(1.0, *key.minimum))) : json(1);
  const json below = key.minimum ? json(*key.minimum - 1) : json("x");
  const json example = key.example == nullptr ? json() : [&] {
    Findings findings("example");
    return to_json(*read_yaml(key.example, findings));
  }();
  switch (key.type) {
    case KeyType::flag: return {{true, false}, {1, "true", json::array()}};
    case KeyType::integer: return {{low, example}, {below, "x", 1.5, true, json::array(), static_cast<std::int64_t>(*key.maximum) + 1}};
    case KeyType::number: return {{low, example, 0.5}, {below, "x", true, *key.maximum + 1}};
    case KeyType::text: return {{example}, {5, true, json::array(), json::object(), ""}};
    case KeyType::label: return {{example}, {true, json::array(), "", "a b:c:d"}};
    case KeyType::size: return {{example, low, "16 MiB", "1.5 GB", "16777216"}, {-1, 1.5, "x", "5 apples", "", true, " 16MiB"}};
    case KeyType::duration: return {{example, low, 1.5, "2s", "1500 ms", "1.5"}, {-1, "x", "5 days", "", true, "-5s"}};
    case KeyType::texts: return {{json::array(), example}, {"numpy", 5, json::array({5}), json::array({""}), json::object()}};
    case KeyType::environment:
      return {{json::object(), {{"A", 1}, {"B", "x"}, {"C", true}, {"D", 1.5}}},
              {{{"A", json::array()}}, {{"A", nullptr}}, {{"A=B", 1}}, 5, json::array()}};
    case KeyType::anything: return {{json::object()}, {5, "x", json::array()}};
    case KeyType::section: return {{json::object()}, {5, "x", json::array(), {{"no such key", 1}}}};
    case KeyType::variables:
      return {{json::object(), {{"a", 1}, {"b", "x"}, {"c", true}, {"d", nullptr}}},
              {5, json::array(), {{"1", 1}}, {{"a", json::array()}}, {{"a", json::object()}}}};
    case KeyType::nodes:
      return {{}, {json::object(), json::array(), 5, {{"1", {{"node", "./plain"}}}}, {{"a", 5}}, {{"a", json::object()}}, nullptr}};
    case KeyType::edges:
      return {{json::array(), json::array({"a3 -> a"})},
              {"a -> a2", 5, json::array({5}), json::array({"a"}), json::array({json::object()}), json::array({{{"from", "a"}}})}};
    case KeyType::ends:
      return {{"a3", "a3.x", json::array({"a3", "a3.x"})}, {5, "", "1", "a b", "a.b.c", json::array(), json::array({5}), json::object()}};
    case KeyType::inputs:
    case KeyType::outputs:
      return {{json::object(), {{"x", "a"}}, {{"x", json::array({"a", "a.y"})}}},
              {5, json::array(), {{"1", "a"}}, {{"x", 5}}, {{"x", json::object()}}, {{"x", json::array()}}}};
  }
  return {};
}

// A valid manifest in which the mapping that `section` describes stands, and where in it.
std::pair<json, json::json_pointer> manifest_with(const std::string& section) {
  json manifest = {{"version", 1},
                   {"nodes", {{"a", {{"node", "nodes.py:Open"}}}, {"a2", {{"node", "./plain"}}}, {"a3", {{"node", "./plain"}}}}},
                   {"edges", {"a2.p -> a"}}};
  if (section == "manifest") return {manifest, json::json_pointer("")};
  if (section == "node") return {manifest, json::json_pointer("/nodes/a")};
  if (section == "edge") {
    manifest["edges"] = {"a2.p -> a", {{"from", "a2"}, {"to", "a"}}};
    return {manifest, json::json_pointer("/edges/1")};
  }
  if (section == "input" || section == "output") {
    manifest[section + "s"]["stream"][section == "input" ? "to" : "from"] = "a";
    return {manifest, json::json_pointer("/" + section + "s/stream")};
  }
  manifest["nodes"]["a"][section] = json::object();
  if (section == "inputs") {
    manifest["nodes"]["a"][section] = {{"match", "timestamp"}};
    manifest["edges"] = {"a2.p -> a.x", "a3.p -> a.y"};
  }
  return {manifest, json::json_pointer("/nodes/a/" + section)};
}

bool parser_takes(const json& manifest) { return TestProject().complaints(manifest.dump()).empty(); }

std::string first_complaint(const json& manifest) {
  const auto all = TestProject().complaints(manifest.dump());
  return all.empty() ? "none" : all.front();
}

TEST(Schema, and_parser_agree_on_a_good_and_a_bad_value_of_every_key) {
  const Validator validator(schema());
  for (const Section& section : sections()) {
    const auto [manifest, place] = manifest_with(section.name);
    ASSERT_TRUE(validator.valid(manifest)) << section.name;
    ASSERT_TRUE(parser_takes(manifest)) << section.name << ": " << first_complaint(manifest);
    for (const Key& key : section.keys) {
      const Samples samples = samples_of(key);
      for (const bool good : {true, false})
        for (const json& value : good ? samples.good : samples.bad) {
          json changed = manifest;
          changed[place][key.name] = value;
          EXPECT_EQ(validator.valid(changed), good) << "schema: " << section.name << "." << key.name << ": " << value;
          EXPECT_EQ(parser_takes(changed), good) << "parser: " << section.name << "." << key.name << ": " << value << ": "
                                                 << first_complaint(changed);
        }
    }
  }
}

TEST(Schema, and_parser_agree_that_no_other_key_is_there) {
  const Validator validator(schema());
  for (const Section& section : sections()) {
    auto [manifest, place] = manifest_with(section.name);
    manifest[place]["another"] = 1;
    EXPECT_FALSE(validator.valid(manifest)) << section.name;
    EXPECT_FALSE(parser_takes(manifest)) << section.name;
  }
}

TEST(Schema, and_parser_agree_on_what_is_required_and_what_may_be_empty) {
  const Validator validator(schema());
  for (const Section& section : sections()) {
    const auto [manifest, place] = manifest_with(section.name);
    for (const Key& key : section.keys) {
      json without = manifest, empty = manifest;
      if (without[place].contains(key.name)) without[place].erase(key.name);
      empty[place][key.name] = nullptr;
      EXPECT_EQ(validator.valid(without), !key.required) << section.name << "." << key.name;
      EXPECT_EQ(parser_takes(without), !key.required) << section.name << "." << key.name << ": " << first_complaint(without);
      EXPECT_EQ(validator.valid(empty), !key.required) << section.name << "." << key.name;
      EXPECT_EQ(parser_takes(empty), !key.required) << section.name << "." << key.name << ": " << first_complaint(empty);
    }
  }
}

TEST(Schema, takes_a_variable_where_a_value_stands) {
  const Validator validator(schema());
  for (const Section& section : sections())
    for (const Key& key : section.keys) {
      const bool scalar = key.type == KeyType::flag || key.type == KeyType::integer || key.type == KeyType::number || key.type == KeyType::text ||
                          key.type == KeyType::label || key.type == KeyType::size || key.type == KeyType::duration;
      if (!scalar || key.example == nullptr || std::string_view(key.example).starts_with('[')) continue;
      auto [manifest, place] = manifest_with(section.name);
      Findings findings("example");
      manifest["variables"]["x"] = to_json(*read_yaml(key.example, findings));
      manifest[place][key.name] = "${x}";
      EXPECT_TRUE(validator.valid(manifest)) << section.name << "." << key.name;
      EXPECT_TRUE(parser_takes(manifest)) << section.name << "." << key.name << ": " << first_complaint(manifest);
    }
}

TEST(Schema, describes_every_key) {
  for (const Section& section : sections())
    for (const Key& key : section.keys) EXPECT_GT(std::string_view(key.doc).size(), 10u) << section.name << "." << key.name;
}

TEST(Schema, takes_the_examples) {
  const Validator validator(schema());
  for (const char* name : {"captions", "conflict", "faces", "runaway"}) {
    const std::filesystem::path file = std::filesystem::path(HAWSE_TEST_SOURCES) / "examples" / name / "pipeline.yaml";
    Findings findings(file.string());
    const std::optional<Value> tree = read_yaml(read_file(file), findings);
    ASSERT_TRUE(tree) << name;
    EXPECT_TRUE(validator.valid(to_json(*tree))) << name;
  }
}

TEST(Schema, and_the_fuzzers_manifest_with_every_key_is_a_good_one) {
  const std::string text = read_file(std::filesystem::path(HAWSE_TEST_SOURCES) / "src/pipeline/fuzz_corpus/everything.yaml").substr(1);
  Findings findings("everything.yaml");
  EXPECT_TRUE(Validator(schema()).valid(to_json(*read_yaml(text, findings))));
  EXPECT_THAT(TestProject().complaints(text), testing::IsEmpty());
}

}  // namespace
}  // namespace hawse::pipeline
