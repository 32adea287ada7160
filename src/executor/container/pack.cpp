// SPDX-License-Identifier: Apache-2.0
#include "executor/container/pack.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "executor/container/container_spec.hpp"
#include "executor/container/engine.hpp"
#include "executor/container/one_off.hpp"
#include "executor/python/packages.hpp"

namespace hawse::executor {

namespace fs = std::filesystem;
using pipeline::ExecutorKind;
using pipeline::Node;
using pipeline::NodeKind;

namespace {

// Links into the places where things lie; the tar holds what they lead to.
void lay_out(const fs::path& context, const Node& node, const Prepared& prepared, const std::string& site) {
  for (const char* name : {"code", "site"}) fs::create_directory(context / name);
  for (const auto& file : node.code_files) {
    const fs::path place = context / "code" / fs::path(inside(node, file)).lexically_relative("/hawse/code");
    fs::create_directories(place.parent_path());
    fs::create_symlink(file, place);
  }
  if (prepared.packages.empty()) fs::create_directory(context / "packages");
  else fs::create_directory_symlink(prepared.packages, context / "packages");
  fs::create_directory_symlink(resources_dir() / "python", context / "sdk");
  write_file(context / "site" / "hawse.pth", "import sys; sys.path[:0] = ['/opt/hawse/code', '/opt/hawse/packages']\n");
  write_file(context / "Dockerfile", fmt::format("FROM {}\nCOPY sdk {}\nCOPY packages /opt/hawse/packages\nCOPY code /opt/hawse/code\nCOPY site {}\n", prepared.image, kSdkInside, site));
}

// Equal files make an equal tar, so that the engine finds what it has built already.
void make_tar(const fs::path& context, const fs::path& tar) {
  SpawnOptions options;
  options.argv = {"tar",  "--create", "--dereference", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rwX,go+rX", "--exclude=__pycache__/*.tmp",
                  "--file", tar.string(), "--directory", context.string(), "."};
  options.env = current_environment();
  const RunResult made = run_to_end(options);
  if (made.status.signalled || made.status.value != 0) throw Error(ErrorCode::environment, "pack an image", "tar: " + strip_control(made.err));
}

}  // namespace

// By which other machines can pull it: a registry's own digest, once it was pushed under this tag.
std::string name_of(const EngineImage& image, const std::string& tag) {
  const auto colon = tag.rfind(':');
  const bool tagged = colon != std::string::npos && tag.find('/', colon) == std::string::npos;  // else a port's
  const std::string repository = tag.substr(0, tagged ? colon : std::string::npos) + "@";
  for (const auto& digest : image.digests)
    if (digest.starts_with(repository)) return digest;
  return image.id;
}

bool can_be_packed(const Node& node) { return node.executor == ExecutorKind::container && node.kind == NodeKind::python; }

PackedNode pack_node(const Node& node, const std::string& tag, const Report& report, const Making& making) {
  const Prepared prepared = make_container_executor(making)->prepare(node, report);
  const std::string what = "image " + tag;
  const Engine engine(Engine::find_socket(), making.interrupt);
  const OneOff site = run_one_off(engine, prepared.image, {"python3", "-I", "-c", "import site; print(site.getsitepackages()[0])"}, "65534:65534", nlohmann::json::array());
  const std::string folder = site.output.substr(0, site.output.find('\n'));
  if (site.exit_code != 0 || !folder.starts_with('/')) throw Error(ErrorCode::environment, what, "its python3 has no folder for packages: " + strip_control(site.output));
  const ScopedDir work = work_folder(state_dir());
  fs::create_directory(work.path() / "context");
  lay_out(work.path() / "context", node, prepared, folder);
  if (report) report({.what = what, .unit = "", .line = "packing"});
  make_tar(work.path() / "context", work.path() / "context.tar");
  const Labels labels{{"hawse", "1"}, {"hawse.packed", "1"}, {"hawse.what", fmt::format("{} of {}: {}", node.id, fs::path(node.file).filename().string(), prepared.summary)}, {"hawse.base", prepared.image}};
  engine.build("", tag, labels, [&](const EngineProgress& progress) {
    if (report) report({.what = what, .unit = "", .line = strip_control(progress.text)});
  }, work.path() / "context.tar");
  const auto image = engine.image(tag);
  if (!image) throw Error(ErrorCode::engine, what, "the engine built it, and doesn't have it");
  const std::string module = node.source_file.empty() ? node.module : node.source_file.stem().string();
  return {name_of(*image, tag), module + ":" + node.class_name, image->bytes};
}

}  // namespace hawse::executor
