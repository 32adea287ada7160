// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/advice.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace hawse::bench::advise {
namespace {

constexpr std::uint64_t kFewFrames = 20;     // below, a median says little
constexpr double kResolution = 0.0625;       // the histograms' buckets are that wide
constexpr double kMatters = 0.10;            // of the frame's own time
constexpr double kMattersOfInterval = 0.02;  // of the time from frame to frame: below, nobody waits for it
constexpr double kLivesToStart = 10;         // a life shorter than this many times what a container adds to the start is short

std::string time(double ns) { return format_duration_ns(static_cast<std::int64_t>(ns)); }
std::string ms(double value) { return fmt::format("{:.0f} ms", value); }
std::string percent(double relative) { return fmt::format("{:+.0f} %", relative * 100); }

// What a container adds to every start.
double extra_start_ms(const NodeFigures& process, const NodeFigures& container) { return std::max(0.0, container.start_ms - process.start_ms); }

bool lives_shortly(const NodeFigures& process, const NodeFigures& container) {
  return process.life_s > 0 && process.life_s < kLivesToStart * extra_start_ms(process, container) / 1000;
}

std::string life_in_words(const NodeFigures& process, const NodeFigures& container) {
  const double extra_ms = extra_start_ms(process, container);
  std::string text = fmt::format("it lived {} a start", time(process.life_s * 1e9));
  if (process.starts > process.runs) text += fmt::format(" and was started {} times in {}", process.starts, time(process.seconds * 1e9));
  const double share = extra_ms / 1000 / process.life_s;
  return text + fmt::format("; a container adds {} to each start ({} instead of {}), {} that life", ms(extra_ms), ms(container.start_ms), ms(process.start_ms),
                            share < 2 ? fmt::format("{:.0f} % of", share * 100) : fmt::format("{:.0f} times", share));
}

std::string start_in_words(const NodeFigures& process, const NodeFigures& container) {
  const double extra_ms = extra_start_ms(process, container);
  return extra_ms < 1 ? "no start time" : fmt::format("{} of start, once", ms(extra_ms));
}

struct Prior {
  std::optional<ExecutorKind> executor;
  std::string rule;
};

Prior prior_of(const NodeFacts& facts, bool short_life) {
  if (short_life) return {ExecutorKind::process, "short tasks are native"};
  if (facts.live && facts.audio) return {ExecutorKind::process, "real-time audio is native"};
  if (facts.gpus) return {ExecutorKind::container, "GPU work belongs in containers"};
  if (!facts.conflicts.empty()) return {ExecutorKind::container, "conflicting dependencies belong in containers"};
  if (!facts.live) return {ExecutorKind::container, "batch work belongs in containers"};
  return {};
}

Advice advise_stock(const NodeFacts& facts) {
  Advice advice;
  advice.executor = facts.parses_outside_input ? ExecutorKind::process : facts.now == ExecutorKind::process ? facts.now : ExecutorKind::thread;
  if (facts.parses_outside_input)
    advice.reasons.push_back("it parses media that strangers made: a process of its own keeps that out of the runtime's memory");
  else if (advice.executor == ExecutorKind::thread)
    advice.reasons.push_back("a stock node, part of the runtime: as a thread it costs no process and no start");
  else
    advice.reasons.push_back("a stock node that the manifest gives a process of its own; as a thread it would cost none");
  advice.reasons.push_back("stock nodes don't run in containers in this version");
  return advice;
}

void add_host_files(const NodeFacts& facts, Advice& advice) {
  if (facts.host_files.empty()) return;
  advice.reasons.push_back(fmt::format("it names {} of the host that a container doesn't see: {} (container: mounts: gives it)",
                                       facts.host_files.size() == 1 ? "a file" : "files", fmt::join(facts.host_files, ", ")));
}

// One of the two has no figures, or both.
Advice advise_unmeasured(const NodeFacts& facts, const NodeFigures& process, const NodeFigures& container) {
  Advice advice;
  if (process.ran()) {
    advice.executor = ExecutorKind::process;
    advice.reasons.push_back("it ran as a process; a container: " + container.why_not);
    if (container.lack == Lack::failed) add_host_files(facts, advice);
    // What the machine lacks today says nothing of the node.
    advice.firm = container.lack == Lack::failed || facts.now == ExecutorKind::process;
    if (!facts.only_container.empty() && facts.now == ExecutorKind::container)
      advice.reasons.push_back(fmt::format("as a process it goes without {}", fmt::join(facts.only_container, "; ")));
    return advice;
  }
  if (container.ran()) {
    advice.executor = ExecutorKind::container;
    advice.reasons.push_back("it ran in a container; as a process: " + process.why_not);
    return advice;
  }
  advice.executor = facts.now;
  advice.decided = advice.firm = false;
  advice.reasons.push_back("it ran nowhere: nothing can be said, and it stays as it is");
  advice.reasons.push_back("as a process: " + process.why_not);
  advice.reasons.push_back("in a container: " + container.why_not);
  return advice;
}

std::string word_of(ExecutorKind kind) { return kind == ExecutorKind::container ? "container" : "process"; }

// Both ran: the prior, against what was measured.
Advice weigh(const NodeFacts& facts, const NodeFigures& process, const NodeFigures& container) {
  Advice advice;
  const bool short_life = lives_shortly(process, container);
  const Cost cost = cost_of_container(facts, process, container);
  if (!facts.only_container.empty() && facts.now == ExecutorKind::container) {
    advice.executor = ExecutorKind::container;
    advice.reasons.push_back(fmt::format("the manifest asks for what only a container gives: {}", fmt::join(facts.only_container, "; ")));
    if (short_life) advice.reasons.push_back("if it can do without, a process is better: " + life_in_words(process, container));
    if (cost.known) advice.reasons.push_back(cost.text + fmt::format("; {}", start_in_words(process, container)));
    return advice;
  }
  const Prior prior = prior_of(facts, short_life);
  advice.rule = prior.rule;
  advice.executor = prior.executor.value_or(facts.now);
  const std::string rule = prior.rule.empty() ? "no rule speaks of it, so it stays a " + word_of(facts.now)
                                              : fmt::format("the rule ({}) says {}", prior.rule, word_of(advice.executor));
  if (short_life) {
    advice.reasons.push_back(rule + ", and so does the measurement: " + life_in_words(process, container));
    return advice;
  }
  if (!facts.conflicts.empty())
    advice.reasons.push_back("as processes, too, each node has its own packages here: the conflict alone asks for no container");
  if (!cost.known) {
    advice.reasons.push_back(fmt::format("{}; nothing measured speaks against it: {}", rule, cost.why_unknown));
    return advice;
  }
  const std::string measured = fmt::format("{}; {}", cost.text, start_in_words(process, container));
  const bool something_to_keep_apart = facts.others_code || facts.now == ExecutorKind::container || !facts.conflicts.empty();
  if (cost.matters) {
    advice.overruled = advice.executor == ExecutorKind::container;
    advice.executor = ExecutorKind::process;
    advice.reasons.push_back(fmt::format("{}; measured here: {}{}", rule, measured, advice.overruled ? ", which is felt: process" : ""));
  } else if (prior.executor == ExecutorKind::process && something_to_keep_apart) {
    advice.overruled = true;
    advice.executor = ExecutorKind::container;
    advice.reasons.push_back(fmt::format("{}; measured here: {}: container", rule, measured));
  } else {
    advice.reasons.push_back(fmt::format("{}; measured here: {}", rule, measured));
  }
  if (advice.executor == ExecutorKind::container)
    advice.reasons.push_back("what a container gives for that: its own files and no network unless opened, hard limits, a Python of its own");
  else if (prior.executor == ExecutorKind::process && !cost.matters)
    advice.reasons.push_back("only code of your own runs in it: there is nothing to keep apart");
  return advice;
}

// From the peaks seen, whatever the executor: a limit is the engine's in a container, a control group's around a process.
void add_limits(const NodeFacts& facts, const NodeFigures& process, const NodeFigures& container, Advice& advice) {
  const std::uint64_t peak = std::max(process.memory_peak_bytes, container.memory_peak_bytes);
  const NodeFigures& chosen = advice.executor == ExecutorKind::container ? container : process;
  if (peak != 0 && !facts.memory_limit_bytes) advice.memory_limit_bytes = memory_limit_for(peak);
  if (peak != 0 && facts.memory_limit_bytes && static_cast<double>(peak) > 0.9 * static_cast<double>(*facts.memory_limit_bytes))
    advice.reasons.push_back(fmt::format("its memory limit of {} is nearly used up (peak {}, files kept in memory included): {} leaves room",
                                         format_bytes(*facts.memory_limit_bytes), format_bytes(peak), format_bytes(memory_limit_for(peak))));
  if (chosen.cpus <= 0) return;
  if (facts.cpus_limit) {
    if (chosen.cpus >= 0.9 * *facts.cpus_limit)
      advice.reasons.push_back(fmt::format("it uses all of its limit of {} cores: that limit sets its pace", *facts.cpus_limit));
  } else if (facts.live) {
    advice.cpus_limit = cpus_limit_for(chosen.cpus_peak);
  }
}

void add_environments(const NodeFigures& process, const NodeFigures& container, Advice& advice) {
  if (process.environment.empty() || container.environment.empty() || process.environment == container.environment) return;
  advice.reasons.push_back(fmt::format("the two were not the same inside: {} as a process, {} in the container", process.environment, container.environment));
}

}  // namespace

std::uint64_t memory_limit_for(std::uint64_t peak_bytes) {
  constexpr std::uint64_t mib = 1 << 20;
  const std::uint64_t wanted = peak_bytes + peak_bytes / 2;
  const std::uint64_t step = wanted > 2048 * mib ? 256 * mib : wanted > 512 * mib ? 64 * mib : 16 * mib;
  return std::max(32 * mib, (wanted + step - 1) / step * step);
}

double cpus_limit_for(double cpus_peak) { return std::max(0.25, std::ceil(cpus_peak * 1.5 * 4) / 4); }

Cost cost_of_container(const NodeFacts& facts, const NodeFigures& process, const NodeFigures& container) {
  Cost cost;
  const std::uint64_t frames = std::min(process.frames, container.frames);
  if (frames < kFewFrames || process.work_p50_ns <= 0 || container.work_p50_ns <= 0) {
    cost.why_unknown = frames == 0 ? fmt::format("it saw no frames in {}: run longer with --seconds", time(std::max(process.seconds, container.seconds) * 1e9))
                                   : fmt::format("it saw only {} frames, too few to compare: run longer with --seconds", frames);
    return cost;
  }
  cost.known = true;
  // On a pipeline that reads as fast as it can, the wait is the queue in front of its slowest node, whatever the executor.
  const auto total = [&](double work, double wait) { return facts.live ? work + wait : work; };
  cost.process_ns = total(process.work_p50_ns, process.wait_p50_ns);
  cost.container_ns = total(container.work_p50_ns, container.wait_p50_ns);
  cost.relative = cost.container_ns / cost.process_ns - 1;
  const double noise = std::max({kMatters, kResolution, process.spread, container.spread});
  const double interval_ns = process.seconds * 1e9 / static_cast<double>(process.frames);
  const auto felt = [&](double one, double other) { return other - one > noise * one && other - one > kMattersOfInterval * interval_ns; };
  const double p99_process = total(process.work_p99_ns, process.wait_p99_ns), p99_container = total(container.work_p99_ns, container.wait_p99_ns);
  const bool late = facts.live && facts.audio && p99_container > interval_ns && felt(p99_process, p99_container);
  cost.matters = felt(cost.process_ns, cost.container_ns) || late;
  cost.text = fmt::format("{} a frame as a process, {} in a container: {}", time(cost.process_ns), time(cost.container_ns), percent(cost.relative));
  if (std::abs(cost.relative) <= noise)
    cost.text += std::abs(cost.relative) <= kResolution ? ", no difference that can be told"
                 : noise > kMatters                     ? fmt::format(", no more than two runs of the same differ by ({:.0f} %)", noise * 100)
                                                        : ", too little to count";
  if (late) cost.text += fmt::format("; p99 {} and {}, longer than a frame", time(p99_process), time(p99_container));
  return cost;
}

Advice choose(const NodeFacts& facts, const NodeFigures& process, const NodeFigures& container) {
  if (facts.kind == pipeline::NodeKind::stock) return advise_stock(facts);
  Advice advice = process.ran() && container.ran() ? weigh(facts, process, container) : advise_unmeasured(facts, process, container);
  for (const NodeFigures* one : {&process, &container})
    if (!one->failure.empty()) {
      advice.reasons.push_back(one->failure);
      break;
    }
  if (process.ran() && container.ran()) add_environments(process, container, advice);
  add_limits(facts, process, container, advice);
  return advice;
}

}  // namespace hawse::bench::advise
