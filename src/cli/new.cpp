// SPDX-License-Identifier: Apache-2.0
//
// `hawse new`: a folder with a small working pipeline and a node of one's own in it, ready to edit.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/files.hpp"
#include "cli/commands.hpp"
#include "cli/sessions.hpp"

namespace hawse::cli {
namespace {

constexpr const char* kManifest = R"(# A pipeline: nodes, and edges between their ports. Run it:  hawse run pipeline.yaml
version: 1
name: {name}

nodes:
  ticks:
    node: test/source            # a stock node: sends tensors
    params: {{count: 10, rate_hz: 10, shape: [3]}}

  mine:
    node: nodes.py:Mine          # your node: class Mine in nodes.py
    params: {{greeting: hello}}
    executor: process            # thread (C++ only) | process | container
    # To give it packages of its own:         python: {{packages: ["numpy<2"]}}
    # To put it into a container:             executor: container, and container: {{python: "3.11"}}

  print:
    node: text/print             # a stock node: prints text

edges:
  - ticks -> mine -> print
)";

constexpr const char* kNodes = R"("""A node is a class; its ports are what process() takes and gives."""
import hawse


class Mine(hawse.Node):
    """Says what comes in."""

    def setup(self, greeting: str = "hi") -> None:
        # Called once. The manifest's params: are checked against this signature before anything starts.
        self.greeting = greeting

    def process(self, tensor: hawse.Tensor) -> hawse.Text:
        # Called for each frame. What is returned is sent on; None sends nothing, yield sends several.
        return hawse.Text(f"{self.greeting}, tensor {tensor.sequence} of shape {tuple(tensor.shape)}")
)";

void check_name(const std::string& name) {
  const auto starts = [](unsigned char c) { return std::islower(c) || std::isdigit(c); };
  const auto fits = [&](unsigned char c) { return starts(c) || c == '-' || c == '_'; };
  if (!name.empty() && starts(static_cast<unsigned char>(name[0])) && std::all_of(name.begin(), name.end(), fits)) return;
  throw Error(ErrorCode::usage, "new", fmt::format("'{}' cannot be a pipeline's name", name), "use small letters, digits, - and _");
}

void make(const std::filesystem::path& folder, bool as_json) {
  const auto name = folder.filename().string();
  check_name(name);
  if (std::filesystem::exists(folder)) {
    throw Error(ErrorCode::usage, "new", fmt::format("{} is there already", folder.string()), "choose another name, or remove it");
  }
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw Error(ErrorCode::usage, "new", fmt::format("cannot make {}: {}", folder.string(), failure.message()));
  write_file(folder / "pipeline.yaml", fmt::format(fmt::runtime(kManifest), fmt::arg("name", name)));
  write_file(folder / "nodes.py", kNodes);
  if (as_json) return fmt::print("{}\n", to_line({{"pipeline", (folder / "pipeline.yaml").string()}, {"nodes", (folder / "nodes.py").string()}}));
  fmt::print("made {0}/pipeline.yaml and {0}/nodes.py\nrun it:   hawse run {0}/pipeline.yaml\nthen edit {0}/nodes.py\n", folder.string());
}

}  // namespace

void add_new(CLI::App& app, Result&) {
  auto* command = app.add_subcommand("new", "Make a folder with a small working pipeline and a node, ready to edit");
  command->footer("Example:\n  hawse new hello && hawse run hello/pipeline.yaml");
  auto folder = std::make_shared<std::string>();
  command->add_option("name", *folder, "The folder to make; its last part names the pipeline")->required()->type_name("NAME");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "Say what was made as JSON");
  command->callback([folder, as_json] { make(std::filesystem::path(*folder).lexically_normal(), *as_json); });
}

}  // namespace hawse::cli
