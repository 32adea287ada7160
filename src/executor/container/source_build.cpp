// SPDX-License-Identifier: Apache-2.0
#include "executor/container/source_build.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "executor/container/one_off.hpp"
#include "executor/python/file_lock.hpp"
#include "executor/python/uv.hpp"

namespace hawse::executor {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr int kWheelFormat = 1;  // of the wheels: raise it and every wheel is built anew
constexpr const char* kTools[] = {"build", "tomli"};
constexpr const char* kBuilt = "wheel";

// On the host: one address into one file. An index's name and password come from uv's settings, where they stand for that host, else from ~/.netrc.
constexpr const char* kFetch = R"PY(
import base64, netrc, os, re, shutil, sys, urllib.parse, urllib.request
address, out = sys.argv[1:]
host = urllib.parse.urlsplit(address).hostname
pair = None
for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
    for found in re.findall(r"https?://[^\s,]+", os.environ.get(name, "")):
        parts = urllib.parse.urlsplit(found)
        if parts.hostname == host and parts.username is not None:
            pair = (urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))
try:
    known = netrc.netrc().authenticators(host) if host and pair is None else None
    pair = (known[0], known[2]) if known else pair
except OSError:
    pass
request = urllib.request.Request(address)
if pair is not None:
    request.add_header("Authorization", "Basic " + base64.b64encode(":".join(pair).encode()).decode())
with urllib.request.urlopen(request, timeout=60) as source, open(out, "wb") as file:
    shutil.copyfileobj(source, file)
)PY";

// In the container: "requires" unpacks the source and prints what its pyproject.toml asks for, "more" what its backend asks for, "wheel" builds.
constexpr const char* kBuild = R"PY(
import json, os, sys, tarfile, zipfile
from build import ProjectBuilder
mode, = sys.argv[1:]
folder = "/hawse/build/source"
if mode == "requires":
    archive = os.path.join("/hawse/source", os.listdir("/hawse/source")[0])
    if archive.endswith(".zip"):
        zipfile.ZipFile(archive).extractall(folder)
    else:
        tarfile.open(archive).extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
root, = (os.path.join(folder, each) for each in os.listdir(folder))
builder = ProjectBuilder(root)
if mode == "requires":
    print(json.dumps(sorted(builder.build_system_requires)))
elif mode == "more":
    print(json.dumps(sorted(builder.get_requires_for_build("wheel"))))
else:
    builder.build("wheel", "/hawse/build/out")
)PY";

std::string last_line(const std::string& text) {
  std::istringstream lines(text);
  std::string last;
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) last = line;
  return last;
}

std::vector<std::string> list_in(const std::string& operation, const std::string& output) {
  const json list = json::parse(last_line(output), nullptr, false);
  if (!list.is_array()) throw Error(ErrorCode::environment, operation, "what it requires can't be read: " + strip_control(output));
  return list.get<std::vector<std::string>>();
}

std::string indented(const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out += "\n  " + strip_control(line);
  return out;
}

}  // namespace

struct SourceBuilder::Work {
  ScopedDir folder;
  std::string operation;  // "build cthing 1.0 from source"
  fs::path tools;
  std::shared_ptr<const Use> tools_use = {};
  fs::path requires_folder = {};
  std::shared_ptr<const Use> requires_use = {};

  OneOff run(const Engine& engine, const Image& image, const char* mode) const {
    const auto mount = [](const fs::path& source, const char* target, bool write) { return json{{"Type", "bind"}, {"Source", source.string()}, {"Target", target}, {"ReadOnly", !write}}; };
    json mounts = json::array({mount(folder.path() / "source", "/hawse/source", false), mount(folder.path() / "build", "/hawse/build", true), mount(tools, "/hawse/tools", false)});
    std::string path = "PYTHONPATH=/hawse/tools";
    if (!requires_folder.empty()) {
      mounts.push_back(mount(requires_folder, "/hawse/requires", false));
      path = "PYTHONPATH=/hawse/requires:/hawse/tools";
    }
    // The time and the hash seed are fixed, so that one source gives one wheel.
    return run_one_off(engine, image.id,
                       {"env", path, "HOME=/hawse/build", "TMPDIR=/hawse/build/tmp", "SOURCE_DATE_EPOCH=946684800", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "python3", "-c", kBuild, mode},
                       fmt::format("{}:{}", ::geteuid(), ::getegid()), mounts);
  }
};

void SourceBuilder::unpack(Work& work, const PackageTarget& target, const Resolved& package, const Report& report) {
  for (const char* name : {"source", "build", "build/tmp", "build/out"}) fs::create_directory(work.folder.path() / name);
  const std::string url = package.source_url, name = url.substr(url.rfind('/') + 1);
  const fs::path file = work.folder.path() / "source" / (name.empty() ? "source.tar.gz" : name);
  if (report) report({.what = work.operation, .unit = "", .line = "fetching " + name});
  SpawnOptions fetch;
  fetch.argv = {target.interpreter.path.string(), "-I", "-c", kFetch, url, file.string()};
  fetch.env = uv_environment();
  const RunResult fetched = run_to_end(fetch, nullptr, engine_.interrupt());
  if (fetched.status.signalled || fetched.status.value != 0)
    throw Error(ErrorCode::environment, work.operation, url + " can't be fetched: " + strip_control(last_line(without_credentials(fetched.err))), "check that the package index can be reached");
  if (const std::string is = sha256_hex(read_file(file, 4ull << 30)); is != package.source_sha256)
    throw Error(ErrorCode::environment, work.operation, fmt::format("{} has the hash {} and should have {}", url, is, package.source_sha256), "the index gives another file than it promised: don't use it");
  PackageTarget plain = target;
  plain.build = nullptr;
  const Packages tools = store_.install(plain, {std::begin(kTools), std::end(kTools)}, report);
  work.tools = tools.folder;
  work.tools_use = tools.use;
}

std::vector<std::string> SourceBuilder::requirements(const Image& image, const PackageTarget& target, const Resolved& package, const Report& report) {
  Work work{work_folder(state_), fmt::format("build {} {} from source", package.name, package.version), {}};
  unpack(work, target, package, report);
  const OneOff asked = work.run(engine_, image, "requires");
  if (asked.exit_code != 0) throw Error(ErrorCode::environment, work.operation, "its source can't be read:" + indented(asked.output));
  return list_in(work.operation, asked.output);
}

void SourceBuilder::build_in(const Image& image, Work& work, const PackageTarget& target, std::vector<std::string> building, const Report& report) {
  const bool fixed = !building.empty();
  const auto step = [&](const char* mode) {
    const OneOff done = work.run(engine_, image, mode);
    if (done.exit_code != 0) throw Error(ErrorCode::environment, work.operation, "it failed in image " + image.reference + ", and ended with" + indented(done.output), "give a version that has a wheel, or what it lacks under apt:");
    return done;
  };
  PackageTarget plain = target;
  plain.build = nullptr;
  const auto install = [&] {
    if (building.empty()) return;
    const Packages packages = store_.install(plain, building, report);
    work.requires_folder = packages.folder;
    work.requires_use = packages.use;
  };
  for (const char* name : {"source", "out", "tmp"}) {
    fs::remove_all(work.folder.path() / "build" / name);
    fs::create_directory(work.folder.path() / "build" / name);
  }
  const auto asked = list_in(work.operation, step("requires").output);
  if (!fixed) building = asked;
  install();
  if (const auto more = list_in(work.operation, step("more").output); !fixed && !more.empty()) {
    building.insert(building.end(), more.begin(), more.end());
    install();
  }
  if (report) report({.what = work.operation, .unit = "", .line = "building in " + image.reference});
  step("wheel");
}

fs::path SourceBuilder::make(const std::string& key, const Image& image, const PackageTarget& target, const Resolved& package, const std::vector<std::string>& building, const Report& report) {
  Work work{work_folder(state_), fmt::format("build {} {} from source", package.name, package.version), {}};
  unpack(work, target, package, report);
  try {
    build_in(image, work, target, building, report);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::interrupted || images_.has_compiler(image)) throw;
    if (report) report({.what = work.operation, .unit = "", .line = image.reference + " has no compiler: trying with Debian's"});
    build_in(images_.with_compiler(image, report), work, target, building, report);
  }
  for (const auto& entry : fs::directory_iterator(work.folder.path() / "build" / "out")) {
    if (entry.path().extension() != ".whl") continue;
    const fs::path place = state_ / "store" / "wheels" / key;
    fs::create_directories(place.parent_path());
    fs::remove_all(place);
    fs::rename(entry.path().parent_path(), place);
    fs::permissions(place, fs::perms(0755));
    index_.put({kBuilt, key, fmt::format("{} {}, built for python {}", package.name, package.version, target.python), place.string(), bytes_below(place)});
    return place / entry.path().filename();
  }
  throw Error(ErrorCode::environment, work.operation, "its backend says that it is done, and there is no wheel");
}

fs::path SourceBuilder::wheel(const Image& image, const PackageTarget& target, const Resolved& package, const std::vector<std::string>& building, const Report& report) {
  const std::string key = sha256_hex(fmt::format("{}\n{}\n{}\n{}", kWheelFormat, image.id, package.source_sha256, fmt::join(building, "\n"))).substr(0, 32);
  const FileLock lock(state_ / "store" / "locks" / ("wheel-" + key), engine_.interrupt());
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(state_ / "store" / "wheels" / key, error)) {
    index_.touch(kBuilt, key, target.pipeline);
    return entry.path();
  }
  const fs::path made = make(key, image, target, package, building, report);
  index_.touch(kBuilt, key, target.pipeline);
  return made;
}

}  // namespace hawse::executor
