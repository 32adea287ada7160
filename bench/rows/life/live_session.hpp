// SPDX-License-Identifier: Apache-2.0
//
// A real session of this process, for rows that need its events at the nanosecond they come: the same Session that `hawse run` drives.
//
// Ownership.  Owns the session and the thread that runs it; destruction ends all nodes at once and joins.
// Threading.  One thread drives it. Events come on the session's own thread, are stamped there, and are handed over under a lock.
// Errors.     Whatever keeps a session from doing its work is Unavailable with the run's own words.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bench/core/row.hpp"
#include "pipeline/pipeline.hpp"
#include "runtime/session.hpp"

namespace hawse::bench::life {

std::int64_t now_ns();  // CLOCK_MONOTONIC, the clock of time.monotonic_ns() in nodes

// The rows' own manifests and nodes, copied into the pass's folder; the path of the manifest called `name` there. Throws Unavailable.
std::filesystem::path scenario(Pass&, const std::string& name);
pipeline::Pipeline load_pipeline(const std::filesystem::path& manifest, const pipeline::LoadOptions& = {});
pipeline::LoadOptions moved_to(pipeline::ExecutorKind);  // every node of the user's

// What an executor throws while an environment is made, as the reason for a missing figure.
executor::Prepared prepare(executor::Executor&, const pipeline::Node&);

class LiveSession {
 public:
  struct Seen {
    std::int64_t at_ns = 0;
    runtime::Event event;
  };
  using Wanted = std::function<bool(const runtime::Event&)>;

  explicit LiveSession(pipeline::Pipeline);
  ~LiveSession();
  LiveSession(const LiveSession&) = delete;

  Seen wait_for(const Wanted&);  // the first such event, come or still to come; Unavailable where the run ends without it
  void wait_running();
  void finish();                 // to its end, whatever that is
  void finish_in_order();        // Unavailable with the run's reason where a node failed
  void stop();                   // asks it to end in order, and waits

  const std::string& id() const { return session_->id(); }
  nlohmann::json phases_ms(const std::string& node);             // of its first start
  std::string where(const std::string& node);                    // "process 4711"
  std::vector<std::string> log(const std::string& node);         // after finish()
  nlohmann::json first(const std::string& type, const std::string& node);  // its data; null: there was none

 private:
  std::string why();

  std::mutex mutex_;
  std::condition_variable come_;
  std::vector<Seen> seen_;
  bool ended_ = false;
  runtime::Outcome outcome_;
  std::unique_ptr<runtime::Session> session_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace hawse::bench::life
