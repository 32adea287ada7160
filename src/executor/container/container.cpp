// SPDX-License-Identifier: Apache-2.0
//
// The container executor: environment (image, packages) at prepare(), a container at launch().
//
// The engine is found at the first use, not before: a pipeline without containers needs none. Instances share it and may outlive the executor.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <mutex>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/socket.hpp"
#include "executor/container/container_instance.hpp"
#include "executor/container/container_spec.hpp"
#include "executor/container/container_zygote.hpp"
#include "executor/container/gpus.hpp"
#include "executor/container/image_sdk.hpp"
#include "executor/container/images.hpp"
#include "executor/container/join_point.hpp"
#include "executor/container/ownership.hpp"
#include "executor/container/source_build.hpp"
#include "executor/executor.hpp"
#include "executor/python/packages.hpp"
#include "executor/warm.hpp"
#include "pipeline/elf.hpp"
#include "plane/port.hpp"

namespace hawse::executor {

using nlohmann::json;
using pipeline::Node;
using pipeline::NodeKind;

namespace {

constexpr std::int64_t kLastWait_ns = 5'000'000'000;  // for an engine that doesn't answer, at the end of a run

// A bind mount keeps a file's owner and mode: a file that only we can read is unreadable for the container's user.
void check_readable(const Node& node) {
  if (node.container.user == "0" || node.container.user.starts_with("0:") || node.container.user.starts_with("root")) return;
  std::vector<std::filesystem::path> files = node.code_files;
  if (node.kind == NodeKind::program) files = {node.source_file};
  for (const auto& file : files) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) throw Error::from_errno("prepare node " + node.id, file.string());
    if (status.st_mode & S_IROTH || node.container.user == fmt::format("{}:{}", status.st_uid, status.st_gid)) continue;
    throw Error(ErrorCode::environment, "prepare node " + node.id, fmt::format("{} can't be read by the container's user {}", file.string(), node.container.user),
                fmt::format("chmod o+r {}", file.string()));
  }
}

json entry_of(const Node& node) {
  if (node.kind == NodeKind::program) return {{"kind", "program"}};
  return {{"kind", "python"}, {"file", node.source_file.empty() ? "" : inside(node, node.source_file)}, {"module", node.module}, {"class", node.class_name}};
}

Labels labels_of(const Launch& launch) {
  Labels labels = owner_labels(launch.session);
  labels["hawse.node"] = launch.node->id;
  if (!launch.prepared->packages.empty()) labels["hawse.packages"] = launch.prepared->packages.filename().string();
  return labels;
}

class ContainerExecutor final : public Executor {
 public:
  explicit ContainerExecutor(Making making) : making_(std::move(making)) {}
  Prepared prepare(const Node& node, const Report& report) override;
  bool takes_control(const Node&) override;
  std::unique_ptr<Instance> launch(Launch) override;
  std::shared_ptr<void> let_go(const std::string& node) override;
  std::vector<std::string> finish() override;

 private:
  struct Environments {
    Environments(const Engine& engine, std::filesystem::path folder, bool on_request) : state(std::move(folder)), index(state / "index.sqlite"), store(state, index), images(engine, index, state, on_request) {}
    std::shared_ptr<const Use> use(const Image& image, const Node& node) {
      index.touch(image.reference.starts_with("hawse/python:") ? "base" : "image", image.reference, node.file);
      return std::make_shared<const Use>(state, image.id, fmt::format("{} (process {})", node.file, ::getpid()));
    }
    std::filesystem::path state;
    EnvironmentIndex index;
    PackageStore store;
    Images images;
  };

  std::shared_ptr<const Engine> engine();
  Environments& environments();
  void prepare_python(const Node&, const Image&, Prepared&, const Report&);
  std::unique_ptr<ContainerInstance> make_container(const Launch&, const json& body);
  std::unique_ptr<Instance> launch_forked(Launch);
  std::unique_ptr<Instance> launch_in_new(Launch, const Recipe&);
  std::unique_ptr<Instance> launch_in_lent(Launch, const Recipe&, Lent);
  std::unique_ptr<Instance> fork_in(std::shared_ptr<ContainerZygote>, Launch);

  void keep(std::shared_ptr<const Use> use) {
    const std::lock_guard lock(mutex_);
    uses_.push_back(std::move(use));
  }

  const Making making_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Use>> uses_;  // of all that it has prepared
  std::shared_ptr<const Engine> engine_;
  std::shared_ptr<Removals> removals_;  // of that engine
  std::string cut_off_;                 // the session, once a container may have been made without an answer
  std::unique_ptr<Environments> environments_;
  std::map<std::string, std::shared_ptr<ContainerZygote>> zygotes_;  // by node; one a node
  unsigned joins_ = 0;
};

std::shared_ptr<const Engine> ContainerExecutor::engine() {
  const std::lock_guard lock(mutex_);
  if (!engine_) {
    engine_ = std::make_shared<const Engine>(Engine::find_socket(), making_.interrupt);
    removals_ = std::make_shared<Removals>(engine_);
  }
  return engine_;
}

ContainerExecutor::Environments& ContainerExecutor::environments() {
  const auto ready = engine();
  const std::lock_guard lock(mutex_);
  if (!environments_) environments_ = std::make_unique<Environments>(*ready, state_dir(), making_.on_request);
  return *environments_;
}

Prepared ContainerExecutor::prepare(const Node& node, const Report& report) {
  if (node.kind == NodeKind::stock)
    throw Error(ErrorCode::environment, "prepare node " + node.id, node.reference + " is a stock node, and those run on the host",
                "executor: process (a process of its own) or thread");
  check_readable(node);
  pipeline::ContainerOptions options = node.container;
  if (options.python.empty()) options.python = node.python.version;  // of a node that was moved here from a process
  const std::string& gpus = options.gpus;
  const bool looks = !gpus.empty() && !making_.on_request;  // an environment can be made where there are none
  const bool knows = looks && check_gpus(*engine(), gpus, "");
  const Image image = environments().images.ready(options, report);
  if (looks && !knows) check_gpus(*engine(), gpus, image.id);
  keep(environments().use(image, node));
  Prepared prepared;
  prepared.entry = entry_of(node);
  prepared.image = image.id;
  if (node.kind == NodeKind::python) {
    prepare_python(node, image, prepared, report);
  } else {
    // A static program, or a script, loads nothing of the image's.
    if (const auto loader = pipeline::read_elf_section(node.source_file, ".interp"); loader && loader->find("musl") == std::string::npos)
      environments().images.refuse_musl(image, "link the program statically, or take an image with glibc: debian:12-slim in place of alpine");
    prepared.summary = "c++ in " + image.reference;
  }
  return prepared;
}

void ContainerExecutor::prepare_python(const Node& node, const Image& image, Prepared& prepared, const Report& report) {
  Environments& ours = environments();
  const ImagePython python = ours.images.python_of(image);
  prepared.summary = "python " + python.version;
  make_image_sdk(*engine(), image.id, resources_dir() / "python", state_dir());
  if (node.packages.empty()) return;
  PackageTarget target{python.tag, python.platform, find_python(""), node.file, [&](const std::filesystem::path& folder) { ours.images.compile(image, folder); }};
  target.interrupt = making_.interrupt.get();
  target.build = [&](const Resolved& package, const std::vector<std::string>& building) {
    return SourceBuilder(*engine(), ours.images, ours.store, ours.index, ours.state).wheel(image, target, package, building, report);
  };
  const Packages packages = ours.store.install(target, node.packages, report);
  prepared.packages = packages.folder;
  keep(packages.use);
  prepared.path = {kPackagesInside};
  prepared.summary += ", " + packages.summary;
}

std::unique_ptr<ContainerInstance> ContainerExecutor::make_container(const Launch& launch, const json& body) {
  const auto ready = engine();
  try {
    auto made = std::make_unique<ContainerInstance>(ready, removals_, container_name(launch), body, launch.node->limits.own_memory_bytes(), launch.notice);
    if (launch.attempt == 1 && launch.notice)
      for (const auto& warning : made->warnings()) launch.notice("its engine says: " + warning);
    return made;
  } catch (const Error& error) {
    const auto* silent = dynamic_cast<const Unreachable*>(&error);
    if (error.code() == ErrorCode::interrupted || (silent != nullptr && silent->asked)) {
      const std::lock_guard lock(mutex_);
      cut_off_ = launch.session;
    }
    throw;
  }
}

std::unique_ptr<Instance> ContainerExecutor::launch(Launch launch) {
  if (launch.control) return launch_forked(std::move(launch));
  const auto sdk = image_sdk(launch.prepared->image, resources_dir() / "python", state_dir());
  return make_container(launch, create_body(launch, resources_dir(), sdk, labels_of(launch)));
}

// Where only one start can be foreseen, and nothing is kept warm, a zygote would be one process more.
bool ContainerExecutor::takes_control(const Node& node) {
  if (node.kind != NodeKind::python || !node.fork) return false;
  return node.restart.on == pipeline::RestartOn::failure || node.pool > 0 || node.share || is_kept(node);
}

// In the container that the last start was in; else in one that waits; else in a new one.
std::unique_ptr<Instance> ContainerExecutor::launch_forked(Launch launch) {
  const Recipe recipe = container_recipe(*launch.node, *launch.prepared);
  std::shared_ptr<ContainerZygote> last;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = zygotes_.find(launch.node->id); found != zygotes_.end()) last = found->second;
  }
  if (last && last->key == recipe.key && last->zygote->usable()) return fork_in_container(std::move(last), std::move(launch));
  last.reset();
  let_go(launch.node->id);
  if (launch.node->share) return launch_in_lent(std::move(launch), recipe, join_shared(recipe, making_.interrupt.get()));
  if (auto lent = take_or_keep(*launch.node, recipe, launch.attempt, making_.interrupt.get())) return launch_in_lent(std::move(launch), recipe, std::move(*lent));
  return launch_in_new(std::move(launch), recipe);
}

std::unique_ptr<Instance> ContainerExecutor::launch_in_new(Launch launch, const Recipe& recipe) {
  unsigned number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = ++joins_;
  }
  JoinPoint point(launch.socket.parent_path() / ("join" + std::to_string(number)));
  json body = recipe.container;
  body["Labels"] = labels_of(launch);
  set_join(body, point.socket(), point.token());
  auto container = make_container(launch, body);
  const std::int64_t started_ns = plane::monotonic_ns();
  UniqueFd connection = point.wait(container->ended_fd(), launch.node->start_timeout_ns, making_.interrupt.get());
  if (!connection) return container;  // its end, or the runtime's patience, says why
  auto made = std::make_shared<ContainerZygote>();
  made->key = recipe.key;
  made->phases_ns = container->phases_ns();
  made->phases_ns.back().second += plane::monotonic_ns() - started_ns;  // the start, until its init has come to us
  send_message(connection.get(), R"({"type":"streams"})", {launch.out.get(), launch.err.get()});
  send_message(connection.get(), recipe.import.dump());
  auto home = std::make_unique<ContainerHome>(std::move(container), peer_of(connection.get()).pid);
  made->home = home.get();
  made->zygote = std::make_shared<Zygote>(std::move(home), std::move(connection));
  return fork_in(std::move(made), std::move(launch));
}

std::unique_ptr<Instance> ContainerExecutor::launch_in_lent(Launch launch, const Recipe& recipe, Lent lent) {
  auto taken = std::make_shared<ContainerZygote>();
  taken->key = recipe.key;
  taken->shared = launch.node->share;
  const auto ready = engine();
  auto container = std::make_unique<ContainerInstance>(ready, removals_, lent.container, lent.pid, launch.node->limits.own_memory_bytes(), launch.notice,
                                                       std::move(lent.keeper), taken->shared);
  auto home = std::make_unique<ContainerHome>(std::move(container), lent.pid);
  taken->home = home.get();
  taken->zygote = std::make_shared<Zygote>(std::move(home), std::move(lent.zygote));
  return fork_in(std::move(taken), std::move(launch));
}

std::unique_ptr<Instance> ContainerExecutor::fork_in(std::shared_ptr<ContainerZygote> zygote, Launch launch) {
  {
    const std::lock_guard lock(mutex_);
    zygotes_[launch.node->id] = zygote;
  }
  return fork_in_container(std::move(zygote), std::move(launch));
}

std::shared_ptr<void> ContainerExecutor::let_go(const std::string& node) {
  const std::lock_guard lock(mutex_);
  auto found = zygotes_.extract(node);
  return found ? std::move(found.mapped()) : nullptr;
}

std::vector<std::string> ContainerExecutor::finish() {
  std::exchange(zygotes_, {}).clear();
  std::vector<std::string> left;
  if (!removals_) return left;
  for (const auto& container : removals_->finish(kLastWait_ns)) left.push_back("container " + container.substr(0, 12) + ": the engine at " + engine_->socket_path() + " doesn't answer");
  try {
    if (!cut_off_.empty()) kill_session(*engine_, cut_off_);
  } catch (const Error& error) {
    left.push_back("a container that it was asked for and didn't answer: " + error.context());
  }
  return left;
}

}  // namespace

std::unique_ptr<Executor> make_container_executor(Making making) { return std::make_unique<ContainerExecutor>(std::move(making)); }

}  // namespace hawse::executor
