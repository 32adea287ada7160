// SPDX-License-Identifier: Apache-2.0
#include "executor/container/images.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "executor/container/base_image.hpp"
#include "executor/container/one_off.hpp"
#include "executor/container/ownership.hpp"
#include "executor/python/file_lock.hpp"
#include "executor/python/packages.hpp"

namespace hawse::executor {

using nlohmann::json;

namespace {

constexpr std::int64_t kPullSilence_ns = 20'000'000'000;
constexpr std::int64_t kNotGivenFor_s = 3600;  // a run doesn't ask again for an hour what no registry gave
constexpr int kImageFormat = 1;                        // of the apt images

// Read by python_of(): version, C library, processor.
constexpr const char* kProbe =
    "import os, platform, sys\n"
    "libc = os.confstr('CS_GNU_LIBC_VERSION') if 'CS_GNU_LIBC_VERSION' in os.confstr_names else ''\n"
    "print('%d.%d.%d' % sys.version_info[:3], platform.machine(), libc or 'musl')\n";

// The newest of the wheel platforms that nearly every package has, that this C library can load.
std::string platform_of(const std::string& machine, const std::string& libc, int minor) {
  if (libc != "glibc") return machine + "-unknown-linux-musl";
  return machine + (minor >= 28 ? "-manylinux_2_28" : "-manylinux_2_17");
}

class LayerSum {  // the layers of a pull, added up
 public:
  explicit LayerSum(const Report& report, std::string what) : report_(report), what_(std::move(what)) {}
  void operator()(const EngineProgress& progress) {
    if (!report_) return;
    if (progress.total == 0 || progress.text != "Downloading") {
      if (progress.layer.empty()) report_({.what = what_, .done = done(), .total = total(), .unit = "B", .line = strip_control(progress.text)});
      return;
    }
    layers_[progress.layer] = {progress.done, progress.total};
    report_({.what = what_, .done = done(), .total = total(), .unit = "B", .line = ""});
  }

 private:
  std::uint64_t done() const { return sum(&std::pair<std::uint64_t, std::uint64_t>::first); }
  std::uint64_t total() const { return sum(&std::pair<std::uint64_t, std::uint64_t>::second); }
  std::uint64_t sum(std::uint64_t std::pair<std::uint64_t, std::uint64_t>::*which) const {
    std::uint64_t all = 0;
    for (const auto& [layer, size] : layers_) all += size.*which;
    return all;
  }

  const Report& report_;
  std::string what_;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> layers_;
};

// The labels come first: they are how what a failed build leaves is found, and what a killed one leaves (ownership.hpp).
std::string dockerfile(const Image& base, const std::string& hash, const std::vector<std::string>& packages) {
  return fmt::format("FROM {}\nLABEL hawse.build={} {}=\"{}\"\nUSER root\nRUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {} && rm -rf /var/lib/apt/lists/*\n", base.id,
                     hash, kBuilderLabel, owner_labels("").at("hawse.owner"), fmt::join(packages, " "));
}

std::pair<std::string, std::string> apt_reference(const Image& base, std::vector<std::string>& packages) {
  std::sort(packages.begin(), packages.end());
  packages.erase(std::unique(packages.begin(), packages.end()), packages.end());
  const std::string hash = sha256_hex(fmt::format("{}\n{}\n{}", kImageFormat, base.id, fmt::join(packages, "\n"))).substr(0, 16);
  return {hash, "hawse/env:" + hash};
}

// A build that was interrupted ends in the engine a moment after it has here: what it makes until then goes, too.
void remove_left_by_build(const Engine& engine, const std::string& hash) noexcept {
  const Labels labels{{"hawse.build", hash}};
  for (int round = 0, empty = 0; round < 40 && empty < 3; ++round) {
    if (round != 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    try {
      const auto containers = engine.containers(labels);
      const auto images = engine.images(labels);
      empty = containers.empty() && images.empty() ? empty + 1 : 0;
      for (const auto& left : containers) engine.remove(left.id);
      for (const auto& left : images) engine.remove_image(left.id);
    } catch (const std::exception&) {  // still in use; or the engine is gone, and the build's own error is the one to tell
    }
  }
}

void check_package_names(const std::vector<std::string>& packages) {
  for (const auto& name : packages)
    if (name.empty() || name.front() == '-' || name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.:=~") != std::string::npos)
      throw Error(ErrorCode::environment, "install system packages", "apt: has '" + strip_control(name) + "', which is no package's name", "name[=version], one a list item");
}

}  // namespace

Image Images::ready(const pipeline::ContainerOptions& options, const Report& report) {
  const Image base = options.image.empty() ? python_base(options.python.empty() ? kDefaultPython : options.python, report) : named(options.image, report);
  return options.apt.empty() ? base : with_apt(base, options.apt, report);
}

Image Images::python_base(const std::string& version, const Report& report) {
  const std::string official = fmt::format("python:{}-slim", version), ours = base_reference(version);
  const auto local = [&]() -> std::optional<Image> {
    for (const auto& reference : {official, ours})
      if (const auto image = engine_.image(reference)) return Image{image->id, reference};
    return std::nullopt;
  };
  auto image = local();
  if (!image) {
    const FileLock lock(state_ / "store" / "locks" / ("base-" + version), engine_.interrupt());
    image = local();  // another process made it while we waited
    if (!image && pull(official, report)) image = local();
    if (!image) {
      if (report) report({.what = "base image " + ours, .unit = "", .line = "no image registry has given " + official});
      return make_base(version, report);
    }
  }
  index_.touch("base", image->reference);
  return *image;
}

Image Images::make_base(const std::string& version, const Report& report) {
  const std::string reference = base_reference(version);
  const std::string id = make_base_image(engine_, state_, version, report);
  const auto image = engine_.image(reference);
  if (!image) throw Error(ErrorCode::engine, "base image " + reference, "the engine imported it, and doesn't have it");
  const auto what = image->labels.find("hawse.what");
  index_.put({"base", reference, what == image->labels.end() ? "" : what->second, id, image->bytes});
  return {image->id, reference};
}

Image Images::named(const std::string& reference, const Report& report) {
  if (const auto image = engine_.image(reference)) return {image->id, reference};
  if (reference.starts_with("sha256:"))
    throw Error(ErrorCode::environment, "image " + reference, "the engine doesn't have it, and no registry gives images by that name",
                "docker load it from where it was made, or make it anew: hawse lock, hawse pack");
  engine_.pull(reference, LayerSum(report, "image " + reference), kPullSilence_ns);
  const auto image = engine_.image(reference);
  if (!image) throw Error(ErrorCode::engine, "image " + reference, "the engine pulled it, and doesn't have it");
  return {image->id, reference};
}

bool Images::pull(const std::string& reference, const Report& report) {
  const std::string note = "not given:" + reference;
  if (!on_request_ && index_.note(note, kNotGivenFor_s)) return false;
  try {
    engine_.pull(reference, LayerSum(report, "image " + reference), kPullSilence_ns);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::interrupted) throw;
    index_.set_note(note, error.context());
    if (report) report({.what = "image " + reference, .unit = "", .line = error.context()});
    return false;
  }
}

Image Images::with_apt(const Image& base, std::vector<std::string> packages, const Report& report) {
  refuse_musl(base);
  check_package_names(packages);
  const auto [hash, reference] = apt_reference(base, packages);
  const std::string what = fmt::format("image {} ({} + {})", reference, base.reference, fmt::join(packages, " "));
  const auto known = [&]() -> std::optional<Image> {
    const auto image = engine_.image(reference);
    if (!image) return std::nullopt;
    index_.touch("image", reference);
    return Image{image->id, reference};
  };
  if (auto image = known()) return *image;
  const FileLock lock(state_ / "store" / "locks" / ("image-" + hash), engine_.interrupt());
  if (auto image = known()) return *image;
  const std::string described = fmt::format("{} + {}", base.reference, fmt::join(packages, " "));
  try {
    engine_.build(tar_of({{"Dockerfile", dockerfile(base, hash, packages)}}), reference, {{"hawse", "1"}, {"hawse.what", described}, {"hawse.base", base.id}, {kBuilderLabel, ""}}, [&](const EngineProgress& progress) {
      if (report) report({.what = what, .unit = "", .line = strip_control(progress.text)});
    });
  } catch (const Error& error) {
    remove_left_by_build(engine_, hash);
    if (error.code() == ErrorCode::interrupted) throw;
    throw Error(ErrorCode::environment, what, error.context(), "check the names under apt: against the image's Debian or Ubuntu, and that its package archive can be reached");
  }
  const auto image = engine_.image(reference);
  if (!image) throw Error(ErrorCode::engine, what, "the engine built it, and doesn't have it");
  index_.put({"image", reference, described, image->id, image->bytes});
  return {image->id, reference};
}

ImagePython Images::python_of(const Image& image) {
  const std::string note = "python:" + image.id;
  std::string answer = index_.note(note).value_or("");
  if (answer.empty()) {
    refuse_musl(image);
    const std::string operation = "find the Python in image " + image.reference;
    OneOff probe;
    try {
      probe = run_one_off(engine_, image.id, {"python3", "-I", "-c", kProbe}, "65534:65534", json::array());
    } catch (const Error& error) {
      throw Error(ErrorCode::environment, operation, error.context(), "a Python node needs an image that has python3 on its PATH");
    }
    if (probe.exit_code != 0) throw Error(ErrorCode::environment, operation, "python3 ended with " + std::to_string(probe.exit_code) + ": " + strip_control(probe.output));
    answer = probe.output;
    index_.set_note(note, answer);
  }
  char version[32] = "", machine[32] = "", libc[32] = "";
  int major = 0, libc_major = 0, libc_minor = 0, minor = 0;
  if (std::sscanf(answer.c_str(), "%31s %31s %31s %d.%d", version, machine, libc, &libc_major, &libc_minor) < 3 || std::sscanf(version, "%d.%d", &major, &minor) != 2)
    throw Error(ErrorCode::environment, "find the Python in image " + image.reference, "its python3 answers: " + strip_control(answer));
  return {version, fmt::format("{}.{}", major, minor), platform_of(machine, libc, libc_minor)};
}

// The node-side library, Debian's packages, most wheels and programs that were linked here need glibc. Told by the files, before anything of the image runs.
void Images::refuse_musl(const Image& image, const std::string& hint) {
  const std::string note = "musl:" + image.id;
  std::string answer = index_.note(note).value_or("");
  if (answer.empty()) {
    answer = "no";
    for (const char* machine : {"x86_64", "aarch64"})
      if (image_has_file(engine_, image.id, fmt::format("/lib/ld-musl-{}.so.1", machine))) answer = "yes";
    index_.set_note(note, answer);
  }
  if (answer == "yes")
    throw Error(ErrorCode::environment, "image " + image.reference, "it is built on musl (Alpine), and nodes need an image with glibc, 2.17 or newer",
                !hint.empty() ? hint : "take its Debian form (python:3.11-slim in place of python:3.11-alpine), or leave image: out and give python:");
}

void Images::compile(const Image& image, const std::filesystem::path& packages) {
  const json mounts = json::array({{{"Type", "bind"}, {"Source", packages.string()}, {"Target", "/hawse/packages"}, {"ReadOnly", false}}});
  // A file that doesn't compile (templates, tests for other versions) makes compileall end with 1: no error of ours.
  run_one_off(engine_, image.id, {"python3", "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/hawse/packages"}, fmt::format("{}:{}", ::geteuid(), ::getegid()), mounts);
}

bool Images::has_compiler(const Image& image) {
  return run_one_off(engine_, image.id, {"sh", "-c", "command -v cc || command -v gcc"}, "65534:65534", json::array()).exit_code == 0;
}

Image Images::with_compiler(const Image& image, const Report& report) {
  std::vector<std::string> packages{"g++", "make"};
  const OneOff where = run_one_off(engine_, image.id, {"sh", "-c", "command -v python3"}, "65534:65534", json::array());
  if (where.output.starts_with("/usr/bin/") || where.output.starts_with("/bin/")) packages.push_back("python3-dev");
  return with_apt(image, packages, report);
}

std::vector<std::string> Images::added_packages(const Image& base, const Image& image) {
  const auto packages_of = [&](const Image& one) {
    const ScopedDir work = work_folder(state_);
    const json mounts = json::array({{{"Type", "bind"}, {"Source", work.path().string()}, {"Target", "/hawse/out"}, {"ReadOnly", false}}});
    const OneOff asked = run_one_off(engine_, one.id, {"sh", "-c", "dpkg-query -W -f '${Package}=${Version}\\n' > /hawse/out/list"}, fmt::format("{}:{}", ::geteuid(), ::getegid()), mounts);
    if (asked.exit_code != 0) throw Error(ErrorCode::environment, "list the packages of image " + one.reference, strip_control(asked.output));
    std::istringstream lines(read_file(work.path() / "list"));
    std::set<std::string> all;
    for (std::string line; std::getline(lines, line);) all.insert(line);
    return all;
  };
  const auto before = packages_of(base), after = packages_of(image);
  std::vector<std::string> added;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(added));
  return added;
}

void Images::note_as_made_of(const Image& base, const std::vector<std::string>& added, const Image& image) {
  auto packages = added;
  const std::string reference = apt_reference(base, packages).second;
  engine_.tag(image.id, reference);
  index_.put({"image", reference, fmt::format("{} + {}", base.reference, fmt::join(packages, " ")), image.id, 0});
}

}  // namespace hawse::executor
