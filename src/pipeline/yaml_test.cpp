// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/value.hpp"

namespace hawse::pipeline {
namespace {

using Kind = Value::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Value read(const std::string& text) {
  Findings findings("x.yaml");
  const std::optional<Value> value = read_yaml(text, findings);
  findings.throw_if_any();
  return value.value();
}

// "1:5: message | hint"
std::string complaint(const std::string& text) {
  Findings findings("x.yaml");
  EXPECT_FALSE(read_yaml(text, findings).has_value()) << text;
  try {
    findings.throw_if_any();
  } catch (const ManifestError& error) {
    const Finding& first = error.findings().at(0);
    return std::to_string(first.at.line) + ":" + std::to_string(first.at.column) + ": " + first.message + " | " + first.hint;
  }
  return "";
}

std::string nested(int depth) {
  return "a: " + std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
}

TEST(Yaml, gives_every_key_and_value_its_place) {
  const Value root = read("a: 1\nb:\n  - x\n  - {c: 'd'}\n");
  EXPECT_EQ(root.entries[1].key_at.line, 2);
  EXPECT_EQ(root.entries[1].value.items[0].at.column, 5);
  const Value::Entry& inner = root.entries[1].value.items[1].entries[0];
  EXPECT_EQ(inner.key_at.line, 4);
  EXPECT_EQ(inner.key_at.column, 6);
  EXPECT_EQ(inner.value.at.column, 9);
}

TEST(Yaml, counts_columns_in_characters_and_not_in_bytes) { EXPECT_EQ(read("{ä: ö, b: 1}").entries[1].key_at.column, 8); }

TEST(Yaml, reads_scalars_as_yaml_1_2_does) {
  const Value root =
      read("[1, -7, 0x1f, 0o17, 1.5, 1e3, true, False, ~, null, on, yes, '1', 3.10, .inf, +4, 1_000, -, 1:30, 99999999999999999999, 0x-1, '']");
  std::vector<Kind> kinds;
  for (const Value& item : root.items) kinds.push_back(item.kind);
  EXPECT_THAT(kinds, ElementsAre(Kind::integer, Kind::integer, Kind::integer, Kind::integer, Kind::real, Kind::real, Kind::boolean, Kind::boolean,
                                 Kind::null, Kind::null, Kind::text, Kind::text, Kind::text, Kind::real, Kind::text, Kind::integer, Kind::text,
                                 Kind::text, Kind::text, Kind::real, Kind::text, Kind::text));
  EXPECT_EQ(root.items[2].integer, 31);
  EXPECT_EQ(root.items[3].integer, 15);
  EXPECT_EQ(root.items[13].text, "3.10");
}

TEST(Yaml, reads_json) {
  const Value root = read(R"({"version": 1, "nodes": {"a": {"node": "test/source", "params": {"x": [1, 2.5, null, true, "\u00e4"]}}}})");
  EXPECT_EQ(to_json(root)["nodes"]["a"]["params"]["x"], json::parse(R"([1, 2.5, null, true, "ä"])"));
}

TEST(Yaml, follows_aliases) {
  const Value root = read("a: &x {k: [1, 2]}\nb: *x\n");
  EXPECT_EQ(to_json(root)["b"]["k"][1], 2);
  EXPECT_EQ(root.entries[1].value.at.line, 2);
}

TEST(Yaml, refuses_a_key_that_stands_twice_and_tells_where_it_stood) {
  EXPECT_EQ(complaint("a: 1\nb: 2\na: 3\n"), "3:1: the key 'a' stands here a second time | it is on line 1 already: remove one of them");
  EXPECT_THAT(complaint("x: {a: 1, 'a': 2}"), HasSubstr("1:11: the key 'a'"));
  EXPECT_THAT(complaint(R"({"a": 1, "a": 1})"), HasSubstr("a second time"));
}

TEST(Yaml, refuses_a_small_file_that_is_a_large_tree) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c)
    bomb += std::string(1, c) + ": &" + c + " [" + std::string("*") + char(c - 1) + ",*" + char(c - 1) + ",*" + char(c - 1) + ",*" + char(c - 1) +
            ",*" + char(c - 1) + "]\n";
  EXPECT_THAT(complaint(bomb), HasSubstr("more than 20000 values"));
  std::string long_text = "a: &a " + std::string(500'000, 'x') + "\nb: [";
  for (int i = 0; i < 20; ++i) long_text += "*a, ";
  EXPECT_THAT(complaint(long_text + "]"), HasSubstr("more than 4 MiB of text"));
}

TEST(Yaml, refuses_what_is_nested_too_deep) {
  EXPECT_NO_THROW(read(nested(63)));
  EXPECT_THAT(complaint(nested(64)), HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(complaint(nested(100'000)), HasSubstr("nested more than 64 deep"));
  std::string dashes;
  for (int i = 0; i < 5000; ++i) dashes += "- ";
  EXPECT_THAT(complaint(dashes + "a"), HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(complaint("a: &a " + nested(40).substr(3) + "\nb: " + std::string(30, '[') + "*a" + std::string(30, ']')),
              HasSubstr("nested more than 64 deep"));
}

TEST(Yaml, refuses_an_alias_within_what_it_names) { EXPECT_THAT(complaint("a: &a [*a]"), HasSubstr("alias")); }

TEST(Yaml, refuses_what_is_larger_than_1_MiB) { EXPECT_THAT(complaint("a: " + std::string(1 << 20, 'x')), HasSubstr("larger than 1 MiB")); }

TEST(Yaml, refuses_what_is_not_UTF_8_and_tells_where) {
  EXPECT_THAT(complaint("a: b\nc: d\xff\n"), HasSubstr("2:5: not UTF-8"));
  EXPECT_THAT(complaint("a: \x80"), HasSubstr("1:4: not UTF-8"));
  EXPECT_THAT(complaint("a: \xc3"), HasSubstr("not UTF-8"));
  EXPECT_THAT(complaint("a: \xed\xa0\x80"), HasSubstr("not UTF-8"));
  EXPECT_THAT(complaint("a: \xc3\xa4\xa4"), HasSubstr("not UTF-8"));
}

TEST(Yaml, refuses_control_characters_and_NUL) {
  EXPECT_THAT(complaint("a: \x1b[31m"), HasSubstr("1:4: a control character"));
  EXPECT_THAT(complaint(std::string("a: \0b", 5)), HasSubstr("a control character"));
  EXPECT_THAT(complaint("a: \"x\\0y\""), HasSubstr("a NUL character"));
}

TEST(Yaml, refuses_a_second_document) { EXPECT_THAT(complaint("a: 1\n---\nb: 2\n"), HasSubstr("a second document starts here")); }

TEST(Yaml, refuses_keys_that_are_no_text) {
  EXPECT_THAT(complaint("{[a]: 1}"), HasSubstr("a list can't be a key"));
  EXPECT_THAT(complaint("? {a: 1}\n: 2\n"), HasSubstr("a mapping can't be a key"));
  EXPECT_THAT(complaint("a: &a [1]\n*a : 2\n"), HasSubstr("can't be a key"));
  EXPECT_THAT(complaint(": 2\n"), HasSubstr("a key is missing"));
}

TEST(Yaml, refuses_tags) { EXPECT_THAT(complaint("a: !python/object x"), HasSubstr("has no meaning in a manifest")); }

TEST(Yaml, says_what_is_wrong_with_the_syntax_and_what_to_do) {
  EXPECT_THAT(complaint("a:\n\tb: 1\n"), HasSubstr("a tab indents this line | YAML indents with spaces"));
  EXPECT_THAT(complaint("a: [1, 2\n"), HasSubstr("isn't closed"));
  EXPECT_THAT(complaint("a: {b: 1\n"), HasSubstr("isn't closed"));
  EXPECT_THAT(complaint("a: b: c\n"), HasSubstr("quote text that contains ': '"));
  EXPECT_THAT(complaint("a: 'b\n"), HasSubstr("1:1: a quoted text that starts after this isn't closed"));
  EXPECT_THAT(complaint("a: \"\\q\"\n"), HasSubstr("an unknown escape"));
  EXPECT_THAT(complaint("a: *b\n"), HasSubstr("names no anchor"));
  EXPECT_THAT(complaint("a: 1\n  b: 2\n"), HasSubstr("2:"));
  EXPECT_THAT(complaint("a: 1\n- b\n"), HasSubstr("2:1"));
}

TEST(Yaml, an_empty_file_is_nothing) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "\xef\xbb\xbf"}) EXPECT_EQ(read(text).kind, Kind::null) << text;
}

}  // namespace
}  // namespace hawse::pipeline
