// SPDX-License-Identifier: Apache-2.0
//
// A node's death: seen by its socket, its pidfd or its container's end; told as one value; followed by a restart or the node's end for good.
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/text.hpp"
#include "runtime/endings.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

using executor::Ending;
using executor::EndingKind;

constexpr std::int64_t kComeAlongNs = 250'000'000;
constexpr std::int64_t kKilledNs = 2'000'000'000;  // that a kill takes at most, where whoever sees its end still answers
constexpr std::int64_t kFirstLookNs = 250'000'000, kLongestLookNs = 5'000'000'000;  // for an engine

const char* signal_hint(int number) {
  switch (number) {
    case SIGILL: return "its code uses instructions that this CPU doesn't have: look for a build of that package without them";
    case SIGSEGV:
    case SIGBUS: return "native code of the node or of one of its packages touched memory that isn't its own (a frame that was received is read-only)";
    case SIGXFSZ: return "it wrote more into a file than limits: {file: ...} allows";
    case SIGABRT: return "native code of the node or of one of its packages gave up: its last lines often say why";
    case SIGTERM: return "something outside asked it to end; a container engine does so with its containers when it is stopped itself";
    case SIGKILL: return "something outside killed it; if the machine ran out of memory, `dmesg` names it";
    default: return "";
  }
}

}  // namespace

json tail_of(const std::deque<std::string>& lines) {
  json tail = json::array();
  for (const auto& line : lines) tail.push_back(line);
  return tail;
}

json describe(const Ending& ending, const std::optional<json>& failed, const std::string& broke, bool finished) {
  json failure;
  if (ending.kind == EndingKind::out_of_memory) {
    const std::uint64_t limit = ending.memory_limit_bytes.value_or(0), peak = ending.memory_peak_bytes.value_or(0);
    failure = {{"kind", "out of memory"},
               {"limit_bytes", limit},
               {"peak_bytes", peak},
               {"text", "met its memory limit: " + format_bytes(limit) + ", peak " + format_bytes(peak) + ", killed"},
               {"hint", "give it more (limits: {memory: ...}), or make it keep less"}};
  } else if (!broke.empty()) {
    failure = {{"kind", "ended by the runtime"}, {"text", broke}, {"hint", ""}};
  } else if (failed) {
    const std::string phase = failed->value("phase", "");
    const std::uint64_t sequence = failed->value("sequence", std::uint64_t{0});
    failure = {{"kind", "exception"},
               {"phase", strip_control(phase)},
               {"sequence", sequence},
               {"traceback", strip_control(failed->value("traceback", ""))},
               {"text", "failed in " + strip_control(phase) + (sequence != 0 ? " on frame " + std::to_string(sequence) : "") + ": " +
                            strip_control(failed->value("summary", ""))},
               {"hint", ""}};
  } else if (ending.kind == EndingKind::signalled) {
    const char* name = sigabbrev_np(ending.value);
    const char* words = sigdescr_np(ending.value);
    failure = {{"kind", "signal"},
               {"signal", ending.value},
               {"text", "was ended by signal " + std::to_string(ending.value) + " (SIG" + (name != nullptr ? name : "?") + ": " +
                            (words != nullptr ? words : "unknown") + ")"},
               {"hint", signal_hint(ending.value)}};
  } else if (ending.kind == EndingKind::lost) {
    const bool zygote = ending.text.starts_with("its zygote");  // not the engine's doing
    failure = {{"kind", "lost"}, {"text", "was lost: " + ending.text}, {"hint", zygote ? "something outside ended it, or the node itself its parent process" : "is the engine still running? `hawse doctor` shows it"}};
  } else if (ending.value != 0) {
    failure = {{"kind", "exit"}, {"code", ending.value}, {"text", "exited with code " + std::to_string(ending.value)}, {"hint", ""}};
  } else if (!finished) {
    failure = {{"kind", "exit"}, {"code", 0}, {"text", "exited with code 0 before its end of stream"}, {"hint", "a node must not call sys.exit(): return from process() instead"}};
  }
  return failure;  // null: it ended in order
}

// Limits that a node meets as an error or a signal like any other: which of them it was.
void name_limit(json& failure, const pipeline::Node& node, const std::string& limits_by) {
  const std::string kind = failure["kind"], text = failure["text"];
  const bool threw = kind == "exception", container = node.executor == pipeline::ExecutorKind::container;
  const auto says = [&](std::string_view word) { return threw && text.find(word) != std::string::npos; };
  const auto met = [&](const char* limit, std::uint64_t bytes, const std::string& words, const char* hint) {
    failure["limit"] = limit;
    failure["limit_bytes"] = bytes;
    failure["text"] = "met its " + words + ": " + format_bytes(bytes) + "; it " + text;
    failure["hint"] = hint;
  };
  if (node.limits.file_bytes && node.executor != pipeline::ExecutorKind::thread && (says("File too large") || (kind == "signal" && failure["signal"] == SIGXFSZ)))
    return met("file", *node.limits.file_bytes, "limit of a file's size", "let it write larger ones (limits: {file: ...}), or make it write less into one");
  if (node.limits.memory_bytes && limits_by.starts_with("rlimit") && (says("MemoryError") || says("bad_alloc") || says("Cannot allocate memory")))
    return met("memory", *node.limits.memory_bytes, "memory limit", "give it more (limits: {memory: ...}), or make it keep less; held by setrlimit this is address space, of which libraries take more than they use");
  if (!container || !node.limits.shm_bytes) return;
  // Other places can be full, too, and other memory be touched beyond its end.
  if (says("No space left on device") || (kind == "signal" && failure["signal"] == SIGBUS)) {
    const std::string hint = failure.value("hint", "");
    failure["hint"] = "if its /dev/shm was full: that holds " + format_bytes(*node.limits.shm_bytes) + " (limits: {shm: ...})" + (hint.empty() ? "" : "; or " + hint);
  }
}

// The runtime ends a node: it broke a rule, or did not start in time.
void Session::break_off(NodeRun& node, std::string why) {
  if (node.state == State::ended || node.state == State::failed || node.state == State::backing_off) return;
  if (node.broke.empty()) node.broke = std::move(why);
  node.control_watch.reset();
  if (node.spec == nullptr) {
    emit("failure", node.id, {{"text", node.broke}, {"restarting", false}});
    end_node(node, State::failed);
    return stop_in_order();
  }
  if (node.state == State::preparing) return;
  if (node.state != State::dying) set_state(node, State::dying);
  if (node.instance) cut_off(node);
}

void Session::cut_off(NodeRun& node) {
  if (!node.joins) {
    node.control_watch.reset();
    node.control.reset();
  }
  kill_instance(node);
}

// All of it, at once. A container's engine may hang: its init sees the hang-up and kills whatever runs in there by itself. Then, or when the engine has had
// its time, the end is taken as seen.
void Session::kill_instance(NodeRun& node) {
  node.instance->kill();
  if (node.spec->executor != pipeline::ExecutorKind::container) return;
  if (node.control) ::shutdown(node.control.get(), SHUT_WR);
  node.timer = loop_.after(kKilledNs, [&node] { node.instance->gone(); });
}

void Session::on_hang_up(NodeRun& node) {
  node.control_watch.reset();
  if (node.spec != nullptr) {
    // The instance's end follows. A node that only closed its socket is none any more; of a container init has it, too, so that all of that has ended.
    node.timer = loop_.after(kKilledNs, [this, &node] {
      if (!node.joins) break_off(node, "closed its control socket");
      else if (node.instance) node.instance->gone();
    });
    return;
  }
  const bool in_order = node.finished;
  end_node(node, in_order ? State::ended : State::failed);
  if (!in_order) {
    if (!outcome_.failure) outcome_ = {ErrorCode::interrupted, "the application is gone"};
    stop_in_order();
  }
}

void Session::on_launch_failed(NodeRun& node, const Error& error) {
  node.control_watch.reset();
  node.control.reset();
  node.timer.reset();
  if (killing_) return end_node(node, State::failed);
  const bool silent = dynamic_cast<const executor::Unreachable*>(&error) != nullptr;
  if (silent && node.spec->restart.on == pipeline::RestartOn::failure && !stopping_ && !node.before) return wait_for_engine(node, error);
  fail_or_restart(node, {{"kind", "start"}, {"text", std::string("can't be started: ") + error.what()}, {"hint", error.hint()}});
}

// No failure of the node, and none of its attempts: it is launched again until an engine answers.
void Session::wait_for_engine(NodeRun& node, const Error& error) {
  if (node.engine_looks++ == 0)
    emit("notice", node.id, {{"text", "is started as soon as its engine answers again: " + error.context()}, {"hint", error.hint()}});
  set_state(node, State::backing_off);
  const std::int64_t wait_ns = std::min(kFirstLookNs << std::min(node.engine_looks - 1, 8u), kLongestLookNs);
  node.timer = loop_.after(wait_ns, [this, &node] { launch(node); });
}

void Session::on_instance_ended(NodeRun& node) {
  if (std::exchange(node.collected, true)) return;
  node.ended_watch.reset();
  node.timer.reset();
  if (!killing_) drain_control(node);
  node.control_watch.reset();
  if (node.spec->executor != pipeline::ExecutorKind::container) return on_collected(node, node.instance->collect());
  work([this, &node] {  // the engine's calls take their time
    Ending ending;
    try {
      ending = node.instance->collect();
    } catch (const std::exception& error) {
      ending = {.kind = EndingKind::lost, .value = 0, .memory_limit_bytes = {}, .memory_peak_bytes = {}, .text = error.what()};
    }
    loop_.post([this, &node, ending] { on_collected(node, ending); });
  });
}

void Session::on_collected(NodeRun& node, const Ending& ending) {
  if (node.out) node.out->finish();
  if (node.err) node.err->finish();
  node.life.timer.reset();
  const auto usage = node.instance->usage();
  look_at_limits(node, usage);
  node.memory_peak_bytes = std::max({node.memory_peak_bytes, usage.memory_peak_bytes.value_or(0), ending.memory_peak_bytes.value_or(0)});
  node.limits_by = node.instance->limits_by();
  node.control.reset();
  node.token.clear();  // whoever still comes with it comes too late
  if (node.spec->executor == pipeline::ExecutorKind::container) remove_later(node);
  node.instance.reset();
  node.out.reset();
  node.err.reset();
  end_storm(node);
  json failure = describe(ending, node.failed, node.broke, node.finished);
  if (!failure.is_null() && failure["kind"] == "out of memory" && node.spec->limits.arena_in_memory)
    failure["hint"] = "its arena counts, too: of " + format_bytes(*node.spec->limits.memory_bytes) + " it takes " + format_bytes(node.spec->limits.arena_bytes) + "; give it more (limits: {memory: ...}), or make it keep less";
  if (!failure.is_null()) name_limit(failure, *node.spec, node.limits_by);
  if (node.hung && !failure.is_null()) {
    failure["kind"] = "hang";
    if (!node.stands.empty()) failure["hint"] = "it stood at " + node.stands + "; its log has all of its threads";
  }
  if (failure.is_null()) return end_node(node, State::ended);
  if (killing_) return end_node(node, State::failed);
  if (!node.restart_why.empty() && (!stopping_ || node.state == State::handing_over)) return restart_asked(node);
  fail_or_restart(node, std::move(failure));
}

// What is told next needn't wait for the engine. What the node has started in there may still print until it is gone.
void Session::remove_later(NodeRun& node) {
  const auto leaving = leaving_.insert(leaving_.end(), {std::move(node.out), std::move(node.err)});
  work([this, leaving, instance = std::move(node.instance)]() mutable {
    instance.reset();
    loop_.post([this, leaving] {
      leaving->finish();
      leaving_.erase(leaving);
    });
  });
}

void Session::Leaving::finish() {
  if (out) out->finish();
  if (err) err->finish();
}

void Session::fail_or_restart(NodeRun& node, json failure) {
  if (node.before) return move_back(node, std::move(failure));
  not_replaced(node, failure["text"].get<std::string>(), failure.value("hint", ""));
  const pipeline::Restart& policy = node.spec->restart;
  const unsigned attempts = policy.on == pipeline::RestartOn::failure ? policy.attempts : 1;
  if (node.ready_ns != 0 && plane::monotonic_ns() - node.ready_ns >= policy.forget_after_ns) node.failures = 0;
  failure["attempt"] = ++node.failures;
  const std::optional<json> set_aside = blame_frame(node, failure);  // with it, its attempts may begin anew
  const bool again = node.failures < attempts && !stopping_ && !node.finished;  // one that has finished has nothing left to do
  failure["attempts"] = attempts;
  failure["restarting"] = again;
  failure["tail"] = tail_of(node.tail);
  const bool waits = !again && !stopping_ && options_.watch && !node.spec->code_files.empty();
  if (waits && failure.value("hint", "").empty()) failure["hint"] = "it is started again when one of its files changes";
  emit("failure", node.id, failure);
  if (again) {
    if (set_aside) emit("set_aside", node.id, *set_aside);
    const unsigned doublings = std::min(std::max(node.failures, 1u) - 1, 16u);
    const std::int64_t wait_ns = std::min<std::int64_t>(policy.backoff_ns << doublings, 10'000'000'000);
    set_state(node, State::backing_off);
    node.timer = loop_.after(wait_ns, [this, &node] { restart(node); });
    return;
  }
  if (waits) return set_state(node, State::backing_off);
  const std::string reason = node.id + " " + failure["text"].get<std::string>() + attempt_in_words(node, node.failures);
  const bool before_start = !started_;
  if (!outcome_.failure || outcome_.failure == ErrorCode::interrupted) outcome_ = {ErrorCode::node, reason};
  end_node(node, State::failed);
  if (before_start) fail_session(ErrorCode::node, reason);
}

// Somebody asks for it: no failure, and no wait. False: it has not come so far that it could be ended, or it is over.
bool Session::start_again(NodeRun& node, std::string why) {
  if (node.finished || (node.state != State::backing_off && !node.instance)) return false;
  node.restart_why = std::move(why);
  if (node.instance) {
    kill_instance(node);
  } else {
    node.timer.reset();
    restart_asked(node);
  }
  return true;
}

void Session::restart_asked(NodeRun& node) {
  emit("notice", node.id, {{"text", std::exchange(node.restart_why, "") + ": it is started again"}});
  restart(node);
}

void Session::restart(NodeRun& node) {
  if (const EdgeRun* edge = crowded(node)) {
    if (!std::exchange(node.waits, true)) {
      const std::string& other = edge->writer == node.index ? edge->spec->to.node : edge->spec->from.node;
      emit("notice", node.id, {{"text", "is started again when " + other + " has come along: it has died too often meanwhile"}});
    }
    node.timer = loop_.after(kComeAlongNs, [this, &node] { restart(node); });
    return;
  }
  if (node.next) swap_place(node, *std::exchange(node.next, std::nullopt));
  ++node.attempt;
  node.waits = false;
  node.ready_ns = 0;
  forget_frame(node);
  try {
    replace_links(node);
  } catch (const Error& error) {
    return fail_or_restart(node, {{"kind", "start"}, {"text", error.what()}, {"hint", error.hint()}});
  }
  launch(node);
}

}  // namespace hawse::runtime
