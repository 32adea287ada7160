// SPDX-License-Identifier: Apache-2.0
//
// A frame on which a node dies again and again is set aside, so that the stream goes on. The node's page says which frame its own code had when it died
// (plane/layout.hpp). The page is the node's: what stands there is checked, and the worst that it can do is to have one of its own frames set aside.
#include <algorithm>

#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::size_t kMaxSuspects = 64;

plane::NodePage& page_of(const plane::Mapping& mapping) { return *reinterpret_cast<plane::NodePage*>(mapping.data()); }

}  // namespace

// Says in `failure` on which frame the node died. Once it has died on it `poison_after` times (or would have no attempt left for one more), no replacement is
// given it again; that is what comes back, for an event. The attempts begin anew then, unless the node has handled nothing since the last time: where every
// frame kills it, it is the node that is broken.
std::optional<json> Session::blame_frame(NodeRun& node, json& failure) {
  plane::NodePage& page = page_of(node.page);
  Suspects& suspects = node.suspects;
  const std::uint64_t link_1 = page.working_link_1.exchange(0, std::memory_order_acquire);  // [page.working]
  const std::uint64_t sequence = page.working_sequence.load(std::memory_order_relaxed);
  const std::int64_t timestamp_ns = page.working_timestamp_ns.load(std::memory_order_relaxed);
  if (page.frames_in.load(std::memory_order_relaxed) > suspects.frames_before + 1) suspects.handled_since = true;
  if (link_1 == 0 || link_1 > node.links.size() || sequence == 0) return std::nullopt;

  const std::size_t number = node.links[link_1 - 1];
  EdgeRun& edge = *edges_[number];
  if (suspects.deaths.size() >= kMaxSuspects) suspects.deaths.erase(suspects.deaths.begin());
  const unsigned deaths = ++suspects.deaths[{number, sequence}];
  const json frame = {{"edge", edge.spec->from.node + "." + edge.spec->from.port + " -> " + edge.spec->to.node + "." + edge.spec->to.port},
                      {"port", edge.spec->to.port},
                      {"sequence", sequence},
                      {"timestamp_ns", timestamp_ns},
                      {"deaths", deaths}};
  failure["frame"] = frame;

  const pipeline::Restart& policy = node.spec->restart;
  if (policy.on != pipeline::RestartOn::failure || policy.attempts < 2 || policy.poison_after == 0) return std::nullopt;
  const unsigned enough = std::min(policy.poison_after, policy.attempts);
  if (deaths < enough || stopping_ || node.finished) return std::nullopt;
  edge.set_aside = sequence;
  if (deaths > enough) return std::nullopt;  // it was told before; its replacement died before it came to that
  if (!suspects.any_set_aside || suspects.handled_since) node.failures = 0;
  suspects.any_set_aside = true;
  suspects.handled_since = false;
  json event = frame;
  event["text"] = failure["text"];
  return event;
}

// A new life begins: it has no frame yet, and its count goes on where the last one's stopped.
void Session::forget_frame(NodeRun& node) noexcept {
  plane::NodePage& page = page_of(node.page);
  page.working_link_1.store(0, std::memory_order_relaxed);
  node.suspects.frames_before = page.frames_in.load(std::memory_order_relaxed);
}

}  // namespace hawse::runtime
