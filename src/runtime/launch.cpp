// SPDX-License-Identifier: Apache-2.0
//
// From a node of the pipeline to a running instance whose control socket the session holds.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/socket.hpp"
#include "base/text.hpp"
#include "executor/container/join_point.hpp"
#include "executor/process_id.hpp"
#include "runtime/session.hpp"

namespace hawse::runtime {
namespace {

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno("start a node", "pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

constexpr std::int64_t kJoinTimeoutNs = 5'000'000'000;
constexpr std::int64_t kSlowEngineNs = 5'000'000'000;
constexpr std::size_t kMaxJoining = 64;

}  // namespace

void Session::prepare(NodeRun& node) {
  node.state = State::preparing;
  executor::Executor& where = executors_.of(node.spec->executor);
  const auto finish = [this, &node](const std::optional<Error>& error) {
    if (killing_) return end_node(node, State::failed);
    if (!error) return launch(node);
    set_state(node, State::failed);
    std::string hint = error->hint();
    if (error->code() == ErrorCode::engine) hint += (hint.empty() ? "" : "; or ") + ("run it as a process: --executor " + node.id + "=process");
    emit("failure", node.id, {{"text", error->operation() + ": " + error->context()}, {"hint", hint}, {"restarting", false}});
    close_links(node, true);
    fail_session(error->code() == ErrorCode::engine ? ErrorCode::engine : ErrorCode::environment, "the environment of " + node.id + " can't be made");
    check_over();
  };
  const auto attempt = [this, &node, &where]() -> std::optional<Error> {
    try {
      const std::int64_t begun_ns = plane::monotonic_ns();
      node.prepared = where.prepare(*node.spec, report_for(node));
      node.prepared.took_ns = plane::monotonic_ns() - begun_ns;
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    } catch (const std::exception& error) {
      return Error(ErrorCode::internal, "prepare " + node.id, error.what());
    }
  };
  if (node.spec->executor == pipeline::ExecutorKind::thread) return finish(attempt());
  work([this, attempt, finish] {
    loop_.post([finish, error = attempt()] { finish(error); });
  });
}

executor::Report Session::report_for(NodeRun& node) {
  return [this, &node](const executor::Progress& progress) {
    loop_.post([this, &node, progress] {
      emit("progress", node.id, {{"what", progress.what}, {"done", progress.done}, {"total", progress.total}, {"unit", progress.unit}, {"line", progress.line}});
    });
  };
}

void Session::open_output(NodeRun& node) {
  auto [out_read, out_write] = make_pipe();
  auto [err_read, err_write] = make_pipe();
  const auto reader = [this, &node](UniqueFd fd, const char* stream) {
    return std::make_unique<LineReader>(loop_, std::move(fd), [this, &node, stream](std::string_view line) { take_line(node, stream, line); },
                                        options_.room_for_output);
  };
  node.out = reader(std::move(out_read), "stdout");
  node.err = reader(std::move(err_read), "stderr");
  node.out_write = std::move(out_write);
  node.err_write = std::move(err_write);
}

void Session::launch(NodeRun& node) {
  node.failed.reset();
  node.broke.clear();
  node.hung = false;
  node.stands.clear();
  node.finished = node.configured = node.collected = false;
  node.exited.reset();
  node.tail.clear();
  node.phases = json::object();
  node.joined_ns = node.hello_ns = 0;
  node.import_ms = node.setup_ms = 0;
  node.launched_ns = plane::monotonic_ns();
  set_state(node, State::launching);
  executor::Launch what;
  what.node = node.spec;
  what.prepared = &node.prepared;
  what.session = id_;
  what.attempt = node.attempt;
  what.notice = [this, &node](const std::string& text) {
    loop_.post([this, &node, text] { emit("notice", node.id, {{"text", text}}); });
  };
  const auto kind = node.spec->executor;
  try {
    if (kind != pipeline::ExecutorKind::thread) open_output(node);
    if (kind == pipeline::ExecutorKind::container) {
      what.socket = folder_->path() / "socket";
      guard_->add("containers");
    }
    node.joins = !executors_.of(kind).takes_control(*node.spec);
    if (node.joins) {
      node.token = what.token = executor::random_token();
    } else {
      auto [ours, theirs] = socket_pair();
      node.control = std::move(ours);
      what.control = std::move(theirs);
      what.out = std::move(node.out_write);
      what.err = std::move(node.err_write);
      watch_control(node);
    }
    // Processes start from the loop's own thread: their PDEATHSIG follows the thread that forked them.
    if (kind != pipeline::ExecutorKind::container) return launched(node, executors_.of(kind).launch(std::move(what)));
    node.timer = loop_.after(kSlowEngineNs, [this, &node] { emit("notice", node.id, {{"text", "waits for its engine, which has not started its container yet"}}); });
  } catch (const Error& error) {
    return on_launch_failed(node, error);
  }
  work([this, &node, shared = std::make_shared<executor::Launch>(std::move(what))] {
    try {
      std::shared_ptr<executor::Instance> instance = executors_.container->launch(std::move(*shared));
      loop_.post([this, &node, instance] { launched(node, instance); });
    } catch (const executor::Unreachable& error) {
      loop_.post([this, &node, error] { on_launch_failed(node, error); });
    } catch (const Error& error) {
      loop_.post([this, &node, error] { on_launch_failed(node, error); });
    } catch (const std::exception& error) {
      loop_.post([this, &node, text = std::string(error.what())] { on_launch_failed(node, Error(ErrorCode::internal, "start " + node.id, text)); });
    }
  });
}

void Session::launched(NodeRun& node, std::shared_ptr<executor::Instance> instance) {
  node.instance = std::move(instance);
  node.engine_looks = 0;
  if (node.exited) node.instance->exited(node.exited->first, node.exited->second);
  for (const auto& line : node.instance->guarded()) guard_->add(line);
  if (killing_ || !node.broke.empty()) {
    cut_off(node);
  } else if (node.state == State::launching || node.state == State::joining || node.state == State::setting_up) {  // an engine's time isn't the node's
    node.timer = loop_.after(node.spec->start_timeout_ns, [this, &node] {
      const std::int64_t ns = node.spec->start_timeout_ns;
      break_off(node, "did not become ready within " + (ns % 1'000'000'000 == 0 ? std::to_string(ns / 1'000'000'000) + " s" : format_duration_ns(ns)));
    });
  }
  const int fd = node.instance->started_fd();
  if (fd < 0) return on_started(node);
  node.started_watch = loop_.on_readable(fd, [this, &node] { on_started(node); });
}

void Session::on_started(NodeRun& node) {
  if (std::exchange(node.started_watch, {})) {
    try {
      node.instance->started();
    } catch (const Error& error) {
      node.instance.reset();
      return on_launch_failed(node, error);
    }
    for (const auto& line : node.instance->guarded()) guard_->add(line);
  }
  node.where = node.instance->where();
  tell_phases(node);
  node.ended_watch = loop_.on_readable(node.instance->ended_fd(), [this, &node] { on_instance_ended(node); });
  watch_limits(node);
  // Where an engine answers late its node may be far ahead: whoever follows the run hears of its place all the same.
  if (node.state == State::launching) set_state(node, State::joining);
  else if (node.state == State::setting_up || node.state == State::running || node.state == State::finishing) set_state(node, node.state);
}

void Session::watch_control(NodeRun& node) {
  node.control_watch = loop_.on_readable(node.control.get(), [this, &node] { on_control(node); });
}

// ---- containers come to us --------------------------------------------------------------------------------------------

void Session::listen() {
  listener_ = listen_at(folder_->path() / "socket", 0666);  // the folder is 0700: only a mount of the socket itself leads here
  listener_watch_ = loop_.on_readable(listener_.get(), [this] { accept_connections(); });
}

void Session::accept_connections() {
  while (auto connection = accept_from(listener_.get())) {
    if (joining_.size() >= kMaxJoining) continue;
    const std::uint64_t number = next_joining_++;
    Joining& joining = joining_[number];
    joining.fd = std::move(*connection);
    joining.watch = loop_.on_readable(joining.fd.get(), [this, number] { on_join(number); });
    joining.timeout = loop_.after(kJoinTimeoutNs, [this, number] { joining_.erase(number); });
  }
}

void Session::on_join(std::uint64_t connection) {
  auto taken = joining_.extract(connection);
  Joining& joining = taken.mapped();
  joining.watch.reset();
  json message;
  try {
    const auto received = receive_message(joining.fd.get(), true);
    if (!received || !received->fds.empty()) return;
    message = json::parse(received->text, nullptr, false);
  } catch (const Error&) {
    return;
  }
  if (!message.is_object() || message.value("type", json()) != "join" || !message["token"].is_string()) return;
  const std::string token = message["token"];
  const auto found = std::ranges::find_if(nodes_, [&](const auto& node) { return !node->token.empty() && node->token == token; });
  if (found == nodes_.end()) return;
  NodeRun& node = **found;
  node.token.clear();  // valid once
  if (message.value("init", json()) == true) {
    try {
      if (!send_message(joining.fd.get(), R"({"type":"streams"})", {node.out_write.get(), node.err_write.get()}, true)) return;
    } catch (const Error&) {
      return;
    }
  }
  node.out_write.reset();
  node.err_write.reset();
  node.control = std::move(joining.fd);
  node.joined_ns = plane::monotonic_ns();
  watch_control(node);
}

}  // namespace hawse::runtime
