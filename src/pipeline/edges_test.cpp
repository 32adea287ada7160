// SPDX-License-Identifier: Apache-2.0
#include "pipeline/testing.hpp"

namespace hawse::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Nodes of every kind; those without an edge in `edges` are left out.
std::string manifest(const std::string& edges, const std::string& more = "") {
  static const std::map<std::string, std::string> kNodes = {{"source", "{node: media/source, params: {uri: x}}"},
                                                            {"tick", "{node: test/source}"},
                                                            {"speech", "{node: 'nodes.py:Speech'}"},
                                                            {"again", "{node: 'nodes.py:Speech'}"},
                                                            {"recognise", "{node: 'nodes.py:Recognise'}"},
                                                            {"split", "{node: 'nodes.py:Split'}"},
                                                            {"mix", "{node: 'nodes.py:Mix'}"},
                                                            {"open", "{node: 'nodes.py:Open'}"},
                                                            {"hint", "{node: 'nodes.py:Hint'}"},
                                                            {"print", "{node: text/print}"},
                                                            {"sink", "{node: media/sink, params: {uri: y}}"}};
  std::string nodes;
  for (const auto& [id, text] : kNodes)
    if ((edges + more).find(id) != std::string::npos) nodes += (nodes.empty() ? "" : ", ") + id + ": " + text;
  return "version: 1\nnodes: {" + nodes + "}\nedges: [" + edges + "]\n" + more;
}

std::vector<std::string> connect(const std::string& edges, const std::string& more = "") {
  return edges_of(TestProject().load(manifest(edges, more)));
}
std::vector<std::string> complain_of_edges(const std::string& edges, const std::string& more = "") {
  return TestProject().complaints(manifest(edges, more));
}

TEST(Edges, a_chain_is_an_edge_between_each_two_neighbours) {
  EXPECT_THAT(connect("source.audio -> speech -> recognise -> print"),
              ElementsAre("source.audio -> speech.audio", "speech.out -> recognise.audio", "recognise.out -> print.text"));
}

TEST(Edges, blanks_around_the_arrow_do_not_matter) { EXPECT_THAT(connect("'tick->print'"), ElementsAre("tick.out -> print.text")); }

TEST(Edges, lists_make_an_edge_of_every_pair) {
  EXPECT_THAT(connect("{from: [source.audio, tick], to: [speech, again]}"),
              ElementsAre("source.audio -> speech.audio", "source.audio -> again.audio", "tick.out -> speech.audio", "tick.out -> again.audio"));
}

TEST(Edges, a_port_that_is_left_out_is_the_only_one) {
  EXPECT_THAT(connect("tick -> recognise -> print"), ElementsAre("tick.out -> recognise.audio", "recognise.out -> print.text"));
}

TEST(Edges, of_several_ports_the_one_whose_type_fits_is_taken) {
  EXPECT_THAT(connect("source -> speech, speech -> sink"), ElementsAre("source.audio -> speech.audio", "speech.out -> sink.audio"));
  EXPECT_THAT(connect("tick -> split, split -> print"), ElementsAre("tick.out -> split.audio", "split.words -> print.text"));
  EXPECT_THAT(connect("source.video -> sink"), ElementsAre("source.video -> sink.video"));
}

TEST(Edges, of_several_that_fit_the_one_that_nothing_uses_yet_is_taken) {
  EXPECT_THAT(connect("source -> split, split.left -> mix.right, split -> mix"),
              ElementsAre("source.audio -> split.audio", "split.left -> mix.right", "split.right -> mix.left"));
}

TEST(Edges, several_that_fit_equally_are_refused_with_their_names) {
  EXPECT_THAT(complain_of_edges("tick -> split, split -> speech"),
              ElementsAre(HasSubstr("node 'split' has several outputs that fit | name one: split.left, split.right, split.words")));
}

TEST(Edges, in_the_middle_of_a_chain_a_port_belongs_to_the_side_that_has_it) {
  EXPECT_THAT(connect("tick -> split.words -> print"), ElementsAre("tick.out -> split.audio", "split.words -> print.text"));
  EXPECT_THAT(connect("tick -> mix.left -> speech, tick -> mix.right"),
              ElementsAre("tick.out -> mix.left", "mix.out -> speech.audio", "tick.out -> mix.right"));
}

TEST(Edges, a_node_with_open_ports_takes_any_name) {
  EXPECT_THAT(connect("source.audio -> open.microphone, open.anything -> speech"),
              ElementsAre("source.audio -> open.microphone", "open.anything -> speech.audio"));
  EXPECT_THAT(connect("source.audio -> open -> speech"), ElementsAre("source.audio -> open.in", "open.out -> speech.audio"));
}

TEST(Edges, know_the_type_of_their_frames_where_it_is_a_single_one) {
  const Pipeline pipeline = TestProject().load(manifest("tick -> recognise, recognise -> print, tick -> print, tick -> open"));
  std::vector<plane::FrameType> types;
  for (const Edge& edge : pipeline.edges) types.push_back(edge.type);
  EXPECT_THAT(types, ElementsAre(plane::FrameType::audio, plane::FrameType::text, plane::FrameType::none, plane::FrameType::none));
}

TEST(Edges, types_must_fit_at_both_ends) {
  EXPECT_THAT(complain_of_edges("source.video -> speech"),
              ElementsAre("3:9: source.video -> speech.audio: gives video, takes audio | put a node between that converts, or connect other ports"));
  EXPECT_THAT(complain_of_edges("source -> print"),
              ElementsAre(HasSubstr("no output of node 'source' fits the other end of source -> print | outputs: audio (audio), video (video)")));
}

TEST(Edges, name_nodes_and_ports_that_exist) {
  EXPECT_THAT(complain_of_edges("source.audio -> speeech, source.audio -> speech"),
              ElementsAre("3:25: there is no node 'speeech' | did you mean 'speech'?"));
  EXPECT_THAT(complain_of_edges("source.adio -> speech"), ElementsAre("3:9: node 'source' has no output 'adio' | did you mean 'audio'?"));
  EXPECT_THAT(complain_of_edges("source.audio -> speech.wave"), ElementsAre("3:25: node 'speech' has no input 'wave' | the only one is 'audio'"));
  EXPECT_THAT(complain_of_edges("print -> speech"), ElementsAre(HasSubstr("node 'print' has no outputs | it can only stand at the end of an edge")));
  EXPECT_THAT(complain_of_edges("speech -> source"),
              ElementsAre(HasSubstr("node 'source' has no inputs | it can only stand at the start of an edge")));
}

TEST(Edges, that_cannot_be_read_are_reported) {
  EXPECT_THAT(complain_of_edges("tick"), ElementsAre("3:9: 'tick' connects nothing | write an edge as 'a.port -> b'"));
  EXPECT_THAT(complain_of_edges("'tick -> '"), ElementsAre(HasSubstr("an edge without a node at one end")));
  EXPECT_THAT(complain_of_edges("tick -> open:in"),
              ElementsAre("3:17: 'open:in' isn't the end of an edge | write node.port, or just node where only one port fits"));
  EXPECT_THAT(complain_of_edges("5"),
              ElementsAre(HasSubstr("there are no nodes"), HasSubstr("an edge is a chain or a mapping; this is the number 5")));
  EXPECT_THAT(complain_of_edges("{from: tick}"), ElementsAre(HasSubstr("'to' is missing in this edge")));
  EXPECT_THAT(complain_of_edges("{from: tick, to: []}"), ElementsAre(HasSubstr("'to' in this edge must be a port")));
}

TEST(Edges, queue_and_policy_are_checked) {
  EXPECT_THAT(complain_of_edges("{from: tick, to: print, queue: 0}"),
              ElementsAre(HasSubstr("'queue' in this edge must be a whole number from 1 to 8192; it is the number 0")));
  EXPECT_THAT(complain_of_edges("{from: tick, to: print, queue: 8193}"), ElementsAre(HasSubstr("from 1 to 8192")));
  EXPECT_THAT(
      complain_of_edges("{from: tick, to: print, when_full: drop_newst}"),
      ElementsAre(HasSubstr("must be one of block, drop_oldest, drop_newest, latest; it is text 'drop_newst' | did you mean 'drop_newest'?")));
}

TEST(Edges, the_same_one_twice_is_refused) {
  EXPECT_THAT(complain_of_edges("tick -> print, {from: tick.out, to: print.text, queue: 3}"),
              ElementsAre(HasSubstr("the edge tick.out -> print.text stands here a second time")));
}

TEST(Edges, more_than_ten_thousand_are_refused) {
  std::string list;
  for (int i = 0; i < 101; ++i) list += "n, ";
  EXPECT_THAT(TestProject().complaints("version: 1\nnodes: {n: {node: 'm:X'}}\nedges: [{from: [" + list + "], to: [" + list + "]}]"),
              testing::Contains(HasSubstr("more than 10000 edges")));
}

TEST(Cycles, are_refused_with_the_nodes_in_their_order) {
  EXPECT_THAT(complain_of_edges("speech -> again, again -> open, open -> speech"),
              ElementsAre(HasSubstr("the edges form a cycle: open -> speech -> again -> open | if that is meant, write the edge that leads back as "
                                    "{from: open, to: speech, feedback: true}")));
  EXPECT_THAT(complain_of_edges("open -> open"), ElementsAre(HasSubstr("the edges form a cycle: open -> open")));
}

TEST(Cycles, that_an_edge_says_is_meant_are_fine) {
  EXPECT_THAT(complain_of_edges("speech -> again, again -> open, {from: open, to: speech, feedback: true}"), IsEmpty());
}

TEST(Cycles, are_each_reported) {
  EXPECT_THAT(complain_of_edges("speech -> again, again -> speech, open.a -> open.b"),
              ElementsAre(HasSubstr("again -> speech -> again"), HasSubstr("open -> open")));
}

TEST(Connections, a_node_without_any_is_refused) {
  EXPECT_THAT(
      TestProject().complaints("version: 1\nnodes:\n  t: {node: test/source}\n  p: {node: text/print}\n  q: {node: text/print}\nedges: [t -> p]"),
      ElementsAre("5:3: node 'q' isn't connected to anything | add an edge from or to it, or remove the node"));
}

TEST(Connections, an_input_without_one_is_refused_unless_it_is_optional) {
  EXPECT_THAT(complain_of_edges("tick -> mix.left, mix -> speech"),
              ElementsAre(HasSubstr("input 'right' of node 'mix' isn't connected | add an edge to mix.right")));
  EXPECT_THAT(complain_of_edges("tick -> hint.audio"), IsEmpty());
  EXPECT_THAT(complain_of_edges("source.audio -> sink"), IsEmpty());
}

TEST(Connections, a_node_whose_ports_are_not_known_may_stand_alone) {
  EXPECT_NO_THROW(TestProject().load("version: 1\nnodes: {a: {node: ./plain}}\n"));
}

TEST(Application, its_inputs_and_outputs_are_edges_from_and_to_it) {
  const Pipeline pipeline = TestProject().load(
      manifest("speech -> recognise", "inputs: {mic: speech}\noutputs: {text: recognise, raw: {from: speech.out, queue: 2, when_full: latest}}\n"));
  EXPECT_THAT(edges_of(pipeline), ElementsAre("speech.out -> recognise.audio", "application.mic -> speech.audio", "recognise.out -> application.text",
                                              "speech.out -> application.raw"));
  EXPECT_THAT(pipeline.inputs, ElementsAre("mic"));
  EXPECT_THAT(pipeline.outputs, ElementsAre("text", "raw"));
  EXPECT_EQ(pipeline.edges[1].type, plane::FrameType::audio);
  EXPECT_EQ(pipeline.edges[3].queue, 2u);
  EXPECT_EQ(pipeline.edges[3].when_full, plane::WhenFull::latest);
}

TEST(Application, one_input_may_go_to_several_ports) {
  EXPECT_THAT(connect("", "inputs: {mic: [speech, again]}\n"), ElementsAre("application.mic -> speech.audio", "application.mic -> again.audio"));
}

TEST(Application, is_no_name_for_a_node_and_stands_in_no_edge) {
  EXPECT_THAT(TestProject().complaints("version: 1\nnodes: {application: {node: './plain'}}\n"), ElementsAre(HasSubstr("no node can have that id")));
  EXPECT_THAT(complain_of_edges("application.mic -> speech", "inputs: {mic: speech}\n"),
              ElementsAre("3:9: 'application' can't stand in an edge | declare its streams under inputs: and outputs:"));
}

TEST(Application, what_is_wrong_with_its_entries_is_reported) {
  EXPECT_THAT(complain_of_edges("speech -> recognise", "inputs: {mic: speech.x, 5: speech, n: 5, m: {too: speech}}\n"),
              ElementsAre(HasSubstr("no input 'x'"), HasSubstr("'5' can't be the name of an input or output"), HasSubstr("'n' must name a port"),
                          HasSubstr("'to' is missing in input 'm'"), HasSubstr("unknown key 'too'")));
}

}  // namespace
}  // namespace hawse::pipeline
