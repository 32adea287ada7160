// SPDX-License-Identifier: Apache-2.0
#include "executor/lock/lock_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "executor/python/resolution.hpp"
#include "executor/python/uv.hpp"

namespace hawse::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

pipeline::Pipeline one_node() {
  pipeline::Pipeline pipeline;
  pipeline.file = "/somewhere/a.yaml";
  pipeline::Node node;
  node.id = "speech";
  node.kind = pipeline::NodeKind::python;
  node.executor = pipeline::ExecutorKind::container;
  node.container.python = "3.9";
  node.packages = {"numpy<2"};
  pipeline.nodes.push_back(node);
  return pipeline;
}

LockFile lock_of(const pipeline::Pipeline& pipeline) {
  const auto& node = pipeline.nodes.front();
  return {"0.13.9", {{node.id, {wants_of(node), "3.9.2", "hawse/python:3.9", "sha256:1", {"libgl1=1.6"}, {"numpy==1.26.4 --hash=sha256:2"}, "abc"}}}};
}

TEST(LockFile, is_read_as_it_was_written_with_one_package_a_line) {
  const auto lock = lock_of(one_node());
  const std::string text = to_text(lock);
  EXPECT_THAT(text, HasSubstr("\n        \"numpy==1.26.4 --hash=sha256:2\"\n"));
  EXPECT_EQ(to_text(parse_lock(text)), text);
}

TEST(LockFile, makes_a_node_ask_for_exactly_what_it_says) {
  auto pipeline = one_node();
  apply(lock_of(pipeline), pipeline);
  const auto& node = pipeline.nodes.front();
  EXPECT_EQ(node.container.image, "sha256:1");
  EXPECT_THAT(node.container.apt, ElementsAre("libgl1=1.6"));
  EXPECT_THAT(node.packages, ElementsAre("numpy==1.26.4 --hash=sha256:2"));
}

TEST(LockFile, that_no_longer_fits_says_what_differs_and_how_to_renew_it) {
  auto pipeline = one_node();
  const auto lock = lock_of(pipeline);
  EXPECT_THAT(differences(lock, pipeline), IsEmpty());
  pipeline.nodes.front().packages = {"numpy<2", "idna"};
  auto more = pipeline.nodes.front();
  more.id = "other";
  pipeline.nodes.push_back(more);
  EXPECT_THAT(differences(lock, pipeline), ElementsAre("node speech: packages is numpy<2, idna, and it was made for numpy<2", "node other isn't in it"));
  try {
    apply(lock, pipeline);
    FAIL() << "it was used";
  } catch (const Error& error) {
    EXPECT_THAT(error.context(), HasSubstr("numpy<2, idna"));
    EXPECT_THAT(error.hint(), HasSubstr("hawse lock /somewhere/a.yaml"));
  }
  pipeline.nodes.clear();
  EXPECT_THAT(differences(lock, pipeline), ElementsAre(HasSubstr("speech")));
}

TEST(LockFile, of_another_kind_is_an_error) {
  for (const char* text : {"", "[]", "{}", R"({"lock": 2, "uv": "", "nodes": {}})", R"({"lock": 1, "uv": 3, "nodes": {}})", R"({"lock": 1, "uv": "", "nodes": {"a": {}}})"})
    EXPECT_THROW(parse_lock(text), Error) << text;
}

TEST(Resolution, tells_wheels_from_what_has_to_be_built_and_drops_credentials) {
  const auto all = parse_pylock(R"(
lock-version = "1.0"
[[packages]]
name = "cthing"
version = "1.0"
sdist = { url = "https://me:secret@host/cthing-1.0.tar.gz", hashes = { sha256 = "aa" } }
[[packages]]
name = "numpy"
version = "1.26.4"
sdist = { url = "https://host/numpy.tar.gz", hashes = { sha256 = "cc" } }
wheels = [
  { url = "https://host/a.whl", hashes = { sha256 = "bb" } },
  { url = "https://host/b.whl", hashes = { sha256 = "dd" } },
]
[[packages]]
name = "thing"
version = "1.5"
archive = { path = "/wheels/thing-1.5-py3-none-any.whl", hashes = { sha256 = "ee" } }
)");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_FALSE(all[0].wheel);
  EXPECT_EQ(all[0].source_url, "https://host/cthing-1.0.tar.gz");
  EXPECT_EQ(all[0].line, "cthing==1.0 --hash=sha256:aa");
  EXPECT_TRUE(all[1].wheel);
  EXPECT_EQ(all[1].line, "numpy==1.26.4 --hash=sha256:bb --hash=sha256:dd");
  EXPECT_EQ(all[2].line, "thing @ file:///wheels/thing-1.5-py3-none-any.whl --hash=sha256:ee");
  EXPECT_THROW(parse_pylock("[[packages]]\nname = 'x'\n[packages.directory]\npath = '.'\n"), Error);
  EXPECT_THROW(parse_pylock("[[packages"), Error);
}

TEST(Resolution, credentials_are_taken_out_of_any_address) {
  EXPECT_EQ(without_credentials("one=https://me:se%40cret@host:8/simple https://host/ x@y"), "one=https://host:8/simple https://host/ x@y");
}

}  // namespace
}  // namespace hawse::executor
