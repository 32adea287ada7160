// SPDX-License-Identifier: Apache-2.0
//
// run_node(): setup, the loop, finish, close; a failure in any of them becomes one `failed` message with the phase it happened in.
#include "node/host.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <typeinfo>
#include <utility>

#include "node/endpoint.hpp"
#include "node/matcher.hpp"
#include "node/params.hpp"

namespace hawse::node {
namespace {

class HostContext : public Context {
 public:
  explicit HostContext(Endpoint& endpoint) : endpoint_(endpoint) {}
  const std::string& id() const noexcept override { return endpoint_.id(); }
  Output* output(std::string_view port) noexcept override { return endpoint_.output(port); }
  bool has_input(std::string_view port) const noexcept override {
    const auto& ports = endpoint_.input_ports();
    return std::find(ports.begin(), ports.end(), port) != ports.end();
  }
  void log(LogLevel level, std::string_view text) override { endpoint_.log(level, text); }
  void progress(std::string_view what, std::uint64_t done, std::uint64_t total, std::string_view unit) override {
    alive();
    endpoint_.progress(what, done, total, unit);
  }
  void alive() noexcept override { endpoint_.page().alive(); }
  bool interrupted() const noexcept override { return endpoint_.interrupted(); }
  bool stopping() const noexcept override { return endpoint_.stopping() || endpoint_.handing_over(); }
  bool sleep_until(std::int64_t monotonic_ns) override { return endpoint_.sleep_until(monotonic_ns); }

 private:
  Endpoint& endpoint_;
};

// "std::runtime_error: the text", the type as the last line of a traceback has it.
std::string describe_type(const std::type_info* type) {
  if (type == nullptr) return "an exception of a foreign language";
  int status = 0;
  char* name = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  const std::string text = status == 0 ? name : type->name();
  std::free(name);
  return text;
}

class Life {
 public:
  Life(UniqueFd control, const HostOptions& options)
      : options_(options),
        endpoint_(std::move(control), options.in_process ? HangUp::tell : HangUp::exit_process, "c++"),
        context_(endpoint_) {}

  int run(const MakeNode& make) {
    int code = 1;
    try {
      live(make);
      code = 0;
    } catch (const Stopped&) {
      if (!endpoint_.hung_up()) report("Stopped was thrown by the node itself");
    } catch (const std::exception& error) {
      report(error.what());
    } catch (...) {
      report("an exception that is no std::exception");
    }
    return code;
  }

  // One more failure then changes nothing: the first is what went wrong.
  void close_after_failure() noexcept {
    endpoint_.abandon();
    try {
      if (node_ && !closed_) node_->close();
    } catch (...) {
    }
  }

 private:
  void live(const MakeNode& make) {
    endpoint_.may_be_interrupted();
    endpoint_.open();
    phase_ = "import";
    const std::int64_t begin_ns = plane::monotonic_ns();
    node_ = make();
    node_->attach(context_);
    phase_ = "setup";
    const std::int64_t made_ns = plane::monotonic_ns();
    node_->setup(make_params(endpoint_.configuration().value("params", nlohmann::json::object()), options_.params));
    endpoint_.say_ready(made_ns - begin_ns, plane::monotonic_ns() - made_ns);
    endpoint_.await_start();
    endpoint_.page().set(plane::NodeState::busy);
    if (endpoint_.input_ports().empty())
      produce();
    else if (const auto match = endpoint_.configuration().find("match"); match != endpoint_.configuration().end())
      process_matched({match->at("tolerance_ns").get<std::int64_t>(), match->at("wait_ns").get<std::int64_t>(), match->at("hold").get<std::size_t>()});
    else
      process();
    if (endpoint_.handing_over()) {
      endpoint_.abandon();
    } else {
      phase_ = "finish";
      endpoint_.page().set(plane::NodeState::busy);
      node_->finish();
      endpoint_.finish_streams();
      endpoint_.stay();
    }
    phase_ = "close";
    closed_ = true;
    Page& page = endpoint_.page();
    const plane::NodeState before = page.state();
    page.set(plane::NodeState::busy);
    node_->close();
    page.set(before);
  }

  template <typename Call>
  auto timed(Call&& call) {
    Page& page = endpoint_.page();
    page.set(plane::NodeState::busy);
    const std::int64_t begin_ns = plane::monotonic_ns() - page.waited_ns();
    struct Record {
      Page& page;
      std::int64_t begin_ns;
      ~Record() { page.processed(plane::monotonic_ns() - page.waited_ns() - begin_ns); }
    } record{page, begin_ns};
    return call();
  }

  void process() {
    const std::vector<std::string>& ports = endpoint_.input_ports();
    for (;;) {
      phase_ = "process";
      Event event = endpoint_.next();
      if (event.kind == Event::Kind::ended || event.kind == Event::Kind::handing_over) return;
      if (event.kind == Event::Kind::port_ended) node_->input_ended(ports[event.port]);
      if (event.kind == Event::Kind::flushed) take_flush(event);
      if (event.kind != Event::Kind::frame) continue;
      take_in_hand(event.frame.info());
      in_hand_ = event.frame;
      const Input input{ports[event.port], std::move(event.frame)};
      timed([&] { node_->process(input); });
      in_hand_ = {};
      sequence_ = 0;
    }
  }

  void take_flush(const Event& event) {
    phase_ = "flushed";
    endpoint_.page().set(plane::NodeState::busy);
    if (matcher_) matcher_->clear(event.port);
    if (node_->flushed(endpoint_.input_ports()[event.port])) endpoint_.pass_on(event.flush_id);
    phase_ = "process";
  }

  void take_in_hand(const FrameInfo& info) {
    endpoint_.stamp().take_over(info);
    sequence_ = info.sequence;
  }

  void process_matched(const MatchRule& rule) {
    const std::vector<std::string>& ports = endpoint_.input_ports();
    phase_ = "process";
    matcher_.emplace(rule, ports.size(), [](Frame&& frame) { frame.lease()->end->link.count_unmatched(); });
    for (;;) {
      while (matcher_->take(set_)) process_set();
      for (std::size_t i = 0; i < ports.size(); ++i) endpoint_.pause(i, !matcher_->has_room(i));
      const std::int64_t deadline_ns = matcher_->deadline_ns();
      Event event = endpoint_.next(Endpoint::kAnyPort, deadline_ns < 0 ? -1 : std::max<std::int64_t>(0, deadline_ns - plane::monotonic_ns()));
      if (event.kind == Event::Kind::ended || event.kind == Event::Kind::handing_over) return;
      if (event.kind == Event::Kind::flushed) take_flush(event);
      if (event.kind == Event::Kind::timed_out) matcher_->expire(plane::monotonic_ns());
      if (event.kind == Event::Kind::frame) {
        const std::int64_t timestamp_ns = event.frame.info().timestamp_ns;
        matcher_->add(event.port, std::move(event.frame), timestamp_ns, plane::monotonic_ns());
      }
      if (event.kind != Event::Kind::port_ended) continue;
      matcher_->end(event.port);
      node_->input_ended(ports[event.port]);
    }
  }

  // The earliest of the set is the one in hand: what is sent takes its time and its trace.
  void process_set() {
    const auto earliest = std::ranges::min_element(set_, {}, [](const Frame& frame) { return frame.info().timestamp_ns; });
    take_in_hand(earliest->info());
    Matched matched;
    for (std::size_t i = 0; i < set_.size(); ++i) matched.inputs.push_back({endpoint_.input_ports()[i], set_[i]});
    endpoint_.begin_work(*earliest);
    timed([&] { node_->process_matched(matched); });
    endpoint_.page().end_work();
    set_.clear();
    sequence_ = 0;
  }

  void produce() {
    phase_ = "produce";
    const bool has_outputs = endpoint_.any_reader();
    while (!context_.stopping() && (!has_outputs || endpoint_.any_reader())) {
      if (!timed([&] { return node_->produce(); })) return;
      endpoint_.take_messages();
    }
  }

  void report(const char* summary) noexcept {
    try {
      const std::string type = describe_type(abi::__cxa_current_exception_type());
      endpoint_.failed(summary, type + ": " + summary, phase_, sequence_);
    } catch (...) {  // the runtime is gone: nobody is left to tell
    }
  }

  const HostOptions& options_;
  Endpoint endpoint_;
  HostContext context_;
  std::unique_ptr<Node> node_;  // before the endpoint at the end: what it keeps goes back to its ports
  Frame in_hand_;               // kept beyond the unwinding of a failure in process(), as are the two below
  std::optional<Matcher<Frame>> matcher_;
  std::vector<Frame> set_;
  const char* phase_ = "setup";
  std::uint64_t sequence_ = 0;
  bool closed_ = false;
};

}  // namespace

int run_node(UniqueFd control, const MakeNode& make, const HostOptions& options) noexcept {
  try {
    Life life(std::move(control), options);
    const int code = life.run(make);
    if (code != 0) life.close_after_failure();
    return code;
  } catch (...) {  // no memory, no thread: the socket closes, and the runtime sees it
    return 1;
  }
}

}  // namespace hawse::node
