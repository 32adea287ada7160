// SPDX-License-Identifier: Apache-2.0
//
// A zygote that runs in a container, and the nodes that it forks there: a restart is a fork in the same container.
//
// The zygote's socket is the connection that the container's init has joined with; the sockets and streams of its nodes cross the container's wall as descriptors of
// `fork`. Init says on the same connection how the zygote has ended.
// A module that leaves threads running, and a container whose processes can't be seen from here (the engine runs elsewhere), can't have forks: the zygote becomes
// the node itself then, and the next start has a container of its own.
#pragma once

#include <memory>

#include "executor/container/container_instance.hpp"
#include "executor/zygote.hpp"

namespace hawse::executor {

class ContainerHome final : public ZygoteHome {
 public:
  ContainerHome(std::unique_ptr<ContainerInstance> container, pid_t init) : container_(std::move(container)), init_(init) {}

  int ended_fd() const noexcept override { return container_->ended_fd(); }
  void kill() noexcept override { container_->kill(); }
  void abort() noexcept override { container_->abort(); }
  void exited(int code, int signal) noexcept override { container_->exited(code, signal); }
  bool tells_exit() const noexcept override { return true; }
  Ending ending() override { return container_->collect(); }
  bool has(pid_t node) const override;
  std::string name() const override { return container_->where(); }

  bool visible() const noexcept { return init_ > 1; }
  ContainerInstance& container() noexcept { return *container_; }

 private:
  std::unique_ptr<ContainerInstance> container_;
  const pid_t init_;  // 0: can't be seen
};

struct ContainerZygote {
  std::shared_ptr<Zygote> zygote;
  ContainerHome* home = nullptr;                                     // the zygote's
  std::string key;                                                   // whom it may fork
  bool shared = false;                                               // with nodes of others
  std::vector<std::pair<std::string, std::int64_t>> phases_ns = {};  // of its making; told once, by the first start
};

// A node that it starts. Threading: as any Instance.
std::unique_ptr<Instance> fork_in_container(std::shared_ptr<ContainerZygote>, Launch);

}  // namespace hawse::executor
