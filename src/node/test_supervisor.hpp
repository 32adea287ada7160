// SPDX-License-Identifier: Apache-2.0
//
// For tests: the runtime's end of the control protocol, with the real plane, for a few C++ nodes. Nodes run as threads (make()) or as a program.
// It checks nothing of its own accord: it records what the nodes say, and the test looks.
//
// Threading.  One thread of its own serves all nodes; every public function may be called from the test's thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "base/subprocess.hpp"
#include "node/host.hpp"
#include "plane/port.hpp"

namespace hawse::node {

class TestSupervisor {
 public:
  using Json = nlohmann::json;
  TestSupervisor();
  ~TestSupervisor();  // hangs up and joins everything

  std::size_t add(std::string id, MakeNode make, Json params = Json::object(), Json declared_params = Json());
  std::size_t add_program(std::string id, std::vector<std::string> argv, Json params = Json::object());
  std::size_t connect(std::size_t from, std::string output, std::size_t to, std::string input, std::uint32_t queue = 8,
                      plane::WhenFull when_full = plane::WhenFull::block);
  void match(std::size_t node, Json rule) { runs_[node]->match = std::move(rule); }
  void spin(std::size_t node, std::int64_t ns) { runs_[node]->spin_ns = ns; }  // 0 for those that nobody asked for
  void limit_arenas(std::uint64_t bytes) { arena_limit_bytes_ = bytes; }  // over all ports; then arena_refused

  void start();                          // configure ... start; returns once every node has started or one is over
  int wait(std::size_t node);            // for its end; the exit code
  void stop(std::size_t node);           // sends `stop`
  void hand_over(std::size_t node);
  void hang_up(std::size_t node);
  void end(std::size_t node);            // it is gone for good: its links end in its stead
  void replace(std::size_t node, MakeNode make);  // a node that ended: runs again with new links
  void await(std::size_t node, const std::string& type);  // until it has said that

  std::vector<Json> said(std::size_t node, const std::string& type = "");
  std::string log(std::size_t node);     // lines "level text"
  const plane::NodePage& page(std::size_t node);
  plane::LinkView& view(std::size_t edge);
  std::uint64_t arena_count(std::size_t node, std::size_t port);

 private:
  struct Arena {
    UniqueFd fd;
    std::uint64_t slot_bytes = 0;
    std::uint32_t slots = 0;
    bool sealed = false;
  };
  struct Run {
    std::string id;
    MakeNode make;
    std::vector<std::string> argv;
    Json params, declared, match;
    std::vector<std::string> inputs, outputs;
    UniqueFd control, doorbell, page;
    plane::Mapping page_view;
    std::thread thread;
    Subprocess process;
    std::atomic<int> code{-1};
    std::vector<Json> said;
    std::map<std::size_t, std::vector<Arena>> arenas;  // by output
    unsigned attempt = 0;
    std::int64_t spin_ns = 0;
  };
  struct Edge {
    std::size_t from = 0, to = 0, output = 0, input = 0, index = 0, link = 0;
    std::uint32_t queue = 8;
    plane::WhenFull when_full = plane::WhenFull::block;
    UniqueFd fd;
    plane::LinkView view;
  };

  void launch(Run&);
  void make_link(Edge&);
  void send(Run&, const Json&, const std::vector<int>& fds = {});
  void configure(std::size_t node);
  void send_output_link(const Edge&);
  void send_input_link(const Edge&);
  void serve();
  void handle(std::size_t node, const Json&);
  void give_back(std::size_t node, const nlohmann::json&);
  void grow(std::size_t node, const Json&);
  bool has_said(std::size_t node, const std::string& type);

  std::mutex mutex_;
  std::vector<std::unique_ptr<Run>> runs_;
  std::vector<std::unique_ptr<Edge>> edges_;
  std::uint64_t arena_limit_bytes_ = 1ull << 30;
  std::atomic<bool> over_{false};
  std::thread server_;
};

}  // namespace hawse::node
