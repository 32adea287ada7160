// SPDX-License-Identifier: Apache-2.0
//
// Every model holds; and each order, fence and sequence of the sources that a model meets is needed: changed, some model fails,
// or the list below says why none can. HAWSE_MODELS_LONG=1 searches further, and shows of the listed ones that no model fails (minutes).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <set>

#include "plane/model/models.hpp"

namespace hawse::plane {
namespace {

using How = model::Mutation::How;

const bool further = std::getenv("HAWSE_MODELS_LONG") != nullptr;

std::string line_of(const model::Site& site) {
  std::ifstream file(std::string(HAWSE_PLANE_SOURCES) + "/" +
                     (std::strrchr(site.file, '/') == nullptr ? site.file : std::strrchr(site.file, '/') + 1));
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
  model::Kind kind;
  How how;
  const char* reason;
};
constexpr Harmless kHarmless[] = {
    {"descriptor.header[i].store(header_word", model::Kind::store, How::relaxed,
     "the ring is twice the queue, so that `read` was moved by an earlier send, whose fence released it"},
    {"descriptor.header[i].store(header_word", model::Kind::store, How::swapped, "half of an entry is thrown away, whichever half it is"},
    {"descriptor.place.store(packed(place(number))", model::Kind::store, How::relaxed,
     "the ring is twice the queue, so that `read` was moved by an earlier send, whose fence released it"},
    {"const std::uint64_t read = link.memory.header->read.load(", model::Kind::load, How::relaxed,
     "keeps what we store from being seen by the reader's loads of before: the explorer has no load that sees what is stored later"},
    {"link.memory.header->read.compare_exchange_strong(seen, moved", model::Kind::compare, How::relaxed, "as above"},
    {"header->adopted.store(1", model::Kind::store, How::relaxed,
     "for the supervisor, who counts what is unread once it sees it, and is in no model"},
    {"link.memory.header->reader_state.load(", model::Kind::fence, How::relaxed, "send() with no link that is open"},
    {"sleeps.load(std::memory_order_seq_cst)", model::Kind::load, How::relaxed,
     "a fence comes before, or a sequentially consistent change: the explorer's has a fence, the language's needs a load that is one, too"},
    {"sleeps_.store(sleeps_.load(", model::Kind::store, How::swapped, "one that seems to sleep for longer is woken once more"},
    {"writer_sleeps.store(0", model::Kind::store, How::swapped, "a flag that stands for longer costs a ring"},
    {"reader_sleeps.store(0", model::Kind::store, How::swapped, "a flag that stands for longer costs a ring"},
    {"out->flush_id = flush_id = memory.header->flush_id.load(", model::Kind::load, How::relaxed,
     "the explorer's change of `read`, before void_until is loaded, has a fence, which acquires"},
    {"writer_state.store(static_cast<std::uint32_t>(end_state)", model::Kind::store, How::relaxed,
     "the fence of the last send releases; of none was anything to be seen"},
    {"word.compare_exchange_strong(open, static_cast<std::uint32_t>(state)", model::Kind::compare, How::relaxed,
     "the supervisor's: what a dead writer stored is visible to whoever the kernel tells of its death"},
};

const Harmless* harmless(const model::Mutation& mutation) {
  const std::string line = line_of(mutation.of.site);
  for (const Harmless& known : kHarmless)
    if (known.kind == mutation.of.kind && known.how == mutation.how && line.find(known.text) != std::string::npos) return &known;
  return nullptr;
}

// The model that fails with it, and how; empty: none.
std::string noticed_by(const model::Mutation& mutation) {
  for (const model::Search& search : {model::Search{.switches = 1}, {.switches = 2}, {.switches = 2, .older = true}}) {
    for (const Searched& one : models()) {
      if (search.switches > one.mutant_switches) continue;
      const model::Outcome outcome = model::explore(one.maker, search, mutation);
      if (outcome.failed) return std::string(one.maker.name) + ": " + outcome.why;
    }
  }
  return {};
}

TEST(Models, every_model_holds_in_every_interleaving) {
  for (const Searched& one : models()) {
    const unsigned switches = further ? one.long_switches : one.switches;
    const clock_t start = clock();
    const model::Outcome outcome = model::explore(one.maker, {.switches = switches});
    EXPECT_FALSE(outcome.failed) << one.maker.name << ": " << outcome.why << "\n" << outcome.history;
    std::cout << one.maker.name << ": " << outcome.executions << " executions, " << static_cast<double>(clock() - start) / CLOCKS_PER_SEC << " s, "
              << (switches == 0 ? "no bound on" : "at most " + std::to_string(switches)) << " switches from a thread that could go on" << std::endl;
  }
}

TEST(Models, every_order_and_sequence_is_needed) {
  for (const Searched& one : models()) model::explore(one.maker, {.switches = 1});
  const std::vector<model::Operation> operations = model::operations();
  int caught = 0, known = 0;
  std::set<const Harmless*> met;
  for (const model::Operation& operation : operations) {
    for (const model::Mutation& mutation : mutations_of(operation)) {
      const Harmless* const expected = harmless(mutation);
      met.insert(expected);
      const std::string by = expected != nullptr && !further ? "" : noticed_by(mutation);
      const std::string what = name_of(operation.site) + " " + (operation.kind == model::Kind::fence ? "fence after " : "") + operation.word + " " +
                               to_string(mutation.how);
      if (expected == nullptr)
        EXPECT_FALSE(by.empty()) << what << ": no model notices: " << line_of(operation.site);
      else
        EXPECT_TRUE(by.empty()) << what << ": is listed as harmless (" << expected->reason << ") and is not: " << by;
      std::cout << what << " -> " << (!by.empty() ? by : expected != nullptr ? expected->reason : "not noticed") << std::endl;
      ++(by.empty() ? known : caught);
    }
  }
  for (const Harmless& listed : kHarmless) EXPECT_TRUE(met.contains(&listed)) << "there is no such operation: " << listed.text;
  std::cout << caught << " mutations are noticed, " << known << " are listed as harmless" << std::endl;
}

}  // namespace
}  // namespace hawse::plane
