// SPDX-License-Identifier: Apache-2.0
//
// Bad manifests: each mistake once, with its place and what to do.
#include "pipeline/testing.hpp"

namespace hawse::pipeline {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The complaints about node `a` that a stock source feeds; `lines` stand beside its reference on line 4, from column 22 on where that is 12 long.
std::vector<std::string> complain(const std::string& reference, const std::string& lines = "", const LoadOptions& options = {}) {
  return TestProject().complaints(
      "version: 1\nnodes:\n  t: {node: test/source}\n  a: {node: '" + reference + "'" + (lines.empty() ? "" : ", " + lines) + "}\nedges: [t -> a]\n",
      options);
}

std::vector<std::string> complain_open(const std::string& lines, const LoadOptions& options = {}) {
  return complain("nodes.py:Open", lines, options);
}

std::vector<std::string> complain_source(const std::string& params) {
  return TestProject().complaints("version: 1\nnodes:\n  s: {node: media/source, params: {" + params +
                                  "}}\n  k: {node: media/sink, params: {uri: x}}\nedges: [s.audio -> k]\n");
}

// ---- the whole ---------------------------------------------------------------------------------------------------------------------

TEST(Errors, all_come_in_one_go_sorted_by_line) {
  const std::string text = R"(version: 2
nmae: x
nodes:
  source: {node: media/sourc, params: {uri: x}}
  speech:
    node: nodes.py:Speech
    exectuor: process
    params: {treshold: 0.5}
    limits: {memory: lots}
edges:
  - source -> speach
  - source -> speech
grace: 2 days
)";
  EXPECT_THAT(TestProject().complaints(text),
              ElementsAre("1:10: 'version' in the manifest must be a whole number 1; it is the number 2",
                          "2:1: unknown key 'nmae' in the manifest | did you mean 'name'?",
                          "4:18: there is no stock node 'media/sourc' | did you mean 'media/source'?",
                          "7:5: unknown key 'exectuor' in node 'speech' | did you mean 'executor'?",
                          "8:14: unknown param 'treshold' of node 'speech' | did you mean 'threshold'?",
                          "9:22: 'memory' in limits: of node 'speech' must be a size from 6 MiB to 64 TiB, such as 512MiB; it is text 'lots'",
                          "11:15: there is no node 'speach' | did you mean 'speech'?",
                          "13:8: 'grace' in the manifest must be a duration from 0 to 1 h 0 min, such as 10s; it is text '2 days'"));
}

TEST(Errors, are_written_as_file_line_and_column) {
  try {
    TestProject().load("version: 1\nnodes: {a: {nod: './plain'}}\n");
    FAIL() << "it is wrong";
  } catch (const ManifestError& error) {
    EXPECT_EQ(error.code(), ErrorCode::manifest);
    EXPECT_EQ(to_string(error.findings()[1]), "/project/pipeline.yaml:2:13: unknown key 'nod' in node 'a'\n    did you mean 'node'?");
    EXPECT_THAT(error.what(), HasSubstr("pipeline.yaml:2:13: unknown key 'nod'"));
  }
}

TEST(Errors, cannot_drive_the_terminal) {
  EXPECT_THAT(to_string(TestProject().findings("version: 1\nnodes: {a: {node: \"\\e[31mx/y\"}}").at(0)), testing::Not(HasSubstr("\x1b")));
}

TEST(Errors, an_empty_manifest_a_list_and_a_scalar_are_told_so) {
  EXPECT_THAT(TestProject().complaints(""), ElementsAre("1:1: the manifest is empty | `hawse new` writes one that works"));
  EXPECT_THAT(TestProject().complaints("- a\n"), ElementsAre("1:1: the manifest must be a mapping with version, nodes and edges; it is a list"));
  EXPECT_THAT(TestProject().complaints("hello"), ElementsAre(HasSubstr("it is text 'hello'")));
  EXPECT_THAT(TestProject().complaints("{}"),
              ElementsAre(HasSubstr("'version' is missing in the manifest | add 'version: 1'"), HasSubstr("'nodes' is missing")));
  EXPECT_THAT(TestProject().complaints("version: 1\nnodes: {}"), ElementsAre(HasSubstr("there are no nodes")));
}

TEST(Errors, a_manifest_that_cannot_be_read_is_told_so) {
  Surroundings around = TestProject().surroundings("");
  around.read_file = [](const std::filesystem::path&) -> std::string {
    throw Error(ErrorCode::system, "read a file", "no.yaml: No such file or directory");
  };
  try {
    load("no.yaml", {}, around);
    FAIL() << "there is none";
  } catch (const ManifestError& error) {
    EXPECT_EQ(to_string(error.findings().at(0)), "no.yaml: no.yaml: No such file or directory");
  }
}

// ---- keys --------------------------------------------------------------------------------------------------------------------------

TEST(Keys, one_that_belongs_elsewhere_is_sent_there) {
  EXPECT_THAT(complain_open("memory: 1GiB"), ElementsAre(HasSubstr("unknown key 'memory' in node 'a' | 'memory' belongs under limits:")));
  EXPECT_THAT(complain_open("packages: [numpy]"), ElementsAre(HasSubstr("'packages' belongs under container: or python:")));
  EXPECT_THAT(complain_open("container: {restart: {}}"), ElementsAre(HasSubstr("'restart' belongs under a node")));
  EXPECT_THAT(complain_open("limits: {grace: 5s}"), ElementsAre(HasSubstr("'grace' belongs under the top level")));
}

TEST(Keys, one_that_is_near_to_nothing_is_answered_with_all_there_are) {
  EXPECT_THAT(complain_open("restart: {whatever: 1}"),
              ElementsAre(HasSubstr("unknown key 'whatever' in restart: of node 'a' | known keys: on, attempts, backoff, forget_after, poison_after")));
}

TEST(Keys, a_section_of_the_wrong_kind_is_told_so) {
  EXPECT_THAT(complain_open("limits: 5"), ElementsAre(HasSubstr("'limits' in node 'a' must be a mapping; it is the number 5")));
  EXPECT_THAT(complain_open("container: {packages: numpy}"),
              ElementsAre(HasSubstr("'packages' in container: of node 'a' must be a list, such as [\"numpy<2\"]; it is text 'numpy'")));
  EXPECT_THAT(complain_open("env: [A=1]"), ElementsAre(HasSubstr("'env' in node 'a' must be a mapping")));
  EXPECT_THAT(TestProject().complaints("version: 1\nnodes: {a: 5}"), ElementsAre(HasSubstr("node 'a' must be a mapping; it is the number 5")));
}

TEST(Keys, values_out_of_range_or_form_are_told_what_would_be_right) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"limits: {cpus: 0}", "must be a number from 0.01 to 4096; it is the number 0"},
      {"limits: {pids: 1.5}", "must be a whole number"},
      {"limits: {memory: 1KiB}", "must be a size from 6 MiB"},
      {"limits: {memory: -5}", "must be a size"},
      {"limits: {arena: 5 apples}", "must be a size"},
      {"restart: {on: always}", "must be one of never, failure"},
      {"restart: {attempts: 0}", "from 1 to 1000"},
      {"restart: {backoff: 11s}", "from 0 to 10.0 s"},
      {"start_timeout: 0", "must be a duration from 100 ms"},
      {"spin: 11s", "must be a duration from 0 to 10.0 s"},
      {"executor: thraed", "did you mean 'thread'?"},
      {"executor: 5", "must be one of thread, process, container"},
      {"container: {python: 2.7}", "must be a Python version from 3.9 on, such as 3.9; it is the number 2.7"},
      {"python: {version: 3.8}", "a Python version from 3.9 on"},
      {"container: {python: '3.11 '}", "a Python version"},
      {"container: {image: 'a b'}", "without blanks"},
      {"container: {network: 'a/b'}", "none, bridge, host"},
      {"container: {mounts: [x]}", "SOURCE:/TARGET"},
      {"container: {mounts: ['./models:/m:rx']}", "SOURCE:/TARGET"},
      {"container: {gpus: 'a b'}", "all, a count"},
      {"container: {user: 'a:b:c'}", "USER:GROUP"},
      {"container: {apt: ['x; rm -rf /']}", "the name of a Debian package"},
      {"container: {packages: [5]}", "a list of text"},
      {"container: {packages: ['']}", "text that isn't empty"},
      {"env: {A: [1]}", "'A' is a list"},
      {"env: {'A=B': 1}", "names without '='"},
      {"params: [1]", "must be a mapping"}};
  for (const auto& [lines, expected] : wrong) EXPECT_THAT(complain_open(lines), ElementsAre(HasSubstr(expected))) << lines;
}

TEST(Keys, a_name_has_a_form) {
  EXPECT_THAT(TestProject().complaints("version: 1\nname: My Pipeline\nnodes: {a: {node: ./plain}}"),
              ElementsAre(HasSubstr("2:7: 'name' in the manifest must be a small letter or a digit")));
  EXPECT_THAT(TestProject().complaints("version: 1\nnodes: {1a: {node: ./plain}}"),
              ElementsAre("2:9: '1a' can't be a node's id | a letter, then letters, digits, '_' and '-'"));
  EXPECT_THAT(TestProject().complaints("version: 1\nname: " + std::string(300, 'x') + "\nnodes: {a: {node: ./plain}}"),
              ElementsAre(HasSubstr("at most 256 bytes long")));
}

TEST(Keys, mounts_need_a_source_and_a_free_target) {
  EXPECT_THAT(complain_open("container: {mounts: ['./nothing:/m']}"),
              ElementsAre(HasSubstr("mounts: there is no './nothing' | it was looked for at /project/nothing")));
  EXPECT_THAT(complain_open("container: {mounts: ['./models:/hawse/sdk']}"), ElementsAre(HasSubstr("nothing can be mounted at '/hawse/sdk'")));
  EXPECT_THAT(complain_open("container: {mounts: ['./models:/proc']}"), ElementsAre(HasSubstr("nothing can be mounted at '/proc'")));
}

// ---- variables and flags -------------------------------------------------------------------------------------------------------------

TEST(Variables, that_are_not_declared_are_refused_with_the_nearest) {
  EXPECT_THAT(TestProject().complaints("version: 1\nvariables: {input: x}\nnodes: {a: {node: ./plain, params: {u: '${inptu}'}}}"),
              ElementsAre("3:40: unknown variable 'inptu' | did you mean 'input'?"));
  EXPECT_THAT(complain_open("params: {}, env: {A: '${x}'}"), ElementsAre(HasSubstr("unknown variable 'x' | there are no variables")));
}

TEST(Variables, given_on_the_command_line_must_be_declared) {
  EXPECT_THAT(TestProject().complaints("version: 1\nvariables: {input: x}\nnodes: {a: {node: ./plain}}",
                                       {.set = {{"inptu", "y"}}, .executors = {}, .env = {}}),
              ElementsAre("--set inptu: the manifest has no variable 'inptu' | did you mean 'input'?"));
  EXPECT_THAT(TestProject().complaints("version: 1\nvariables: {input: x}\nnodes: {a: {node: ./plain}}",
                                       {.set = {{"input", "\xff"}}, .executors = {}, .env = {}}),
              ElementsAre("--set input: the value isn't UTF-8 text"));
}

TEST(Variables, are_single_values_and_do_not_use_each_other) {
  EXPECT_THAT(TestProject().complaints("version: 1\nvariables: {a: [1], b: '${c}', c: 1, 1d: 1}\nnodes: {a: {node: ./plain}}"),
              ElementsAre("2:16: variable 'a' must be one value; it is a list", "2:24: variable 'b' uses another variable | write its value out",
                          HasSubstr("2:38: '1d' can't be a variable's name")));
  EXPECT_THAT(TestProject().complaints("version: 1\nvariables: 5\nnodes: {a: {node: ./plain}}"),
              ElementsAre(HasSubstr("'variables' in the manifest must be a mapping")));
}

TEST(Variables, without_their_brace_are_refused) {
  EXPECT_THAT(complain_open("env: {A: 'x${b'}"), ElementsAre(HasSubstr("a '${' without its '}' | write $${")));
}

TEST(Flags, that_name_no_node_are_refused_with_the_nearest) {
  EXPECT_THAT(complain_open("", {.set = {}, .executors = {{"b", ExecutorKind::process}}, .env = {}}),
              ElementsAre(HasSubstr("--executor b=...: there is no node 'b'")));
  EXPECT_THAT(complain_open("", {.set = {}, .executors = {}, .env = {{"aa", {"X", "1"}}}}),
              ElementsAre("--env aa=...: there is no node 'aa' | did you mean 'a'?"));
}

TEST(Flags, cannot_make_threads_of_Python_and_programs) {
  EXPECT_THAT(complain_open("", {.set = {}, .executors = {{"", ExecutorKind::thread}}, .env = {}}),
              ElementsAre("--executor: node 'a' can't run as a thread: it is Python | only stock nodes run as threads; use process or container"));
  EXPECT_THAT(complain("./plain", "executor: thread"),
              ElementsAre("4:34: node 'a' can't run as a thread: it is a program | only stock nodes run as threads; use process or container"));
}

// ---- references ------------------------------------------------------------------------------------------------------------------------

TEST(References, that_lead_nowhere_are_told_what_is_near) {
  EXPECT_THAT(complain("text/prnit"), ElementsAre("4:13: there is no stock node 'text/prnit' | did you mean 'text/print'?"));
  EXPECT_THAT(complain("nodes.py:Speach"), ElementsAre("4:13: there is no class 'Speach' in nodes.py | did you mean 'Speech'?"));
  EXPECT_THAT(complain("nodes.py:Helper"), ElementsAre("4:13: class 'Helper' in nodes.py isn't a node | derive it from hawse.Node"));
  EXPECT_THAT(complain("node.py:Speech"), ElementsAre("4:13: there is no file 'node.py' | it was looked for at /project/node.py"));
  EXPECT_THAT(complain("nodes.py"), ElementsAre("4:13: 'nodes.py' names a file and no class | name the class, too: nodes.py:Class"));
  EXPECT_THAT(complain("./nothing"), ElementsAre("4:13: there is no program './nothing' | it was looked for at /project/nothing"));
  EXPECT_THAT(complain("./nodes.py"), ElementsAre(HasSubstr("'./nodes.py' can't be executed")));
  EXPECT_THAT(complain("what is this"), ElementsAre(HasSubstr("'what is this' isn't a node | write a stock node (group/name)")));
}

TEST(References, a_Python_file_that_cannot_be_read_is_reported_once_and_at_its_own_line) {
  TestProject project;
  Surroundings around = project.surroundings("version: 1\nnodes: {a: {node: 'nodes.py:A'}, b: {node: 'nodes.py:B'}}\nedges: [a -> b]");
  around.read_python = [](const std::filesystem::path& path) -> PythonFile {
    throw ManifestError({{path.string(), {7, 3}, "Python can't read this: invalid syntax", ""}});
  };
  try {
    load("/project/pipeline.yaml", {}, around);
    FAIL() << "it can't be read";
  } catch (const ManifestError& error) {
    ASSERT_EQ(error.findings().size(), 1u);
    EXPECT_EQ(to_string(error.findings()[0]), "/project/nodes.py:7:3: Python can't read this: invalid syntax");
  }
}

TEST(References, a_program_with_a_bad_signature_is_told_so) {
  TestProject project;
  project.programs["/project/bad"] = R"({"inputs": {"x": "sound"}})";
  EXPECT_THAT(project.complaints("version: 1\nnodes: {a: {node: ./bad}}"),
              ElementsAre(HasSubstr("the signature in './bad' can't be used: port 'x': unknown type 'sound'")));
}

TEST(References, a_stock_node_has_no_python) {
  EXPECT_THAT(complain("text/print", "python: {packages: [x]}"),
              ElementsAre(HasSubstr("node 'a' is a stock node, written in C++: python: has no meaning for it")));
}

// ---- params ----------------------------------------------------------------------------------------------------------------------------

TEST(Params, that_are_unknown_or_missing_are_reported) {
  EXPECT_THAT(complain_source(""), ElementsAre("3:35: param 'uri' of node 's' is missing | what to open"));
  EXPECT_THAT(complain_source("uri: x, adio: {}"), ElementsAre("3:44: unknown param 'adio' of node 's' | did you mean 'audio'?"));
  EXPECT_THAT(complain_source("uri: x, audio: {rat: 5}"), ElementsAre(HasSubstr("unknown param 'audio.rat' of node 's' | did you mean 'rate'?")));
}

TEST(Params, of_the_wrong_type_or_range_are_told_what_would_be_right) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"audio: {rate: x}", "param 'audio.rate' of node 's' must be a whole number; it is text 'x'"},
      {"audio: {rate: 1.5}", "must be a whole number"},
      {"audio: {rate: true}", "must be a whole number; it is true"},
      {"audio: {rate: 10}", "must be at least 1000; it is the number 10"},
      {"audio: {rate: 999999}", "must be at most 384000"},
      {"audio: {format: int32}", "can't be text 'int32' | did you mean 'int16'?"},
      {"audio: {format: xyz}", "choices: float32, int16"},
      {"audio: 5", "must be a mapping"},
      {"buffer: 100", "must be at least 1024 bytes"},
      {"buffer: big", "a size, such as 4MiB"},
      {"wait: 61s", "must be at most 60 s"},
      {"wait: soon", "a duration, such as 250ms"},
      {"loop: 1", "must be true or false"},
      {"title: 5", "must be text; it is the number 5 | quote it: \"5\""},
      {"start: [1]", "must be a whole number or text; it is a list"},
      {"shape: [1, x]", "every item of param 'shape' of node 's' must be a whole number; this is text 'x'"},
      {"shape: [1, 2, 3, 4]", "must be at most 3 items"},
      {"shape: 5", "must be a list"},
      {"title: ", "must be text; it is nothing"}};
  for (const auto& [params, expected] : wrong) EXPECT_THAT(complain_source("uri: x, " + params), ElementsAre(HasSubstr(expected))) << params;
}

TEST(Params, of_the_right_type_pass) {
  for (const char* params : {"audio: {rate: 16000, format: int16}", "buffer: 4MiB", "buffer: 4096", "wait: 250ms", "wait: 1.5", "wait: 2",
                             "loop: false", "start: 5", "start: five", "shape: []", "shape: [1, 2]", "extra: {a: [null]}", "title: '5'"})
    EXPECT_THAT(complain_source(std::string("uri: x, ") + params), IsEmpty()) << params;
}

TEST(Params, a_whole_number_is_a_number) { EXPECT_THAT(complain("nodes.py:Speech", "params: {threshold: 1}"), IsEmpty()); }

// ---- signatures ------------------------------------------------------------------------------------------------------------------------

TEST(Signatures, keep_the_order_of_ports_and_their_types) {
  const Signature signature =
      parse_signature(std::string_view(R"({"inputs": {"z": "text|json", "a": "any?"}, "outputs": {"y": "audio", "b": "bytes"}})"));
  EXPECT_EQ(signature.inputs[0].name, "z");
  EXPECT_EQ(to_string(signature.inputs[0].type), "text|json");
  EXPECT_FALSE(signature.inputs[0].optional);
  EXPECT_TRUE(signature.inputs[1].optional);
  EXPECT_EQ(to_string(signature.inputs[1].type), "any");
  EXPECT_EQ(signature.outputs[1].name, "b");
}

TEST(Signatures, that_are_malformed_are_refused) {
  for (const char* text : {"", "[]", "{", R"({"inputs": 5})", R"({"inputs": {"a": 5}})", R"({"inputs": {"a": ""}})",
                           R"({"inputs": {"a": "control"}})", R"({"inputs": {"a": "none"}})", R"({"outputs": {"": "any"}})", R"({"source": 1})",
                           R"({"params": {"a": 5}})", R"({"params": {"a": {"type": "number"}}})", R"({"params": {"a": {"type": 5}}})",
                           R"({"params": {"a": {"minimum": "x"}}})", R"({"params": {"a": {"choices": 5}}})", R"({"params": {"a": {"required": 5}}})",
                           R"({"params": {"a": {"fields": 5}}})", R"({"params": [1]})", R"({"doc": 5})"})
    EXPECT_THROW(parse_signature(std::string_view(text)), Error) << text;
}

}  // namespace
}  // namespace hawse::pipeline
