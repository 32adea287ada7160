// SPDX-License-Identifier: Apache-2.0
#include "bench/rows/life/live_session.hpp"

#include <time.h>

#include <algorithm>

#include "base/files.hpp"
#include "embed/stock.hpp"

namespace hawse::bench::life {

namespace fs = std::filesystem;
using nlohmann::json;
using runtime::Event;

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

fs::path scenario(Pass& pass, const std::string& name) {
  const fs::path ours = resources_dir() / "bench/life", folder = pass.folder();
  if (!fs::exists(ours / name)) throw Unavailable("the benchmark's pipelines are not where the command's parts lie: " + ours.string());
  if (!fs::exists(folder / name)) fs::copy(ours, folder, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  return folder / name;
}

pipeline::Pipeline load_pipeline(const fs::path& manifest, const pipeline::LoadOptions& options) {
  return pipeline::load(manifest, options, pipeline::real_surroundings(embed::stock_nodes()));
}

pipeline::LoadOptions moved_to(pipeline::ExecutorKind kind) { return {.set = {}, .executors = {{"", kind}}, .env = {}}; }

executor::Prepared prepare(executor::Executor& where, const pipeline::Node& node) {
  try {
    return where.prepare(node, [](const executor::Progress&) {});
  } catch (const Error& error) {
    throw Unavailable(error.operation() + ": " + error.context());
  }
}

LiveSession::LiveSession(pipeline::Pipeline pipeline) {
  session_ = std::make_unique<runtime::Session>(std::move(pipeline), runtime::make_executors(embed::make_stock_node),
                                                runtime::Session::Options{.on_event =
                                                                              [this](const Event& event) {
                                                                                const std::int64_t at_ns = now_ns();
                                                                                const std::lock_guard lock(mutex_);
                                                                                seen_.push_back({at_ns, event});
                                                                                come_.notify_all();
                                                                              },
                                                                          .application = {},
                                                                          .log_level = "info"});
  thread_ = std::jthread([this] {
    runtime::Outcome outcome;
    try {
      outcome = session_->run();
    } catch (const Error& error) {
      outcome = {error.code(), error.what()};
    }
    const std::lock_guard lock(mutex_);
    outcome_ = outcome;
    ended_ = true;
    come_.notify_all();
  });
}

LiveSession::~LiveSession() {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
  }
  session_->kill_all();
}

// The lock is held.
std::string LiveSession::why() {
  const auto failure = std::ranges::find_if(seen_, [](const Seen& seen) { return seen.event.type == "failure"; });
  if (failure != seen_.end()) return failure->event.node + " " + failure->event.data.value("text", "");
  return outcome_.failure ? outcome_.reason : "the run ended too early";
}

LiveSession::Seen LiveSession::wait_for(const Wanted& wanted) {
  std::unique_lock lock(mutex_);
  for (std::size_t next = 0;;) {
    for (; next < seen_.size(); ++next)
      if (wanted(seen_[next].event)) return seen_[next];
    if (ended_) throw Unavailable(why());
    come_.wait(lock);
  }
}

void LiveSession::wait_running() {
  wait_for([](const Event& event) { return event.type == "session" && event.data["state"] == "running"; });
}

void LiveSession::finish() {
  std::unique_lock lock(mutex_);
  come_.wait(lock, [this] { return ended_; });
}

void LiveSession::finish_in_order() {
  finish();
  const std::lock_guard lock(mutex_);
  if (outcome_.failure) throw Unavailable(why());
}

void LiveSession::stop() {
  session_->request_stop();
  finish();
}

json LiveSession::phases_ms(const std::string& node) {
  return wait_for([&](const Event& event) { return event.type == "node" && event.node == node && event.data["state"] == "ready"; }).event.data["phases_ms"];
}

std::string LiveSession::where(const std::string& node) {
  return wait_for([&](const Event& event) { return event.type == "node" && event.node == node && event.data.contains("where"); }).event.data["where"];
}

std::vector<std::string> LiveSession::log(const std::string& node) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines;
  for (const auto& [at_ns, event] : seen_)
    if (event.type == "log" && event.node == node) lines.push_back(event.data["text"]);
  return lines;
}

json LiveSession::first(const std::string& type, const std::string& node) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(seen_, [&](const Seen& seen) { return seen.event.type == type && seen.event.node == node; });
  return found == seen_.end() ? json() : found->event.data;
}

}  // namespace hawse::bench::life
