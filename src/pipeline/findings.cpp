// SPDX-License-Identifier: Apache-2.0
//
// Findings, their order and their text.
#include "pipeline/findings.hpp"

#include <algorithm>
#include <tuple>

#include "base/text.hpp"

namespace hawse::pipeline {
namespace {

constexpr std::size_t kLongestName = 80;  // what is longer is no misspelling, and the distance costs its square

std::string all_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) text += (text.empty() ? "" : "\n") + to_string(finding);
  return text;
}

}  // namespace

std::string to_string(const Finding& finding) {
  std::string text = finding.file;
  if (finding.at.line > 0) text += ":" + std::to_string(finding.at.line) + ":" + std::to_string(finding.at.column);
  text += ": " + finding.message;
  if (!finding.hint.empty()) text += "\n    " + finding.hint;
  return strip_control(text);
}

ManifestError::ManifestError(std::vector<Finding> findings)
    : Error(ErrorCode::manifest, "check the manifest", all_of(findings)), findings_(std::move(findings)) {}

void Findings::throw_if_any() const {
  if (list_.empty()) return;
  std::vector<Finding> sorted = list_;
  const auto key = [this](const Finding& f) { return std::tuple(f.file == "command line" ? 0 : f.file == file_ ? 1 : 2, f.at.line, f.at.column); };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Finding& a, const Finding& b) { return key(a) < key(b); });
  throw ManifestError(std::move(sorted));
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += separator;
    text += word;
  }
  return text;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  if (name.size() > kLongestName) return "";
  const std::string found = nearest(name, known);
  return found.empty() ? "" : "did you mean '" + found + "'?";
}

std::string did_you_mean_or_list(std::string_view name, const std::vector<std::string>& known, std::string_view what) {
  const std::string near = did_you_mean(name, known);
  if (!near.empty()) return near;
  if (known.empty()) return "there are no " + std::string(what);
  if (known.size() == 1) return "the only one is '" + known.front() + "'";
  std::vector<std::string> first(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(known.size(), 20)));
  return std::string(what) + ": " + join(first) + (known.size() > first.size() ? ", ..." : "");
}

}  // namespace hawse::pipeline
