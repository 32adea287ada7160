// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/measure.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <thread>
#include <vector>

#include "base/text.hpp"
#include "bench/advise/cpu_time.hpp"
#include "embed/stock.hpp"

namespace hawse::bench::advise {
namespace {

using nlohmann::json;
using runtime::Event;
using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

class SilentOutput {
 public:
  SilentOutput() : kept_(fcntl(1, F_DUPFD_CLOEXEC, 3)) {
    fflush(stdout);
    const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!kept_ || !null || dup2(null.get(), 1) < 0) throw Error::from_errno("measure", "silence the nodes' output");
  }
  SilentOutput(const SilentOutput&) = delete;
  SilentOutput& operator=(const SilentOutput&) = delete;
  ~SilentOutput() {
    fflush(stdout);
    dup2(kept_.get(), 1);
  }

 private:
  UniqueFd kept_;
};

// What the events of one node tell that the summary doesn't.
struct Story {
  std::string where;
  std::optional<Clock::time_point> began;  // its present life: from `running`
  std::vector<double> lives_s;             // those that ended by themselves
  unsigned starts = 0;
  bool failed = false, out_of_memory = false;
  std::string failure;
  std::vector<std::pair<Clock::time_point, double>> cpu;  // of its present life
};

// Follows a session by its events (the loop's thread), and from a thread of its own samples CPU times and stops it in time.
class Watch {
 public:
  Watch(double seconds, std::function<void()> stop) : seconds_(seconds), stop_(std::move(stop)), thread_([this](const std::stop_token& token) { tick(token); }) {}

  void see(const Event& event) {
    const std::lock_guard lock(mutex_);
    if (event.type == "node") see_node(nodes_[event.node], event.data);
    if (event.type == "failure" && !stopped_ && event.data.value("restarting", false) == false) see_failure(nodes_[event.node], event.data);
    if (event.type == "session" && event.data["state"] == "running") {
      running_ = Clock::now();
      changed_.notify_all();
    }
    if (event.type == "session" && event.data["state"] == "stopping") note_stop();
    if (event.type == "summary") note_stop();
  }

  double ran_for() const { return running_ ? seconds_between(*running_, *stopped_) : 0; }
  const Story& of(const std::string& node) { return nodes_[node]; }

 private:
  void note_stop() {
    if (!stopped_) stopped_ = Clock::now();
  }
  void see_node(Story& story, const json& data) {
    const std::string state = data["state"];
    story.where = data.value("where", story.where);
    if (state == "running") {
      ++story.starts;
      story.began = Clock::now();
      story.cpu.clear();
    }
    const bool over = state == "finishing" || state == "dying" || state == "waiting to restart" || state == "ended" || state == "failed";
    if (!over || !story.began) return;
    if (!stopped_) story.lives_s.push_back(seconds_between(*story.began, Clock::now()));
    story.began.reset();
  }
  static void see_failure(Story& story, const json& data) {
    story.failed = true;
    story.out_of_memory = data.value("kind", "") == "out of memory";
    story.failure = strip_control(data["text"].get<std::string>());
    if (const auto hint = data.value("hint", ""); !hint.empty()) story.failure += " (" + strip_control(hint) + ")";
  }

  void tick(const std::stop_token& token) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, token, [this] { return running_.has_value(); })) return;
    const auto end = *running_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds_));
    while (!token.stop_requested() && Clock::now() < end) {
      sample(lock);
      changed_.wait_until(lock, token, std::min(end, Clock::now() + std::chrono::milliseconds(250)), [] { return false; });
    }
    if (token.stop_requested()) return;
    sample(lock);
    lock.unlock();
    stop_();
  }
  void sample(std::unique_lock<std::mutex>& lock) {
    std::vector<std::pair<std::string, std::string>> running;
    for (const auto& [node, story] : nodes_)
      if (story.began) running.emplace_back(node, story.where);
    lock.unlock();  // the events must not wait for /proc
    std::vector<std::optional<double>> used;
    for (const auto& [node, where] : running) used.push_back(cpu_seconds(where));
    lock.lock();
    for (std::size_t i = 0; i < running.size(); ++i)
      if (Story& story = nodes_[running[i].first]; used[i] && story.began) story.cpu.emplace_back(Clock::now(), *used[i]);
  }

  const double seconds_;
  const std::function<void()> stop_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Clock::time_point> running_, stopped_;
  std::map<std::string, Story> nodes_;
  std::jthread thread_;  // last: it uses the others
};

// Mean, and over the busiest second; 0 where it was seen for less than half a second.
std::pair<double, double> cores_used(const std::vector<std::pair<Clock::time_point, double>>& cpu) {
  const auto rate = [&](std::size_t from, std::size_t to) { return (cpu[to].second - cpu[from].second) / seconds_between(cpu[from].first, cpu[to].first); };
  if (cpu.size() < 2 || seconds_between(cpu.front().first, cpu.back().first) < 0.5) return {0, 0};
  const double mean = rate(0, cpu.size() - 1);
  double peak = mean;
  for (std::size_t from = 0, to = 0; to < cpu.size(); ++to) {
    while (seconds_between(cpu[from + 1 < to ? from + 1 : from].first, cpu[to].first) >= 1 && from + 1 < to) ++from;
    if (seconds_between(cpu[from].first, cpu[to].first) >= 1) peak = std::max(peak, rate(from, to));
  }
  return {mean, peak};
}

double quantile(const json& latency, const char* which) { return latency.is_object() ? latency[which].get<double>() : 0; }

NodeRun run_of(const json& node, const json& edges, const Story& story) {
  NodeRun run;
  const std::string id = node["node"];
  run.start_ms = node["phases_ms"].value("total", 0.0);
  run.frames_in = node["frames_in"];
  run.frames_out = node["frames_out"];
  run.work_p50_ns = quantile(node["processing_ns"], "p50");
  run.work_p99_ns = quantile(node["processing_ns"], "p99");
  for (const auto& edge : edges) {
    if (!edge["to"].get<std::string>().starts_with(id + ".")) continue;
    run.wait_p50_ns = std::max(run.wait_p50_ns, quantile(edge["latency_ns"], "p50"));
    run.wait_p99_ns = std::max(run.wait_p99_ns, quantile(edge["latency_ns"], "p99"));
  }
  if (node["memory_peak_bytes"].is_number()) run.memory_peak_bytes = node["memory_peak_bytes"];
  std::tie(run.cpus, run.cpus_peak) = cores_used(story.cpu);
  for (const double life : story.lives_s) run.life_s += life / static_cast<double>(story.lives_s.size());
  run.starts = story.starts;
  run.environment = node["environment"];
  run.failed = story.failed;
  run.out_of_memory = story.out_of_memory;
  run.failure = story.failure;
  return run;
}

}  // namespace

Measurement Runner::run(pipeline::Pipeline pipeline, double seconds) {
  pipeline.grace_ns = std::min<std::int64_t>(pipeline.grace_ns, 1'000'000'000);  // what is still under way then doesn't change the figures
  std::map<std::string, pipeline::ExecutorKind> executors;
  for (const auto& node : pipeline.nodes) executors[node.id] = node.executor;

  json summary, before_stop;  // a container that must be killed takes its figures along
  Watch* watching = nullptr;
  const runtime::Session* of = nullptr;
  runtime::Session session(std::move(pipeline), runtime::make_executors(embed::make_stock_node),
                           {.on_event =
                                [&](const Event& event) {
                                  watching->see(event);
                                  if (event.type == "summary") summary = event.data;
                                  if (event.type == "session" && event.data["state"] == "stopping") before_stop = of->summary();
                                  show(event);
                                },
                            .application = {},
                            .log_level = "error"});
  Watch watch(seconds, [&session] { session.request_stop(); });
  watching = &watch;
  of = &session;
  runtime::Outcome outcome;
  {
    const Interruptible interruptible(*this, session);
    const SilentOutput silence;
    outcome = session.run();
  }
  throw_if_interrupted();

  Measurement measurement;
  measurement.seconds = watch.ran_for();
  measurement.started = summary.contains("start_ms");
  if (outcome.failure != ErrorCode::interrupted) {  // that was our own request to stop
    measurement.failure = outcome.failure;
    measurement.reason = strip_control(outcome.reason);
  }
  for (const auto& node : summary["nodes"]) {
    const std::string id = node["node"];
    NodeRun run = run_of(node, summary["edges"], watch.of(id));
    run.executor = executors[id];
    for (const auto& earlier : before_stop.is_object() ? before_stop["nodes"] : json::array())
      if (earlier["node"] == id && earlier["memory_peak_bytes"].is_number())
        run.memory_peak_bytes = std::max(run.memory_peak_bytes, earlier["memory_peak_bytes"].get<std::uint64_t>());
    measurement.nodes[id] = std::move(run);
  }
  return measurement;
}

void Runner::show(const Event& event) {
  const json& data = event.data;
  if (event.type == "node" && data["state"] != "preparing") on_ready_(event.node);
  if (event.type == "progress" && data.contains("line"))  // of an environment; what nodes tell of themselves has none
    on_progress_(event.node, {.what = strip_control(data["what"].get<std::string>()), .done = data["done"], .total = data["total"],
                              .unit = strip_control(data["unit"].get<std::string>()), .line = strip_control(data["line"].get<std::string>())});
}

Runner::Interruptible::Interruptible(Runner& runner, runtime::Session& session) : runner_(runner) {
  runner_.throw_if_interrupted();
  const std::lock_guard lock(runner_.mutex_);
  runner_.session_ = &session;
}

Runner::Interruptible::~Interruptible() {
  const std::lock_guard lock(runner_.mutex_);
  runner_.session_ = nullptr;
}

void Runner::throw_if_interrupted() {
  const std::lock_guard lock(mutex_);
  if (interrupted_) throw Error(ErrorCode::interrupted, "advise", "interrupted: no advice, nothing was written");
}

void Runner::interrupt() {
  const std::lock_guard lock(mutex_);
  if (session_ != nullptr) interrupted_ ? session_->kill_all() : session_->request_stop();
  interrupted_ = true;
}

}  // namespace hawse::bench::advise
