// SPDX-License-Identifier: Apache-2.0
//
// For tests: what load() says about a manifest, in short.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/testing_project.hpp"

namespace hawse::pipeline {

struct TestProject : Project {
  std::vector<Finding> findings(const std::string& manifest, const LoadOptions& options = {}) const {
    try {
      load(manifest, options);
    } catch (const ManifestError& error) {
      return error.findings();
    }
    return {};
  }

  // "12:5: message | hint" for each finding; without the place for flags
  std::vector<std::string> complaints(const std::string& manifest, const LoadOptions& options = {}) const {
    std::vector<std::string> lines;
    for (const Finding& finding : findings(manifest, options))
      lines.push_back((finding.at.line > 0 ? std::to_string(finding.at.line) + ":" + std::to_string(finding.at.column) + ": " : "") +
                      finding.message + (finding.hint.empty() ? "" : " | " + finding.hint));
    return lines;
  }
};

inline std::vector<std::string> edges_of(const Pipeline& pipeline) {
  std::vector<std::string> list;
  for (const Edge& edge : pipeline.edges) list.push_back(edge.from.node + "." + edge.from.port + " -> " + edge.to.node + "." + edge.to.port);
  return list;
}

}  // namespace hawse::pipeline
