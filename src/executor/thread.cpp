// SPDX-License-Identifier: Apache-2.0
//
// Executor `thread`: a stock C++ node as a thread of the runtime. It speaks the same control protocol over the same kind of socket as every
// other node. It can't be killed: when its socket hangs up, every call into the runtime throws Stopped, which ends it.
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/error.hpp"
#include "executor/executor.hpp"
#include "hawse/node.hpp"
#include "node/host.hpp"

namespace hawse::executor {
namespace {

class ThreadInstance : public Instance {
 public:
  ThreadInstance(node::MakeNode make, UniqueFd control, nlohmann::json params) : ended_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!ended_) throw Error::from_errno("start a thread node", "eventfd");
    thread_ = std::thread([this, make = std::move(make), fd = std::move(control), params = std::move(params)]() mutable {
      code_ = node::run_node(std::move(fd), make, {.in_process = true, .params = std::move(params)});
      const std::uint64_t one = 1;
      (void)!write(ended_.get(), &one, sizeof one);
    });
  }
  ~ThreadInstance() override {
    if (thread_.joinable()) thread_.join();  // the runtime has closed its end of the socket: the node is on its way out
  }

  int ended_fd() const noexcept override { return ended_.get(); }
  Ending collect() override {
    if (thread_.joinable()) thread_.join();
    return {.kind = EndingKind::exited, .value = code_, .memory_limit_bytes = {}, .memory_peak_bytes = {}, .text = {}};
  }
  void kill() noexcept override {}
  Usage usage() const noexcept override { return {}; }
  std::string where() const override { return "thread"; }
  std::string limits_by() const override { return ""; }

 private:
  UniqueFd ended_;
  std::atomic<int> code_ = 0;
  std::thread thread_;
};

class ThreadExecutor : public Executor {
 public:
  explicit ThreadExecutor(NodeFactory factory) : factory_(std::move(factory)) {}
  Prepared prepare(const pipeline::Node& node, const Report&) override {
    Prepared prepared;
    prepared.entry = {{"kind", "stock"}, {"name", node.stock}};
    prepared.summary = "c++";
    return prepared;
  }
  std::unique_ptr<Instance> launch(Launch launch) override {
    return std::make_unique<ThreadInstance>([factory = factory_, name = launch.node->stock] { return factory(name); }, std::move(launch.control),
                                            launch.node->signature.params);
  }

 private:
  NodeFactory factory_;
};

}  // namespace

std::unique_ptr<Executor> make_thread_executor(NodeFactory factory) { return std::make_unique<ThreadExecutor>(std::move(factory)); }

}  // namespace hawse::executor
