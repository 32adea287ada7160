// SPDX-License-Identifier: Apache-2.0
#include "executor/python/requirement.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

namespace hawse::executor {

namespace {

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

std::string_view name_part(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && is_name(text[end])) ++end;
  return text.substr(0, end);
}

}  // namespace

std::string project_name(std::string_view requirement) {
  std::string name;
  for (const char c : name_part(trimmed(requirement))) {
    if (c != '-' && c != '_' && c != '.') {
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!name.ends_with('-')) {
      name += '-';
    }
  }
  return name;
}

std::string normalised_requirement(std::string_view text) {
  text = trimmed(text);
  const std::string_view name = name_part(text);
  if (name.empty() || text.find('/') != std::string_view::npos) return std::string(text);  // a path or an address: as it is
  std::string out = project_name(text);
  bool quoted = false;
  for (const char c : text.substr(name.size())) {
    if (c == '\'' || c == '"') quoted = !quoted;
    if (quoted || !std::isspace(static_cast<unsigned char>(c))) out += c;
    // Between the words of a marker ("python_version < '3' and ...") the blank carries meaning.
    else if (out.find(';') != std::string::npos && !out.ends_with(' ')) out += ' ';
  }
  return out;
}

std::string local_state(std::string_view requirement) {
  std::string_view place = trimmed(requirement);
  if (const auto at = place.find("file://"); at != std::string_view::npos) {
    place = place.substr(at + 7);
  } else if (place.find('/') == std::string_view::npos || place.find("://") != std::string_view::npos) {
    return "";
  }
  std::error_code error;
  const auto time = std::filesystem::last_write_time(std::filesystem::path(place), error);
  if (error) return "";
  const auto describe = [&error](const std::filesystem::path& file, std::filesystem::file_time_type changed) {
    const auto size = std::filesystem::is_regular_file(file, error) ? std::filesystem::file_size(file, error) : 0;
    return file.string() + " " + std::to_string(size) + " " + std::to_string(changed.time_since_epoch().count());
  };
  std::vector<std::string> files{describe(place, time)};
  if (std::filesystem::is_directory(place, error))
    for (const auto& entry : std::filesystem::recursive_directory_iterator(place, error))
      if (entry.is_regular_file(error)) files.push_back(describe(entry.path(), entry.last_write_time(error)));
  std::sort(files.begin() + 1, files.end());
  std::string text;
  for (const auto& file : files) text += (text.empty() ? "" : "\n") + file;
  return text;
}

}  // namespace hawse::executor
