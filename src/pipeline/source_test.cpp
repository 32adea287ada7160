// SPDX-License-Identifier: Apache-2.0
//
// Python sources read by a real python3, and ELF files by our reader.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/files.hpp"
#include "pipeline/elf.hpp"
#include "pipeline/testing.hpp"

namespace hawse::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class Source : public testing::Test {
 protected:
  void SetUp() override { 
    ::setenv("HAWSE_RESOURCES", HAWSE_TEST_RESOURCES, 1);
    ::setenv("HAWSE_STATE", (folder_.path() / "state").c_str(), 1);
  }
  void TearDown() override { ::unsetenv("HAWSE_STATE"); }

  fs::path write(const std::string& name, const std::string& text) {
    const fs::path path = folder_.path() / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  PythonFile read(const std::string& text) { return around_.read_python(write("nodes.py", text)); }
  // The signature of class N whose body is `body`.
  Signature node(const std::string& body) { return read("import hawse\nfrom typing import *\nclass N(hawse.Node):\n" + body).nodes.at("N"); }

  ScopedDir folder_{fs::temp_directory_path(), "hawse-source-"};
  Surroundings around_ = real_surroundings({});
};

// Where nothing has changed for a while, the answer is what was kept: here one that no source gives.
TEST_F(Source, is_not_read_again_while_nothing_of_it_has_changed) {
  const std::string before = "import hawse, helper, pack.part\nclass N(hawse.Node):\n  def process(self, audio: hawse.Audio): ...\n";
  const fs::path main = write("nodes.py", before);
  write("pack/__init__.py", "");
  write("pack/part.py", "");
  const auto settle = [] { std::this_thread::sleep_for(std::chrono::milliseconds(150)); };
  const auto input = [&] { return around_.read_python(main).nodes.at("N").inputs.at(0).name; };
  const auto files = [&] { return around_.read_python(main).files.size(); };
  const auto forge = [&] {
    settle();
    EXPECT_EQ(input(), "audio");
    unsigned kept = 0;
    for (const auto& entry : fs::directory_iterator(folder_.path() / "state/sources")) {
      std::string text = read_file(entry.path());
      for (std::size_t at = 0; (at = text.find("\"audio\"", at)) != std::string::npos;) text.replace(at, 7, "\"video\"");
      std::ofstream(entry.path()) << text;
      ++kept;
    }
    EXPECT_EQ(kept, 1u);
    EXPECT_EQ(input(), "video");
  };
  EXPECT_EQ(input(), "audio");
  EXPECT_FALSE(fs::exists(folder_.path() / "state/sources")) << "it has changed just now";
  forge();
  write("nodes.py", before + "#");
  EXPECT_EQ(input(), "audio") << "another content";
  forge();
  write("other.py", "");
  EXPECT_EQ(input(), "video") << "a file that nobody imports";
  EXPECT_EQ(files(), 3u);
  write("helper.py", "");
  EXPECT_EQ(input(), "audio") << "a name that was looked for and not found";
  EXPECT_EQ(files(), 4u);
  forge();
  write("pack/data.txt", "");
  EXPECT_EQ(files(), 5u) << "a package comes along as a whole";
  EXPECT_EQ(input(), "audio");
  forge();
  fs::remove(folder_.path() / "pack/part.py");
  EXPECT_EQ(input(), "audio") << "a file that is gone";
  forge();
  for (const auto& entry : fs::directory_iterator(folder_.path() / "state/sources")) std::ofstream(entry.path()) << "{}";
  EXPECT_EQ(input(), "audio") << "what is kept makes no sense";
}

std::vector<std::string> ports(const std::vector<Port>& list) {
  std::vector<std::string> words;
  for (const Port& port : list) words.push_back(port.name + ": " + to_string(port.type) + (port.optional ? "?" : ""));
  return words;
}

TEST_F(Source, takes_ports_from_annotations) {
  const Signature n = node("  def process(self, audio: hawse.Audio) -> hawse.Text: ...\n");
  EXPECT_THAT(ports(n.inputs), ElementsAre("audio: audio"));
  EXPECT_THAT(ports(n.outputs), ElementsAre("out: text"));
  EXPECT_FALSE(n.source || n.any_inputs || n.any_outputs || n.any_params);
}

TEST_F(Source, tells_whether_process_takes_a_frame_of_every_input) {
  EXPECT_EQ(node("  def process(self, a: hawse.Audio, b: hawse.Text = None): ...\n").matched, true);
  EXPECT_EQ(node("  def process(self, **frames): ...\n").matched, true);
  EXPECT_EQ(node("  inputs = {'a': hawse.Audio, 'b': hawse.Text}\n  def process(self, frame): ...\n").matched, false);
  EXPECT_EQ(read("import hawse\nimport other\nclass N(other.Base, hawse.Node): ...\n").nodes.at("N").matched, std::nullopt);
}

TEST_F(Source, understands_how_types_are_written) {
  const std::vector<std::pair<std::string, std::string>> forms = {{"hawse.Video", "video"},
                                                                  {"'hawse.Image'", "image"},
                                                                  {"Optional[hawse.Tensor]", "tensor"},
                                                                  {"hawse.Json | None", "json"},
                                                                  {"Union[hawse.Audio, hawse.Text, None]", "audio|text"},
                                                                  {"Iterator[hawse.Bytes]", "bytes"},
                                                                  {"Iterable['hawse.Bytes']", "bytes"},
                                                                  {"Generator[hawse.Audio, None, None]", "audio"},
                                                                  {"AsyncIterator[hawse.Audio]", "audio"},
                                                                  {"list[hawse.Audio]", "audio"},
                                                                  {"List[hawse.Audio]", "audio"},
                                                                  {"Tuple[hawse.Audio, hawse.Text]", "audio|text"},
                                                                  {"tuple[hawse.Audio, ...]", "audio"},
                                                                  {"Iterator[Optional[hawse.Audio]]", "audio"},
                                                                  {"hawse.Frame", "any"},
                                                                  {"Any", "any"},
                                                                  {"str", "text|json"},
                                                                  {"dict", "json"},
                                                                  {"Dict[str, int]", "json"},
                                                                  {"bytes", "bytes"},
                                                                  {"numpy.ndarray", "any"},
                                                                  {"Iterator[hawse.Frame]", "any"},
                                                                  {"hawse.Audio | int", "any"}};
  for (const auto& [form, expected] : forms)
    EXPECT_THAT(ports(node("  def process(self, x) -> " + form + ":\n    return self.x\n").outputs), ElementsAre("out: " + expected)) << form;
}

TEST_F(Source, leaves_open_what_has_no_annotation) {
  const Signature n = node("  def process(self, x):\n    return x\n");
  EXPECT_THAT(ports(n.inputs), ElementsAre("x: any"));
  EXPECT_THAT(ports(n.outputs), ElementsAre("out: any"));
}

TEST_F(Source, a_node_that_gives_nothing_has_no_output) {
  EXPECT_THAT(node("  def process(self, x: hawse.Tensor) -> None:\n    self.kept = x\n").outputs, IsEmpty());
  EXPECT_THAT(node("  def process(self, x):\n    if x: return\n    return None\n").outputs, IsEmpty());
  EXPECT_THAT(node("  def process(self, x):\n    def inner():\n      return 5\n    f = lambda: 5\n").outputs, IsEmpty());
}

TEST_F(Source, an_annotation_of_nothing_does_not_hide_what_the_body_gives) {
  EXPECT_THAT(ports(node("  def process(self, x) -> None:\n    yield x\n").outputs), ElementsAre("out: any"));
}

TEST_F(Source, finish_and_produce_give_outputs_too) {
  EXPECT_THAT(ports(node("  def process(self, x: hawse.Audio) -> None: ...\n  def finish(self) -> hawse.Text: ...\n").outputs),
              ElementsAre("out: text"));
  const Signature source = node("  async def produce(self) -> AsyncIterator[hawse.Image]:\n    yield self.image\n");
  EXPECT_TRUE(source.source);
  EXPECT_THAT(source.inputs, IsEmpty());
  EXPECT_THAT(ports(source.outputs), ElementsAre("out: image"));
}

TEST_F(Source, finds_the_names_of_outputs_where_they_are_given) {
  EXPECT_THAT(ports(node("  def process(self, x):\n    yield 'left', x\n    yield 'right', x\n").outputs), ElementsAre("left: any", "right: any"));
  EXPECT_THAT(ports(node("  def process(self, x) -> Iterator[Tuple[str, hawse.Audio]]:\n    for a in x:\n      yield 'left', a\n").outputs),
              ElementsAre("left: audio"));
  EXPECT_THAT(ports(node("  def process(self, x):\n    return [('a', x), ('b', x)]\n").outputs), ElementsAre("a: any", "b: any"));
  EXPECT_TRUE(node("  def process(self, x):\n    yield self.name, x\n").any_outputs);
  EXPECT_TRUE(node("  def process(self, x):\n    yield from self.parts(x)\n").any_outputs);
}

TEST_F(Source, class_attributes_say_what_annotations_cannot) {
  const Signature n = node(
      "  inputs = {'a': hawse.Audio, 'b': hawse.Text | None}\n  outputs = {'words': hawse.Text, 'raw': None}\n  def process(self, frame): ...\n");
  EXPECT_THAT(ports(n.inputs), ElementsAre("a: audio", "b: text?"));
  EXPECT_THAT(ports(n.outputs), ElementsAre("words: text", "raw: any"));
  EXPECT_TRUE(node("  outputs = make()\n  def process(self, x): ...\n").any_outputs);
}

TEST_F(Source, inputs_are_required_unless_they_are_optional) {
  EXPECT_THAT(
      ports(node("  def process(self, a: hawse.Audio, b: Optional[hawse.Text], c: hawse.Image = None, *, d: 'hawse.Json | None'): ...\n").inputs),
      ElementsAre("a: audio", "b: text?", "c: image?", "d: json?"));
  EXPECT_THAT(ports(node("  def process(self, a: Optional[hawse.Audio]): ...\n").inputs), ElementsAre("a: audio"));
  EXPECT_TRUE(node("  def process(self, **frames): ...\n").any_inputs);
  EXPECT_TRUE(node("  def process(self, *frames): ...\n").any_inputs);
}

TEST_F(Source, params_come_from_setup) {
  const Signature n = node(
      "  def setup(self, a: int, b: float = 0.5, c: str = 'x', d: bool = False, e: list[int] = (1, 2), f: Optional[int] = None, g=5, h: Dict[str, "
      "int] = {},\n"
      "            i: Literal['x', 'y'] = 'x', j: int | str = 1, k: 'List[str]' = [], m: Any = None, n: float = compute(), *, o: int = None): ...\n  "
      "def process(self, x): ...\n");
  EXPECT_EQ(n.params["a"], json::parse(R"({"type": "int", "required": true})"));
  EXPECT_EQ(n.params["b"], json::parse(R"({"type": "float", "default": 0.5})"));
  EXPECT_EQ(n.params["c"]["type"], "str");
  EXPECT_EQ(n.params["d"], json::parse(R"({"type": "bool", "default": false})"));
  EXPECT_EQ(n.params["e"], json::parse(R"({"type": "list", "items": "int", "default": [1, 2]})"));
  EXPECT_EQ(n.params["f"], json::parse(R"({"type": "none|int", "default": null})"));
  EXPECT_EQ(n.params["g"], json::parse(R"({"type": "any", "default": 5})"));
  EXPECT_EQ(n.params["h"]["type"], "dict");
  EXPECT_EQ(n.params["i"], json::parse(R"({"type": "str", "choices": ["x", "y"], "default": "x"})"));
  EXPECT_EQ(n.params["j"]["type"], "int|str");
  EXPECT_EQ(n.params["k"], json::parse(R"({"type": "list", "items": "str", "default": []})"));
  EXPECT_EQ(n.params["m"]["type"], "any");
  EXPECT_EQ(n.params["n"], json::parse(R"({"type": "float"})"));
  EXPECT_EQ(n.params["o"]["type"], "int|none");
  EXPECT_TRUE(node("  def setup(self, **rest): ...\n  def process(self, x): ...\n").any_params);
}

TEST_F(Source, finds_nodes_however_hawse_is_imported_and_whoever_they_derive_from) {
  const PythonFile file = read(
      "import hawse as h\nfrom hawse import Node, Audio as A\nimport other\n"
      "class One(h.Node):\n  '''First.\n\n  More.'''\n  def process(self, x: A) -> h.Text: ...\n"
      "class Two(One):\n  def setup(self, n: int = 1): ...\n"
      "class Three(Node):\n  def produce(self): ...\n"
      "class Helper: ...\nclass Model(other.Model):\n  def load(self): ...\n"
      "if True:\n  class Four(Two): ...\n"
      "class Guessed(other.Base):\n  def process(self, x): ...\n");
  std::vector<std::string> names;
  for (const auto& [name, signature] : file.nodes) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("Four", "Guessed", "One", "Three", "Two"));
  EXPECT_THAT(file.other_classes, UnorderedElementsAre("Helper", "Model"));
  EXPECT_THAT(ports(file.nodes.at("Four").inputs), ElementsAre("x: audio"));
  EXPECT_TRUE(file.nodes.at("Four").params.contains("n"));
  EXPECT_EQ(file.nodes.at("One").doc, "First.");
  EXPECT_TRUE(file.nodes.at("Guessed").any_params);
}

TEST_F(Source, follows_type_aliases) {
  EXPECT_THAT(ports(read("import hawse\nSound = hawse.Audio | None\nclass N(hawse.Node):\n  def process(self, a: Sound, b: 'Sound'): ...\n")
                        .nodes.at("N")
                        .inputs),
              ElementsAre("a: audio?", "b: audio?"));
}

TEST_F(Source, lists_the_modules_beside_it_that_it_imports) {
  write("helper.py", "import deeper\n");
  write("deeper.py", "import json, nodes\n");
  write("unused.py", "");
  write("pkg/__init__.py", "from . import part\n");
  write("pkg/part.py", "class Base:\n  pass\n");
  write("pkg/table.csv", "1,2\n");
  write("pkg/__pycache__/part.pyc", "x");
  const PythonFile file = read(
      "import hawse, numpy\nimport helper\nclass N(hawse.Node):\n  def setup(self):\n    from pkg.part import Base\n  def process(self, x): ...\n");
  std::vector<std::string> names;
  for (const fs::path& path : file.files) names.push_back(fs::relative(path, folder_.path()).string());
  EXPECT_EQ(names.at(0), "nodes.py");
  EXPECT_THAT(names, UnorderedElementsAre("nodes.py", "helper.py", "deeper.py", "pkg/__init__.py", "pkg/part.py", "pkg/table.csv"));
}

TEST_F(Source, finds_a_base_class_in_a_module_beside_it) {
  write("base.py", "import hawse\nclass Base(hawse.Node):\n  def process(self, x: hawse.Image) -> hawse.Image: ...\n");
  EXPECT_THAT(ports(read("from base import Base\nclass N(Base): ...\n").nodes.at("N").outputs), ElementsAre("out: image"));
}

TEST_F(Source, never_runs_what_it_reads) {
  const fs::path trace = folder_.path() / "ran";
  const std::string code = "open(" + json(trace.string()).dump() + ", 'w')\n";
  write("helper.py", code);
  write("sitecustomize.py", code);
  write("ast.py", code);
  EXPECT_EQ(read("import hawse, helper\n" + code + "class N(hawse.Node):\n  def process(self, x): ...\n").nodes.size(), 1u);
  EXPECT_FALSE(fs::exists(trace));
}

TEST_F(Source, a_syntax_error_has_its_own_file_line_and_column) {
  try {
    read("import hawse\nclass N(hawse.Node:\n  pass\n");
    FAIL() << "it can't be read";
  } catch (const ManifestError& error) {
    EXPECT_EQ(error.findings().at(0).file, (folder_.path() / "nodes.py").string());
    EXPECT_EQ(error.findings().at(0).at.line, 2);
    EXPECT_THAT(error.findings().at(0).message, HasSubstr("Python can't read this"));
  }
}

TEST_F(Source, what_is_no_Python_at_all_is_an_error_and_no_crash) {
  EXPECT_THROW(read(std::string("a\0b", 3)), ManifestError);
  EXPECT_THROW(read("x = " + std::string(5000, '(') + std::string(5000, ')')), ManifestError);
  EXPECT_THROW(read("\xff\xfe"), ManifestError);
  EXPECT_THROW(around_.read_python(folder_.path()), ManifestError);
}

TEST_F(Source, a_manifest_with_a_real_Python_file_loads) {
  write("nodes.py",
        "import hawse\nclass Upper(hawse.Node):\n  def setup(self, times: int = 1): ...\n  def process(self, text: hawse.Text) -> hawse.Text: ...\n");
  const fs::path manifest =
      write("p.yaml", "version: 1\nnodes: {u: {node: 'nodes.py:Upper', params: {times: 2}}}\ninputs: {in: u}\noutputs: {out: u}\n");
  const Pipeline pipeline = load(manifest, {}, around_);
  EXPECT_THAT(edges_of(pipeline), ElementsAre("application.in -> u.text", "u.out -> application.out"));
  EXPECT_THAT(pipeline.nodes[0].code_files, ElementsAre(folder_.path() / "nodes.py"));
  const fs::path wrong = write("q.yaml", "version: 1\nnodes: {u: {node: 'nodes.py:Uper', params: {times: 2}}}\n");
  EXPECT_THROW(load(wrong, {}, around_), ManifestError);
}

// ---- programs --------------------------------------------------------------------------------------------------------------------------

__attribute__((section(".hawse"), used)) const char own_signature[] = R"({"inputs": {"audio": "audio"}, "outputs": {"out": "audio"}})";

TEST_F(Source, the_signature_of_a_program_is_read_from_its_section) {
  const std::optional<Signature> signature = around_.read_program(executable_path());
  ASSERT_TRUE(signature);
  EXPECT_THAT(ports(signature->inputs), ElementsAre("audio: audio"));
}

TEST_F(Source, a_program_without_the_section_has_none) {
  EXPECT_FALSE(around_.read_program("/bin/true").has_value());
  EXPECT_FALSE(read_elf_section("/bin/true", ".hawse"));
  EXPECT_FALSE(read_elf_section(write("script", "#!/bin/sh\n"), ".hawse"));
  EXPECT_FALSE(read_elf_section(write("empty", ""), ".hawse"));
}

TEST_F(Source, a_damaged_program_is_an_error_and_no_crash) {
  std::string elf;
  {
    std::ifstream file("/bin/true", std::ios::binary);
    elf.assign(std::istreambuf_iterator<char>(file), {});
  }
  ASSERT_GT(elf.size(), 64u);
  EXPECT_THROW(read_elf_section(write("cut", elf.substr(0, elf.size() / 2)), ".hawse"), Error);
  for (std::size_t at = 0; at < 64; ++at) {  // every byte of the header, set to all ones
    std::string bad = elf;
    bad[at] = '\xff';
    try {
      EXPECT_FALSE(read_elf_section(write("bad", bad), ".hawse"));
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace hawse::pipeline
