// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/facts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/files.hpp"
#include "bench/advise/conflicts.hpp"
#include "bench/advise/outputs.hpp"

namespace hawse::bench::advise {
namespace {

using pipeline::Node;
using pipeline::NodeKind;
using pipeline::Pipeline;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Node node(const std::string& id, NodeKind kind = NodeKind::python) {
  Node one;
  one.id = id;
  one.kind = kind;
  one.executor = ExecutorKind::process;
  return one;
}

// source -> work -> sink; the source is a stock one.
Pipeline chain(const nlohmann::json& source_params) {
  Pipeline pipeline;
  pipeline.nodes = {node("source", NodeKind::stock), node("work"), node("sink", NodeKind::stock)};
  pipeline.nodes[0].params = source_params;
  for (const auto& [from, to] : {std::pair{"source", "work"}, std::pair{"work", "sink"}}) {
    pipeline::Edge edge;
    edge.from = {from, "out"};
    edge.to = {to, "in"};
    pipeline.edges.push_back(edge);
  }
  return pipeline;
}

bool live(const nlohmann::json& source_params) {
  const Pipeline pipeline = chain(source_params);
  return facts_of(pipeline.nodes[1], pipeline, "3.11.7").live;
}

TEST(Facts, input_is_live_where_its_source_has_a_pace_of_its_own) {
  EXPECT_TRUE(live({{"uri", "device:alsa:default"}}));
  EXPECT_TRUE(live({{"uri", "rtsp://camera/1"}}));
  EXPECT_TRUE(live({{"uri", "/a.wav"}, {"realtime", true}}));
  EXPECT_TRUE(live({{"rate_hz", 50}}));
  EXPECT_FALSE(live({{"uri", "/a.wav"}}));
  EXPECT_FALSE(live({{"rate_hz", 0}}));
}

TEST(Facts, a_cycle_of_feedback_ends_the_search_for_a_source) {
  Pipeline pipeline = chain(nlohmann::json::object());
  pipeline::Edge back;
  back.from = {"sink", "out"};
  back.to = {"work", "again"};
  pipeline.edges.push_back(back);
  EXPECT_FALSE(facts_of(pipeline.nodes[1], pipeline, "3.11.7").live);
}

TEST(Facts, what_only_a_container_gives_is_named) {
  Pipeline pipeline = chain(nlohmann::json::object());
  Node& work = pipeline.nodes[1];
  work.container.python = "3.9";
  work.container.apt = {"libgl1"};
  EXPECT_THAT(facts_of(work, pipeline, "3.11.7").only_container, ElementsAre("Python 3.9 (a process gets the host's 3.11.7)", "the Debian packages libgl1"));
  work.container = {};
  work.container.python = "3.11";
  EXPECT_THAT(facts_of(work, pipeline, "3.11.7").only_container, IsEmpty());
}

TEST(Facts, files_of_the_host_that_no_mount_gives_are_named) {
  Pipeline pipeline = chain(nlohmann::json::object());
  Node& work = pipeline.nodes[1];
  work.env = {{"LD_PRELOAD", "/etc/hostname"}, {"LEVEL", "3"}};
  EXPECT_THAT(facts_of(work, pipeline, "").host_files, ElementsAre("/etc/hostname (LD_PRELOAD)"));
  work.container.mounts = {{.source = "/etc", .target = "/etc"}};
  EXPECT_THAT(facts_of(work, pipeline, "").host_files, IsEmpty());
}

// As uv would: what a requirement "name==version" says, and no solution for two of one name.
Resolved by_the_words(const std::vector<std::string>& requirements) {
  Versions versions;
  for (const auto& one : requirements) {
    const auto [place, is_new] = versions.emplace(one.substr(0, one.find('=')), one.substr(one.find('=') + 2));
    if (!is_new && place->second != one.substr(one.find('=') + 2)) return {.versions = {}, .no_solution = true};
  }
  return {.versions = versions, .no_solution = false};
}

TEST(Conflicts, versions_that_differ_are_found_and_equal_ones_are_not) {
  const auto conflicts = find_conflicts({{.node = "a", .text = "python 3.11.7", .wants_python = "3.9", .packages = {"numpy==1.26.4", "six==1.0"}, .apt = {}},
                                         {.node = "b", .text = "python 3.11.7, numpy 2.4.1", .wants_python = "", .packages = {"numpy==2.4.1", "six==1.0"}, .apt = {"libgl1"}}},
                                        by_the_words);
  ASSERT_EQ(conflicts.size(), 3u);
  EXPECT_EQ(conflicts[0].what, "Python");
  EXPECT_EQ(conflicts[0].values.at("a"), "3.9");
  EXPECT_EQ(conflicts[0].values.at("b"), "3.11");
  EXPECT_EQ(conflicts[1].what, "numpy");
  EXPECT_EQ(conflicts[1].one_for_all, "no set of versions serves all");
  EXPECT_EQ(conflicts[2].what, "Debian packages");
}

TEST(Conflicts, nodes_without_packages_have_none) {
  EXPECT_THAT(find_conflicts({{.node = "a", .text = "python 3.11.7", .wants_python = "", .packages = {}, .apt = {}},
                              {.node = "b", .text = "python 3.11.7", .wants_python = "", .packages = {}, .apt = {}}}, by_the_words), IsEmpty());
}

// A pipeline whose node `work` takes a path `file`, and whose sink does.
struct Outputs : testing::Test {
  ScopedDir folder{std::filesystem::temp_directory_path(), "advise-test-"};
  ScopedDir users{std::filesystem::temp_directory_path(), "advise-user-"};
  Pipeline pipeline = chain(nlohmann::json::object());

  void give(std::size_t index, const std::string& path, bool sink) {
    Node& one = pipeline.nodes[index];
    one.params["file"] = path;
    one.signature.params["file"] = {{"type", "path"}};
    one.signature.inputs = {{.name = "in", .type = {}}};
    if (!sink) one.signature.outputs = {{.name = "out", .type = {}}};
  }
  std::string users_file(const std::string& name, const std::string& content) const {
    const auto path = users.path() / name;
    std::ofstream(path) << content;
    return path.string();
  }
};

TEST_F(Outputs, a_sinks_file_goes_into_the_folder_under_its_own_name) {
  give(2, "/home/me/out.mp4", true);
  const auto list = redirect_outputs(pipeline, folder.path());
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].from, "/home/me/out.mp4");
  EXPECT_EQ(pipeline.nodes[2].params["file"], (folder.path() / "sink-out.mp4").string());
}

TEST_F(Outputs, a_sink_of_the_users_own_gets_a_copy_of_what_is_there) {
  pipeline.nodes[2].kind = NodeKind::python;
  give(2, users_file("log.txt", "before"), true);
  redirect_outputs(pipeline, folder.path());
  EXPECT_EQ(read_file(folder.path() / "sink-log.txt"), "before");
}

TEST_F(Outputs, standard_output_stays) {
  give(2, "-", true);
  EXPECT_THAT(redirect_outputs(pipeline, folder.path()), IsEmpty());
}

TEST_F(Outputs, a_stream_that_is_sent_out_becomes_a_file) {
  give(2, "rtmp://live/key", true);
  redirect_outputs(pipeline, folder.path());
  EXPECT_EQ(pipeline.nodes[2].params["file"], (folder.path() / "sink-stream.mkv").string());
}

TEST_F(Outputs, a_path_of_another_node_is_left_alone_only_where_something_is_there) {
  const std::string model = users_file("model.bin", "weights");
  give(1, model, false);
  EXPECT_THAT(redirect_outputs(pipeline, folder.path()), IsEmpty());
  give(1, (users.path() / "trace.txt").string(), false);
  EXPECT_EQ(redirect_outputs(pipeline, folder.path()).size(), 1u);
}

TEST_F(Outputs, a_file_left_alone_that_changes_is_told) {
  const std::string model = users_file("model.bin", "weights");
  give(1, model, false);
  const LeftAlone left_alone(pipeline);
  EXPECT_THAT(left_alone.changed(), IsEmpty());
  users_file("model.bin", "other weights");
  EXPECT_THAT(left_alone.changed(), ElementsAre(HasSubstr("model.bin (param file of work)")));
}

TEST_F(Outputs, a_mount_that_may_be_written_is_a_copy) {
  users_file("data.txt", "before");
  Node& work = pipeline.nodes[1];
  work.executor = ExecutorKind::container;
  work.container.mounts = {{.source = users.path(), .target = "/data", .write = true}, {.source = "/etc", .target = "/e"}};
  redirect_outputs(pipeline, folder.path());
  EXPECT_NE(work.container.mounts[0].source, users.path());
  EXPECT_EQ(read_file(work.container.mounts[0].source / "data.txt"), "before");
  EXPECT_EQ(work.container.mounts[1].source, "/etc");
  EXPECT_EQ(why_not_in_container(work), "");
}

}  // namespace
}  // namespace hawse::bench::advise
