// SPDX-License-Identifier: Apache-2.0
//
// Hanging told from slow. A node with hang_timeout that is busy in its own code, and has shown no sign of life for so long, is ended: first it is asked where
// it stands (SIGABRT, upon which Python writes its stack), then all of it is killed. For the restart policy that is a failure, on the frame that it had.
//
// Signs of life stand in the node's page (plane/layout.hpp): a call begun, alive(), progress(), a frame sent. Whoever waits for input or for room on an
// edge isn't busy. The page is the node's to write: the worst that it can do is to be believed alive.
// A node is looked at when its time could be over, and halfway there, no more often; one without the key never is.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

constexpr std::int64_t kLastWordsNs = 5'000'000'000;
constexpr double kAsleepBelow = 0.01;  // of a CPU: little, because others may hold a busy node back

}  // namespace

void Session::watch_for_hangs(NodeRun& node, std::int64_t after_ns) {
  if (node.spec->hang_timeout_ns == 0) return;
  node.life.due_ns = plane::monotonic_ns() + after_ns;
  node.life.timer = loop_.after(after_ns, [this, &node] { look_for_hang(node); });
}

void Session::look_for_hang(NodeRun& node) {
  if (!node.instance || node.collected || node.ready_ns == 0 || node.state == State::dying) return;
  const std::int64_t timeout_ns = node.spec->hang_timeout_ns + node.spec->spin_ns;  // a look before it sleeps isn't told from work
  const std::int64_t now_ns = plane::monotonic_ns();
  const auto& page = *reinterpret_cast<const plane::NodePage*>(node.page.data());
  Life& life = node.life;
  const std::int64_t before_ns = life.sign_ns;
  const bool busy = page.state.load(std::memory_order_relaxed) == static_cast<std::uint32_t>(plane::NodeState::busy);
  const bool sent = std::exchange(life.frames_out, page.frames_out.load(std::memory_order_relaxed)) != life.frames_out;
  const bool late = now_ns - life.due_ns > timeout_ns / 2;  // the runtime itself stood still, and the node maybe with it
  const auto since_ns = static_cast<std::int64_t>(std::min<std::uint64_t>(page.since_ns.load(std::memory_order_acquire), static_cast<std::uint64_t>(now_ns)));
  life.sign_ns = !busy || sent || late ? now_ns : std::max(before_ns, since_ns);
  if (life.sign_ns != before_ns) life.marked_ns = 0;
  const std::int64_t silent_ns = now_ns - life.sign_ns;
  if (silent_ns >= timeout_ns && life.marked_ns != 0) return on_hanging(node, silent_ns);
  if (silent_ns >= timeout_ns / 2 && life.marked_ns == 0) {
    life.marked_ns = now_ns;
    life.cpu_s = node.instance->usage().cpu_s;
    return watch_for_hangs(node, std::max(timeout_ns - silent_ns, timeout_ns / 4));
  }
  watch_for_hangs(node, (life.marked_ns != 0 ? timeout_ns : timeout_ns / 2) - silent_ns);
}

void Session::on_hanging(NodeRun& node, std::int64_t silent_ns) {
  std::string text = "hangs: " + format_duration_ns(silent_ns) + " " + frame_in_hand(node);
  if (const auto cpu_s = node.instance->usage().cpu_s; cpu_s && node.life.cpu_s) {
    const double share = (*cpu_s - *node.life.cpu_s) * 1e9 / static_cast<double>(plane::monotonic_ns() - node.life.marked_ns);
    text += fmt::format(", using {:.0f} % of a CPU: it {}", 100 * std::max(share, 0.0), share < kAsleepBelow ? "sleeps or waits" : "spins, or is slow");
  }
  if (node.spec->executor == pipeline::ExecutorKind::thread) {
    emit("notice", node.id, {{"text", text + ". A thread of the runtime can't be ended alone"}, {"hint", "let it run as a process: executor: process"}});
    node.life.sign_ns = plane::monotonic_ns();
    return watch_for_hangs(node, node.spec->hang_timeout_ns);
  }
  node.broke = std::move(text);
  node.hung = true;
  set_state(node, State::dying);
  node.instance->abort();
  node.timer = loop_.after(kLastWordsNs, [this, &node] { cut_off(node); });
}

// "on frame 17 of source.audio"
std::string Session::frame_in_hand(const NodeRun& node) const {
  const auto& page = *reinterpret_cast<const plane::NodePage*>(node.page.data());
  const std::uint64_t link_1 = page.working_link_1.load(std::memory_order_acquire);  // [page.working]
  if (link_1 == 0 || link_1 > node.links.size()) return node.inputs.empty() ? "in produce()" : "with no frame in hand";
  const pipeline::End& from = edges_[node.links[link_1 - 1]]->spec->from;
  return fmt::format("on frame {} of {}.{}", page.working_sequence.load(std::memory_order_relaxed), from.node, from.port);
}

// Python's own words upon SIGABRT: the threads one after the other, the one that got it as "Current thread", its innermost call first.
void Session::note_where_it_stands(NodeRun& node, std::string_view line) {
  constexpr std::string_view kCurrent = "Current thread", kCall = "  File \"";
  if (line.starts_with(kCurrent)) node.stands = kCurrent;
  if (node.stands != kCurrent || !line.starts_with(kCall) || line.find("/hawse/_") != std::string_view::npos) return;
  node.stands = strip_control(line.substr(2));
}

}  // namespace hawse::runtime
