// SPDX-License-Identifier: Apache-2.0
//
// include/hawse/pipeline.hpp: a session on a thread of its own, and the calling program as its node "application", over a socket pair.
#include "hawse/pipeline.hpp"

#include <algorithm>
#include <deque>
#include <thread>

#include "base/exit_codes.hpp"
#include "base/socket.hpp"
#include "embed/stock.hpp"
#include "node/endpoint.hpp"
#include "runtime/session.hpp"

namespace hawse {
namespace {

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace

struct Session::Impl {
  Impl(pipeline::Pipeline loaded, ControlSocket control) : names(std::move(loaded)) {
    const bool attached = !names.inputs.empty() || !names.outputs.empty();
    UniqueFd theirs;
    if (attached) std::tie(ours, theirs) = socket_pair();
    session = std::make_unique<runtime::Session>(names, runtime::make_executors(embed::make_stock_node),
                                                 runtime::Session::Options{.on_event =
                                                                               [this](const runtime::Event& event) {
                                                                                 if (event.type == "failure" && why.empty())
                                                                                   why = event.node + " " + event.data["text"].get<std::string>();
                                                                               },
                                                                           .application = std::move(theirs),
                                                                           .log_level = "info",
                                                                           .control = control == ControlSocket::open});
    thread = std::thread([this] { outcome = session->run(); });
    if (!attached) return;
    try {
      endpoint = std::make_unique<node::Endpoint>(std::move(ours), node::HangUp::tell, "c++");
      endpoint->open();
      endpoint->say_ready(0, 0);
      endpoint->await_start();
    } catch (const Stopped&) {
      endpoint.reset();
      thread.join();
      throw Error(outcome.failure.value_or(ErrorCode::node), "start " + names.name, why.empty() ? outcome.reason : outcome.reason + ": " + why);
    }
  }

  ~Impl() {
    if (!thread.joinable()) return;
    session->kill_all();
    endpoint.reset();
    thread.join();
  }

  // Takes one event in; false: the timeout passed.
  bool take(std::size_t port, std::int64_t timeout_ns) {
    node::Event event = endpoint->next(port, timeout_ns);
    if (event.kind == node::Event::Kind::frame) waiting[event.port].push_back(std::move(event.frame));
    if (event.kind == node::Event::Kind::flushed) {
      waiting[event.port].clear();
      if (on_flush) on_flush(endpoint->input_ports()[event.port]);
    }
    return event.kind != node::Event::Kind::timed_out;
  }

  std::size_t port_of(const std::string& name) const {
    const auto& ports = endpoint->input_ports();
    const auto found = std::ranges::find(ports, name);
    if (found == ports.end()) throw std::out_of_range("the pipeline has no output '" + name + "'; it has: " + join(names.outputs));
    return static_cast<std::size_t>(found - ports.begin());
  }

  pipeline::Pipeline names;
  UniqueFd ours;
  std::unique_ptr<runtime::Session> session;
  std::unique_ptr<node::Endpoint> endpoint;  // none: the pipeline has no inputs and outputs
  std::map<std::size_t, std::deque<Frame>> waiting;
  std::function<void(const std::string&)> on_flush;
  std::thread thread;
  runtime::Outcome outcome;
  std::string why;
};

Session::Session(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session::~Session() = default;

Output& Session::input(const std::string& name) {
  node::PortOutput* output = impl_->endpoint ? impl_->endpoint->output(name) : nullptr;
  if (output == nullptr) throw std::out_of_range("the pipeline has no input '" + name + "'; it has: " + join(impl_->names.inputs));
  return *output;
}

void Session::end_input(const std::string& name) { static_cast<node::PortOutput&>(input(name)).end(); }

std::optional<Frame> Session::receive(const std::string& name, std::optional<std::chrono::nanoseconds> timeout) {
  const std::size_t port = impl_->port_of(name);
  auto& waiting = impl_->waiting[port];
  try {
    while (waiting.empty() && !impl_->endpoint->ended(port))
      if (!impl_->take(port, timeout ? timeout->count() : -1)) return std::nullopt;
  } catch (const Stopped&) {
    return std::nullopt;
  }
  if (waiting.empty()) return std::nullopt;
  Frame frame = std::move(waiting.front());
  waiting.pop_front();
  return frame;
}

bool Session::ended(const std::string& name) const {
  const std::size_t port = impl_->port_of(name);
  const auto waiting = impl_->waiting.find(port);
  return (waiting == impl_->waiting.end() || waiting->second.empty()) && (impl_->endpoint->hung_up() || impl_->endpoint->ended(port));
}

void Session::on_flush(std::function<void(const std::string& name)> call) { impl_->on_flush = std::move(call); }

void Session::stop() { impl_->session->request_stop(); }

int Session::wait() {
  if (impl_->endpoint) {
    try {
      impl_->endpoint->finish_streams();
      impl_->endpoint->stay();
    } catch (const Stopped&) {
      // The run is over already.
    }
    impl_->waiting.clear();
    impl_->endpoint.reset();
  }
  if (impl_->thread.joinable()) impl_->thread.join();
  return impl_->outcome.failure ? exit_code(*impl_->outcome.failure) : kOk;
}

Pipeline::Pipeline(std::string file, std::map<std::string, std::string> variables) : file_(std::move(file)), variables_(std::move(variables)) {
  pipeline::load(file_, {.set = variables_, .executors = {}, .env = {}}, pipeline::real_surroundings(embed::stock_nodes()));
}

Session Pipeline::start(ControlSocket control) {
  return Session(std::make_unique<Session::Impl>(
      pipeline::load(file_, {.set = variables_, .executors = {}, .env = {}}, pipeline::real_surroundings(embed::stock_nodes())), control));
}

}  // namespace hawse
