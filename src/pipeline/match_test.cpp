// SPDX-License-Identifier: Apache-2.0
//
// Inputs that are matched, and sources in the background: what the manifest says and what it can't.
#include "pipeline/testing.hpp"

namespace hawse::pipeline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string manifest(const std::string& node, const std::string& inputs, const std::string& edges) {
  return "version: 1\nnodes:\n  a: {node: test/source}\n  b: {node: test/source}\n  join: {node: " + node + ", inputs: " + inputs + "}\nedges: [" + edges + "]\n";
}
const char* const kBoth = "a -> join.left, b -> join.right";

TEST(Match, is_read_with_its_defaults_and_its_limits) {
  const Pipeline pipeline = TestProject().load(manifest("'nodes.py:Mix'", "{match: timestamp, tolerance: 5ms, wait: 2, hold: 7}", kBoth));
  ASSERT_TRUE(pipeline.find("join")->match);
  EXPECT_EQ(pipeline.find("join")->match->tolerance_ns, 5'000'000);
  EXPECT_EQ(pipeline.find("join")->match->wait_ns, 2'000'000'000);
  EXPECT_EQ(pipeline.find("join")->match->hold, 7u);
  const Pipeline plain = TestProject().load(manifest("'nodes.py:Mix'", "{match: timestamp}", kBoth));
  EXPECT_EQ(plain.find("join")->match->tolerance_ns, 20'000'000);
  EXPECT_EQ(plain.find("join")->match->wait_ns, 500'000'000);
  EXPECT_EQ(plain.find("join")->match->hold, 64u);
  EXPECT_FALSE(TestProject().load(manifest("'nodes.py:Mix'", "{match: none}", kBoth)).find("join")->match);
  EXPECT_FALSE(TestProject().load(manifest("'nodes.py:Mix'", "{}", kBoth)).find("join")->match);
}

TEST(Match, needs_a_node_that_takes_several_frames_at_once) {
  EXPECT_THAT(TestProject().complaints(manifest("text/print", "{match: timestamp}", "a -> join, b -> join")),
              ElementsAre("5:36: node 'join' takes one frame at a time: its inputs can't be matched | stock nodes do; remove 'match'"));
  EXPECT_THAT(TestProject().complaints(manifest("'nodes.py:Recognise'", "{match: timestamp}", "a -> join, b -> join")),
              ElementsAre("5:46: node 'join' takes one frame at a time: its inputs can't be matched | give its process() a parameter for each input: "
                          "def process(self, audio: hawse.Audio, video: hawse.Video)"));
  EXPECT_THAT(TestProject().complaints(manifest("'nodes.py:Open'", "{match: timestamp}", kBoth)), IsEmpty()) << "what can't be seen is left open";
}

TEST(Match, needs_two_inputs) {
  EXPECT_THAT(TestProject().complaints(manifest("'nodes.py:Open'", "{match: timestamp}", "a -> join.x, b -> join.x")),
              ElementsAre("5:41: node 'join' has one input, 'x': there is nothing to match it with | connect another input, or remove 'match'"));
}

TEST(Match, keys_without_it_are_a_mistake) {
  EXPECT_THAT(TestProject().complaints(manifest("'nodes.py:Mix'", "{tolerance: 5ms}", kBoth)),
              ElementsAre("5:52: 'tolerance' in inputs: of node 'join' has no meaning without match | add 'match: timestamp'"));
}

std::vector<std::string> in_background(const Pipeline& pipeline) {
  std::vector<std::string> all;
  for (const Node& node : pipeline.nodes)
    if (node.background) all.push_back(node.id);
  for (const Edge& edge : pipeline.edges)
    if (edge.background) all.push_back(edge.from.node + " -> " + edge.to.node);
  return all;
}

TEST(Background, is_a_timer_and_what_has_no_other_input) {
  const char* const text = R"(version: 1
nodes:
  tick: {node: hawse/timer}
  poll: {node: 'nodes.py:Open'}
  source: {node: test/source}
  work: {node: 'nodes.py:Open'}
  print: {node: text/print}
edges: [tick -> poll.x, poll.y -> work.a, source -> work.b, tick -> work.c, work.d -> print]
)";
  EXPECT_THAT(in_background(TestProject().load(text)), ElementsAre("tick", "poll", "poll -> work", "tick -> work"));
}

TEST(Background, of_a_timer_alone_is_the_whole_pipeline) {
  EXPECT_THAT(in_background(TestProject().load("version: 1\nnodes: {tick: {node: hawse/timer}, print: {node: text/print}}\nedges: [tick -> print]\n")),
              ElementsAre("tick", "print"));
}

}  // namespace
}  // namespace hawse::pipeline
