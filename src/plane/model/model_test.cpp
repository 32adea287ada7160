// SPDX-License-Identifier: Apache-2.0
//
// Every model holds; and each order, fence and sequence of the sources that a model meets is needed: changed, some model fails.
// HAWSE_MODELS_LONG=1 searches further (minutes).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

#include "plane/model/models.hpp"

namespace hawse::plane {
namespace {

using How = model::Mutation::How;

std::string line_of(const model::Site& site) {
  std::ifstream file(std::string(HAWSE_PLANE_SOURCES) + "/" + (std::strrchr(site.file, '/') == nullptr ? site.file : std::strrchr(site.file, '/') + 1));
  std::string line;
  for (int i = 0; i < site.line; ++i) std::getline(file, line);
  return line.substr(std::min(line.find_first_not_of(' '), line.size()));
}

std::string name_of(const model::Site& site) {
  const char* slash = std::strrchr(site.file, '/');
  return std::string(slash == nullptr ? site.file : slash + 1) + ":" + std::to_string(site.line);
}

const char* to_string(How how) {
  switch (how) {
    case How::none: return "as it is";
    case How::relaxed: return "relaxed";
    case How::no_fence: return "not a fence";
    case How::swapped: return "after the next";
  }
  return "?";
}

std::vector<model::Mutation> mutations_of(const model::Operation& operation) {
  const bool store = operation.kind == model::Kind::store, fence = operation.kind == model::Kind::fence;
  std::vector<model::Mutation> out;
  if (operation.order != std::memory_order_relaxed) out.push_back({How::relaxed, operation});
  if (operation.order == std::memory_order_seq_cst && !fence && operation.kind != model::Kind::load) out.push_back({How::no_fence, operation});
  if (store) out.push_back({How::swapped, operation});
  return out;
}

// What no model can tell from the sources as they are, and why that is right.
struct Harmless {
  const char* text;  // of the line
  How how;
  const char* reason;
};
constexpr Harmless kHarmless[] = {
    {"", How::none, ""},
};

const Harmless* harmless(const model::Mutation& mutation) {
  const std::string line = line_of(mutation.of.site);
  for (const Harmless& known : kHarmless)
    if (known.how == mutation.how && line.find(known.text) != std::string::npos) return &known;
  return nullptr;
}

TEST(Models, every_model_holds_in_every_interleaving) {
  const bool further = std::getenv("HAWSE_MODELS_LONG") != nullptr;
  for (const Searched& one : models()) {
    const unsigned switches = further ? one.long_switches : one.switches;
    const clock_t start = clock();
    const model::Outcome outcome = model::explore(one.maker, switches);
    EXPECT_FALSE(outcome.failed) << one.maker.name << ": " << outcome.why << "\n" << outcome.history;
    std::cout << one.maker.name << ": " << outcome.executions << " executions, " << static_cast<double>(clock() - start) / CLOCKS_PER_SEC << " s, "
              << (switches == 0 ? "no bound on" : "at most " + std::to_string(switches)) << " switches from a thread that could go on" << std::endl;
  }
}

TEST(Models, every_order_and_sequence_is_needed) {
  for (const Searched& one : models()) model::explore(one.maker, 1);
  const std::vector<model::Operation> operations = model::operations();
  int caught = 0, known = 0;
  for (const model::Operation& operation : operations) {
    for (const model::Mutation& mutation : mutations_of(operation)) {
      const Harmless* const expected = harmless(mutation);
      std::string by;
      for (unsigned switches = 1; switches <= 2 && by.empty(); ++switches) {
        for (const Searched& one : models()) {
          if (switches > one.mutant_switches) continue;
          const model::Outcome outcome = model::explore(one.maker, switches, mutation);
          if (!outcome.failed) continue;
          by = std::string(one.maker.name) + ": " + outcome.why;
          break;
        }
      }
      const std::string what = name_of(operation.site) + " " + (operation.kind == model::Kind::fence ? "fence after " : "") + operation.word + " " + to_string(mutation.how);
      if (expected == nullptr) EXPECT_FALSE(by.empty()) << what << ": no model notices: " << line_of(operation.site);
      else EXPECT_TRUE(by.empty()) << what << ": is listed as harmless (" << expected->reason << ") and is not: " << by;
      std::cout << what << " -> " << (by.empty() ? "not noticed" : by) << std::endl;
      ++(by.empty() ? known : caught);
    }
  }
  std::cout << caught << " mutations are caught, " << known << " are not" << std::endl;
}

}  // namespace
}  // namespace hawse::plane
