// SPDX-License-Identifier: Apache-2.0
//
// Collects everything that is wrong with a manifest, so that all of it is reported in one go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/pipeline.hpp"

namespace hawse::pipeline {

class Findings {
 public:
  explicit Findings(std::string file) : file_(std::move(file)) {}

  void add(Position at, std::string message, std::string hint = "") { list_.push_back({file_, at, std::move(message), std::move(hint)}); }
  void add_flag(std::string message, std::string hint = "") { list_.push_back({"command line", {}, std::move(message), std::move(hint)}); }
  void add(const std::vector<Finding>& others) { list_.insert(list_.end(), others.begin(), others.end()); }
  std::size_t size() const noexcept { return list_.size(); }
  const std::string& file() const noexcept { return file_; }
  void throw_if_any() const;  // ManifestError: flags first, then the manifest by line, then other files

 private:
  std::string file_;
  std::vector<Finding> list_;
};

// "did you mean 'x'?", or "" if no known name is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);
// The same, or else "there are: a, b, c" with `what` in front.
std::string did_you_mean_or_list(std::string_view name, const std::vector<std::string>& known, std::string_view what);
std::string join(const std::vector<std::string>&, std::string_view separator = ", ");

}  // namespace hawse::pipeline
