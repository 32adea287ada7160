// SPDX-License-Identifier: Apache-2.0
#include "pipeline/source_cache.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "base/files.hpp"

namespace hawse::pipeline {
namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

constexpr std::int64_t kSettled_ns = 100'000'000;  // a file system's clock ticks every 1 to 10 ms

std::int64_t in_ns(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

ordered_json stamp_of(const std::string& path, std::int64_t* changed_ns = nullptr) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return nullptr;
  if (changed_ns != nullptr) *changed_ns = std::max(*changed_ns, std::max(in_ns(status.st_mtim), in_ns(status.st_ctim)));
  return {status.st_dev, status.st_ino, status.st_mode, status.st_size, in_ns(status.st_mtim), in_ns(status.st_ctim)};
}

// One of 256, by the source's name: two that meet there take turns.
fs::path place_of(const std::string& source) { return state_dir() / "sources" / (sha256_hex(source).substr(0, 2) + ".json"); }

}  // namespace

SourceCache::SourceCache(const fs::path& source, const std::vector<fs::path>& reader)
    : reader_(reader),
      source_(fs::absolute(source).string()),
      begun_ns_(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count()) {}

std::optional<ordered_json> SourceCache::find() const noexcept {
  try {
    const fs::path place = place_of(source_);
    if (!fs::exists(place)) return std::nullopt;
    ordered_json kept = ordered_json::parse(read_file(place));
    if (kept.at("source") != source_) return std::nullopt;
    for (const auto& [path, stamp] : kept.at("looked_at").items())
      if (stamp_of(path) != stamp) return std::nullopt;
    return std::move(kept.at("answer"));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void SourceCache::keep(const ordered_json& answer, std::vector<fs::path> looked_at) const noexcept {
  try {
    looked_at.insert(looked_at.end(), reader_.begin(), reader_.end());
    std::int64_t changed_ns = 0;
    ordered_json stamps = ordered_json::object();
    for (const auto& path : looked_at) stamps[path.string()] = stamp_of(path.string(), &changed_ns);
    if (changed_ns > begun_ns_ - kSettled_ns) return;
    const fs::path place = place_of(source_);
    fs::create_directories(place.parent_path());
    write_file(place, ordered_json{{"source", source_}, {"looked_at", stamps}, {"answer", answer}}.dump(), 0600);
  } catch (const std::exception&) {
  }
}

}  // namespace hawse::pipeline
