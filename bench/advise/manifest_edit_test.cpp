// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/manifest_edit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hawse::bench::advise {
namespace {

using pipeline::ExecutorKind;
using testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20;
const NodeChange kBoth{.node = "a", .executor = ExecutorKind::container, .memory_bytes = 64 * kMiB};
const NodeChange kExecutor{.node = "a", .executor = ExecutorKind::container, .memory_bytes = {}};
const NodeChange kMemory{.node = "a", .executor = {}, .memory_bytes = 64 * kMiB};

std::string edited(const std::string& text, const NodeChange& change) { return edit_manifest(text, {change}).text; }

std::string refusal(const std::string& text, const NodeChange& change) {
  try {
    return "became: " + edit_manifest(text, {change}).text;
  } catch (const Error& error) {
    return error.context() + " | " + error.hint();
  }
}

TEST(ManifestEdit, replaces_an_executor_and_leaves_its_comment) {
  EXPECT_EQ(edited("nodes:\n  a:   # one\n    node: x/y\n    executor:  process   # why\n    env: {A: b}\n", kExecutor),
            "nodes:\n  a:   # one\n    node: x/y\n    executor:  container   # why\n    env: {A: b}\n");
}

TEST(ManifestEdit, keeps_the_quotes_of_what_it_replaces) {
  EXPECT_EQ(edited("nodes: {a: {node: x, executor: 'process'}}", kExecutor), "nodes: {a: {node: x, executor: 'container'}}");
  EXPECT_EQ(edited("nodes: {a: {executor: \"process\", node: x}}", kExecutor), "nodes: {a: {executor: \"container\", node: x}}");
}

TEST(ManifestEdit, adds_lines_after_the_reference_in_block_style) {
  EXPECT_EQ(edited("# top\nnodes:\n    a:\n        node: n.py:A   # mine\n\n        # params\n        params: {}\n    b: {node: y}\n", kBoth),
            "# top\nnodes:\n    a:\n        node: n.py:A   # mine\n        executor: container\n        limits: {memory: 64MiB}\n\n        # params\n        params: {}\n    b: {node: y}\n");
}

TEST(ManifestEdit, adds_lines_at_the_end_of_a_file_without_a_last_line_break) {
  EXPECT_EQ(edited("nodes:\n  a:\n    node: n.py:A", kBoth), "nodes:\n  a:\n    node: n.py:A\n    executor: container\n    limits: {memory: 64MiB}");
}

TEST(ManifestEdit, keeps_the_line_breaks_of_the_file) {
  EXPECT_EQ(edited("nodes:\r\n  a:\r\n    node: n.py:A\r\n    env: {}\r\n", kBoth),
            "nodes:\r\n  a:\r\n    node: n.py:A\r\n    executor: container\r\n    limits: {memory: 64MiB}\r\n    env: {}\r\n");
}

TEST(ManifestEdit, adds_keys_in_flow_style) {
  EXPECT_EQ(edited("nodes: {a: {node: \"n.py:A\" , env: {}}, b: {node: y}} # end", kBoth),
            "nodes: {a: {node: \"n.py:A\", executor: container, limits: {memory: 64MiB} , env: {}}, b: {node: y}} # end");
}

TEST(ManifestEdit, adds_quoted_keys_on_lines_of_their_own_in_json) {
  EXPECT_EQ(edited("{\n  \"nodes\": {\n    \"a\": {\n      \"node\": \"n.py:A\"\n    }\n  }\n}\n", kBoth),
            "{\n  \"nodes\": {\n    \"a\": {\n      \"node\": \"n.py:A\",\n      \"executor\": \"container\",\n      \"limits\": {\"memory\": \"64MiB\"}\n    }\n  }\n}\n");
}

TEST(ManifestEdit, adds_quoted_keys_beside_others_in_json_of_one_line) {
  EXPECT_EQ(edited(R"({"nodes": {"a": {"params": {"t": 1}, "node": "n.py:A"}}})", kBoth),
            R"({"nodes": {"a": {"params": {"t": 1}, "node": "n.py:A", "executor": "container", "limits": {"memory": "64MiB"}}}})");
}

TEST(ManifestEdit, puts_the_memory_into_limits_that_are_there) {
  EXPECT_EQ(edited("nodes:\n  a:\n    node: x\n    limits: {cpus: 0.5}  # half\n", kMemory), "nodes:\n  a:\n    node: x\n    limits: {memory: 64MiB, cpus: 0.5}  # half\n");
  EXPECT_EQ(edited("nodes:\n  a:\n    node: x\n    limits:\n      # half\n      cpus: 0.5\n", kMemory),
            "nodes:\n  a:\n    node: x\n    limits:\n      # half\n      memory: 64MiB\n      cpus: 0.5\n");
  EXPECT_EQ(edited("nodes:\n  a:\n    node: x\n    limits: {}\n", kMemory), "nodes:\n  a:\n    node: x\n    limits: {memory: 64MiB}\n");
  EXPECT_EQ(edited(R"({"nodes": {"a": {"node": "x", "limits": {"pids": 4}}}})", kMemory), R"({"nodes": {"a": {"node": "x", "limits": {"memory": "64MiB", "pids": 4}}}})");
}

TEST(ManifestEdit, counts_in_characters_where_the_reader_does) {
  EXPECT_EQ(edited("nodes: {ü: {node: 'ä/ö'}, a: {node: 'n ö.py:Ä'}}\n", {.node = "a", .executor = ExecutorKind::process, .memory_bytes = {}}),
            "nodes: {ü: {node: 'ä/ö'}, a: {node: 'n ö.py:Ä', executor: process}}\n");
}

TEST(ManifestEdit, changes_several_nodes_and_tells_the_lines) {
  const Edited result = edit_manifest("nodes:\n  a:\n    node: x\n    executor: process\n  b:\n    node: y\n", {kBoth, {.node = "b", .executor = ExecutorKind::process, .memory_bytes = {}}});
  EXPECT_EQ(result.text, "nodes:\n  a:\n    node: x\n    executor: container\n    limits: {memory: 64MiB}\n  b:\n    node: y\n    executor: process\n");
  ASSERT_EQ(result.lines.size(), 3u);
  EXPECT_EQ(result.lines[0].line, 4);
  EXPECT_EQ(result.lines[0].before, "    executor: process");
  EXPECT_EQ(result.lines[0].after, "    executor: container");
  EXPECT_EQ(result.lines[1].before, "");
  EXPECT_EQ(result.lines[1].after, "    limits: {memory: 64MiB}");
  EXPECT_EQ(result.lines[2].line, 8);
}

TEST(ManifestEdit, nothing_to_change_is_the_same_text) {
  const std::string text = "nodes: {a: {node: x}}";
  EXPECT_EQ(edit_manifest(text, {}).text, text);
  EXPECT_TRUE(edit_manifest(text, {}).lines.empty());
}

TEST(ManifestEdit, refuses_what_a_variable_decides) {
  EXPECT_THAT(refusal("nodes:\n  a:\n    node: x\n    executor: \"${where}\"\n", kExecutor), HasSubstr("line 4, node 'a': a variable decides it; nothing was written | write by hand: executor: container"));
}

TEST(ManifestEdit, refuses_aliases_whose_content_belongs_to_others_too) {
  EXPECT_THAT(refusal("nodes:\n  b: &one\n    node: x\n  a: *one\n", kExecutor), HasSubstr("line 4"));
  EXPECT_THAT(refusal("nodes:\n  b: {node: x, limits: &l {cpus: 1}}\n  a: {node: x, limits: *l}\n", kMemory), HasSubstr("line 3"));
}

TEST(ManifestEdit, refuses_to_change_an_anchor_that_another_node_uses) {
  EXPECT_THAT(refusal("nodes:\n  a: &one\n    node: x\n  b: *one\n", kBoth), HasSubstr("without changing more; nothing was written | write by hand: executor: container, limits: {memory: 64MiB}"));
}

TEST(ManifestEdit, refuses_keys_and_texts_that_it_cannot_follow) {
  EXPECT_THAT(refusal("nodes:\n  a:\n    node: x\n    executor:\n", kExecutor), HasSubstr("line 4, node 'a': it has no value to replace"));
  EXPECT_THAT(refusal("nodes:\n  a:\n    node: \"x\\x41\"\n", kExecutor), HasSubstr("line 3"));
  EXPECT_THAT(refusal("nodes:\n  a:\n    node: x\n    limits:\n", kMemory), HasSubstr("line 4"));
}

TEST(ManifestEdit, sizes_are_written_in_the_largest_unit_that_is_whole) {
  EXPECT_EQ(size_in_manifest(64 * kMiB), "64MiB");
  EXPECT_EQ(size_in_manifest(2048 * kMiB), "2GiB");
  EXPECT_EQ(size_in_manifest(1000), "1000");
}

}  // namespace
}  // namespace hawse::bench::advise
