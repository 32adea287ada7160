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
  ThreadInstance(std::unique_ptr<hawse::Node> node, UniqueFd control, nlohmann::json signature)
      : ended_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), node_(std::move(node)) {
    if (!ended_) throw Error::from_errno("start a thread node", "eventfd");
    thread_ = std::thread([this, fd = std::move(control), signature = std::move(signature)]() mutable {
      code_ = run_node(std::move(fd), *node_, {.in_process = true, .signature = std::move(signature)});
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
  std::unique_ptr<hawse::Node> node_;
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
    auto node = factory_(launch.node->stock);
    if (!node) throw Error(ErrorCode::internal, "start " + launch.node->id, "no stock node " + launch.node->stock);
    return std::make_unique<ThreadInstance>(std::move(node), std::move(launch.control), launch.node->signature.params);
  }

 private:
  NodeFactory factory_;
};

}  // namespace

std::unique_ptr<Executor> make_thread_executor(NodeFactory factory) { return std::make_unique<ThreadExecutor>(std::move(factory)); }

}  // namespace hawse::executor
