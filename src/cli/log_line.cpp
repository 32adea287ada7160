// SPDX-License-Identifier: Apache-2.0
#include "cli/log_line.hpp"

#include <fmt/chrono.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>

namespace hawse::cli {
namespace {

using nlohmann::json;

constexpr std::array kLevels = {"debug", "info", "warning", "error"};
constexpr int kDeepest = 64;  // a node's line must not exhaust the stack

// "": none that is known
std::string known_level(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name == "warn") return "warning";
  if (name == "critical" || name == "fatal") return "error";
  if (name == "trace") return "debug";
  return std::ranges::find(kLevels, name) == kLevels.end() ? "" : name;
}

}  // namespace

json structured(const std::string& text) {
  if (!text.starts_with('{') || !text.ends_with('}')) return nullptr;
  bool deep = false;
  json parsed = json::parse(
      text, [&](int depth, json::parse_event_t, json&) { return !(deep = deep || depth > kDeepest); }, false);
  return parsed.is_object() && !deep ? parsed : json();
}

std::string level_of(const json& line, const json& data) {
  if (const auto own = line.find("level"); own != line.end()) return own->get<std::string>();
  if (data.is_object())
    for (const char* key : {"level", "levelname", "severity"})
      if (const auto found = data.find(key); found != data.end() && found->is_string())
        if (const std::string level = known_level(found->get<std::string>()); !level.empty()) return level;
  return "info";
}

int level_number(const std::string& level) {
  const auto found = std::ranges::find(kLevels, level);
  return found == kLevels.end() ? 0 : static_cast<int>(found - kLevels.begin());
}

std::string time_text(std::int64_t time_ns) {
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::localtime(static_cast<std::time_t>(time_ns / 1'000'000'000)), time_ns / 1'000'000 % 1000);
}

}  // namespace hawse::cli
