// SPDX-License-Identifier: Apache-2.0
//
// The conversation (docs/protocol.md), the round robin over the links, and the one place where a node sleeps.
#include "node/endpoint.hpp"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/error.hpp"
#include "base/random.hpp"
#include "plane/wait.hpp"

#ifndef HAWSE_VERSION
#define HAWSE_VERSION "0.1.0"
#endif

namespace hawse::node {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxTextBytes = 8192;                  // escaped it may be six times as long, and fits a message still
constexpr std::int64_t kProgressInterval_ns = 100'000'000;  // between two messages about the same work

std::string shortened(std::string_view text) {
  if (text.size() <= kMaxTextBytes) return std::string(text);
  return std::string(text.substr(0, kMaxTextBytes)) + " ... (" + std::to_string(text.size()) + " bytes)";
}

plane::WhenFull when_full_of(const std::string& name) {
  if (name == "block") return plane::WhenFull::block;
  if (name == "drop_oldest") return plane::WhenFull::drop_oldest;
  if (name == "drop_newest") return plane::WhenFull::drop_newest;
  if (name == "latest") return plane::WhenFull::latest;
  throw Error(ErrorCode::internal, "connect an output", "unknown policy " + name);
}

LogLevel level_of(const std::string& name) {
  return name == "debug" ? LogLevel::debug : name == "warning" ? LogLevel::warning : name == "error" ? LogLevel::error : LogLevel::info;
}

const char* name_of(LogLevel level) {
  constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
  return kNames[static_cast<std::size_t>(level)];
}

// Of the messages with descriptors (docs/protocol.md). What comes with others is closed.
std::size_t descriptors_of(const std::string& type) {
  if (type == "configure" || type == "output_link" || type == "input_link") return 2;
  return type == "arena" || type == "input_arena" ? 1 : 0;
}

void check_descriptors(const ControlMessage& message) {
  const std::size_t expected = descriptors_of(message.body.at("type").get<std::string>());
  if (expected != 0 && message.fds.size() != expected)
    throw Error(ErrorCode::internal, "read the runtime's message", std::to_string(message.fds.size()) + " descriptors came with " + message.body.dump());
}

}  // namespace

Endpoint::Endpoint(UniqueFd control, HangUp on_hang_up, std::string language) : channel_(std::move(control), on_hang_up), language_(std::move(language)) {
  stamp_.seed = random_bits();
}

Endpoint::~Endpoint() = default;

// ---- the conversation -----------------------------------------------------------------------------------------------------

void Endpoint::open() {
  send({{"type", "hello"}, {"protocol", 1}, {"pid", ::getpid()}, {"sdk", HAWSE_VERSION}, {"language", language_}});
  ControlMessage message = channel_.receive();
  if (message.body["type"] != "configure") throw Error(ErrorCode::internal, "join the run", "expected configure, got " + message.body.dump());
  configure(std::move(message));
  while (!begun_) apply(channel_.receive());  // the thread that listens is for when the node's code runs: until then its wakes would only cost time
  channel_.listen(waker_);
  for (const Link& link : links_)
    if (!link.connected) throw Error(ErrorCode::internal, "join the run", "a link is missing");
}

void Endpoint::configure(ControlMessage&& message) {
  check_descriptors(message);
  configuration_ = std::move(message.body);
  const plane::Status status = plane::Bell::map(message.fds[0].get(), &bell_);
  if (status != plane::Status::ok) throw Error(ErrorCode::system, "map the doorbell", plane::to_string(status));
  page_.map(message.fds[1].get());
  id_ = configuration_.at("node").get<std::string>();
  log_level_ = level_of(configuration_.value("log_level", "info"));
  spin_.set_limit(plane::has_one_core() ? 0 : configuration_.value("spin_ns", std::int64_t{0}));
  for (const json& input : configuration_.at("inputs")) input_ports_.push_back(input.at("port").get<std::string>());
  port_told_.resize(input_ports_.size());
  matched_ = configuration_.contains("match");
  for (const json& entry : configuration_.at("links")) {
    Link& link = links_.emplace_back();
    link.port = entry.at("input").get<std::size_t>();
    link.feedback = entry.value("feedback", false);
    link.end = std::make_shared<InputEnd>();
    link.end->number = links_.size() - 1;
    if (link.port >= input_ports_.size()) throw Error(ErrorCode::internal, "join the run", "a link to an input that isn't there");
  }
  const json first = configuration_.value("first_sequence", json::object());
  for (const json& output : configuration_.at("outputs")) {
    const std::string name = output.at("port").get<std::string>();
    outputs_.push_back(std::make_unique<PortOutput>(*this, outputs_.size(), name, output.at("links").get<std::size_t>(), first.value(name, std::uint64_t{1})));
  }
}

void Endpoint::take_messages() {
  for (const auto& output : outputs_)
    if (output->port().look_is_due()) output->give_back(plane::monotonic_ns());
  if (!channel_.pending()) return;
  while (auto message = channel_.take()) apply(std::move(*message));
  if (channel_.hung_up()) throw Stopped();
}

std::int64_t Endpoint::give_back(std::int64_t now_ns) {
  std::int64_t next_ns = plane::kNever;
  for (const auto& output : outputs_) next_ns = std::min(next_ns, output->give_back(now_ns));
  return next_ns;
}

void Endpoint::apply(ControlMessage&& message) {
  const json& body = message.body;
  const std::string type = body.at("type").get<std::string>();
  const auto output = [&]() -> PortOutput& { return *outputs_.at(body.at("port").get<std::size_t>()); };
  const auto link = [&]() -> Link& { return links_.at(body.at("link").get<std::size_t>()); };
  const auto arena = [&] { return body.at("arena").get<std::uint32_t>(); };
  const auto slots = [&] { return body.at("slots").get<std::uint32_t>(); };
  const auto set_aside = [&] { return body.value("set_aside", std::uint64_t{0}); };
  const auto slot_bytes = [&] { return body.at("slot_bytes").get<std::uint64_t>(); };
  check_descriptors(message);
  plane::Status status = plane::Status::ok;
  if (type == "begin") {
    begun_ = true;
  } else if (type == "start") {
    started_ = true;
  } else if (type == "stop") {
    stopping_.store(true, std::memory_order_relaxed);
  } else if (type == "hand_over") {
    handing_over_.store(true, std::memory_order_relaxed);
  } else if (type == "output_link") {
    output().set_link(body.at("index").get<std::uint32_t>(), message.fds[0].get(), message.fds[1].get(), body.at("queue").get<std::uint32_t>(),
                      when_full_of(body.at("when_full").get<std::string>()), set_aside());
  } else if (type == "input_link") {
    status = link().end->link.connect(message.fds[0].get(), message.fds[1].get(), set_aside());
    link().connected = true;
  } else if (type == "input_arena") {
    status = link().end->link.add_arena(message.fds[0].get(), arena(), slot_bytes(), slots());
  } else if (type == "drop_arena") {
    status = link().end->link.drop_arena(arena());
  } else if (type == "arena") {
    output().add_arena(arena(), message.fds[0].get(), slot_bytes(), slots());
  } else if (type == "arena_ready") {
    output().enable_arena(arena());
  } else if (type == "arena_refused") {
    output().refuse_arena(body.at("reason").get<std::string>());
  } else if (type == "arena_gone") {
    output().port().arena_gone();
  }  // others: of a newer runtime, and not needed
  if (status != plane::Status::ok) throw Error(ErrorCode::system, "connect an input", std::string(type) + ": " + plane::to_string(status));
}

void Endpoint::say_ready(std::int64_t import_ns, std::int64_t setup_ns) {
  send({{"type", "ready"}, {"phases", {{"import_ns", import_ns}, {"setup_ns", setup_ns}}}});
}

void Endpoint::await_start() {
  wait_until(false, false, -1, [this] { return started_; });
}

void Endpoint::log(LogLevel level, std::string_view text) {
  if (level < log_level_) return;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  send({{"type", "log"}, {"level", name_of(level)}, {"time_ns", std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec}, {"text", shortened(text)}});
}

void Endpoint::progress(std::string_view what, std::uint64_t done, std::uint64_t total, std::string_view unit) {
  const std::int64_t now_ns = plane::monotonic_ns();
  const bool last = total != 0 && done >= total;
  if (!last && what == progress_what_ && now_ns - progress_ns_ < kProgressInterval_ns) return;
  progress_what_ = what;
  progress_ns_ = now_ns;
  send({{"type", "progress"}, {"what", shortened(what)}, {"done", done}, {"total", total}, {"unit", unit}});
}

void Endpoint::failed(std::string_view summary, std::string_view traceback, std::string_view phase, std::uint64_t sequence) {
  send({{"type", "failed"}, {"summary", shortened(summary)}, {"traceback", shortened(traceback)}, {"sequence", sequence}, {"phase", phase}});
}

void Endpoint::finish_streams() {
  for (const auto& output : outputs_) output->end();
  for (Link& link : links_) link.end->link.close();
  page_.set(plane::NodeState::finished);
  send({{"type", "finished"}});
}

void Endpoint::stay() {
  wait_until(false, true, -1, [this] { return std::all_of(outputs_.begin(), outputs_.end(), [](const auto& output) { return output->settled(); }); });
}

void Endpoint::abandon() noexcept {
  for (Link& link : links_) link.end->abandoned.store(true, std::memory_order_relaxed);
}

// ---- frames ---------------------------------------------------------------------------------------------------------------

PortOutput* Endpoint::output(std::string_view port) noexcept {
  for (const auto& output : outputs_)
    if (output->name() == port) return output.get();
  return nullptr;
}

bool Endpoint::any_reader() noexcept {
  return std::any_of(outputs_.begin(), outputs_.end(), [](const auto& output) { return output->connected(); });
}

// One frame of this link, if it has one; notes what else it says.
bool Endpoint::take_from(Link& link, Event& event) {
  plane::Received received;
  plane::Status status = link.end->link.receive(&received);
  while (status == plane::Status::flushed) {
    if (hear(received.flush_id)) {
      event = {Event::Kind::flushed, link.port, {}, received.flush_id};
      return true;
    }
    status = link.end->link.receive(&received);
  }
  if (status == plane::Status::ok) {
    page_.count_in();
    if (!matched_) page_.begin_work(link.end->number, received.header);
    event = {Event::Kind::frame, link.port, make_frame(link.end, received), 0};
    return true;
  }
  link.ended = status == plane::Status::ended || status == plane::Status::corrupt;
  if (status == plane::Status::corrupt) log(LogLevel::error, "input '" + input_ports_[link.port] + "': its sender broke the rules of the shared memory; the edge is closed");
  return false;
}

bool Endpoint::link_over(const Link& link) const noexcept {
  if (link.ended || !link.feedback) return link.ended;
  return std::all_of(links_.begin(), links_.end(), [](const Link& other) { return other.ended || other.feedback; });
}

bool Endpoint::ended(std::size_t port) const noexcept {
  return std::all_of(links_.begin(), links_.end(), [&](const Link& link) { return link.port != port || link_over(link); });
}

bool Endpoint::find_ended(std::size_t port, Event& event) {
  bool all = true;
  for (std::size_t i = 0; i < input_ports_.size(); ++i) {
    if (port != kAnyPort && port != i) continue;
    const bool over = ended(i);
    if (over && !port_told_[i]) {
      port_told_[i] = true;
      event = {Event::Kind::port_ended, i, {}, 0};
      return true;
    }
    all = all && over;
  }
  if (all) event = {Event::Kind::ended, port, {}, 0};
  return all;
}

// ---- flushes ----------------------------------------------------------------------------------------------------------------

// Of several links one with a flush comes first, whoever's turn it is; not the same twice in a row: a sender that flushes without end takes no more than its turn.
void Endpoint::prefer_flush(std::size_t port) noexcept {
  for (std::size_t i = 0; i < links_.size(); ++i)
    if (i != flushed_link_ && (port == kAnyPort || links_[i].port == port) && links_[i].connected && !links_[i].ended && links_[i].end->link.flush_waiting() != 0) next_link_ = i;
}

bool Endpoint::has_heard(std::uint64_t flush_id) const noexcept { return std::ranges::find(heard_, flush_id) != heard_.end(); }

bool Endpoint::hear(std::uint64_t flush_id) noexcept {
  if (!interruptible_) return true;  // a program's inputs and outputs have nothing to do with each other: each output is told
  if (has_heard(flush_id)) return false;
  heard_[next_heard_++ % heard_.size()] = flush_id;
  return true;
}

bool Endpoint::interrupted() const noexcept {
  if (!interruptible_) return false;
  return std::ranges::any_of(links_, [this](const Link& link) {
    const std::uint64_t id = link.connected && !link.ended ? link.end->link.flush_waiting() : 0;
    return id != 0 && !has_heard(id);
  });
}

void Endpoint::pass_on(std::uint64_t flush_id) noexcept {
  for (const auto& output : outputs_) output->port().flush(flush_id);
}

void Endpoint::begin_work(const Frame& frame) noexcept {
  plane::FrameHeader header{};
  header.sequence = frame.info().sequence;
  header.timestamp_ns = frame.info().timestamp_ns;
  page_.begin_work(frame.lease()->end->number, header);
}

void Endpoint::pause(std::size_t port, bool paused) noexcept {
  for (Link& link : links_)
    if (link.port == port) link.paused = paused;
}

Event Endpoint::next(std::size_t port, std::int64_t timeout_ns) {
  Event event;
  page_.end_work();
  wait_until(true, false, timeout_ns, [&] {
    if (handing_over()) {
      event.kind = Event::Kind::handing_over;
      return true;
    }
    if (links_.size() > 1) prefer_flush(port);
    for (std::size_t tried = 0; tried < links_.size(); ++tried) {
      const std::size_t index = next_link_;
      Link& link = links_[index];
      next_link_ = (index + 1) % links_.size();
      if ((port != kAnyPort && link.port != port) || link.ended || !link.connected || (link.paused && link.end->link.flush_waiting() == 0)) continue;
      if (!take_from(link, event)) continue;
      flushed_link_ = event.kind == Event::Kind::flushed ? index : kAnyPort;
      return true;
    }
    return find_ended(port, event);
  });
  return event;
}

// ---- waiting ----------------------------------------------------------------------------------------------------------------

bool Endpoint::sleep_until(std::int64_t monotonic_ns) {
  const std::int64_t left_ns = std::max<std::int64_t>(0, monotonic_ns - plane::monotonic_ns());
  auto leaves = [this] { return stopping() || handing_over(); };
  wait_until(false, false, left_ns, leaves);
  return !leaves();
}

struct Endpoint::Waiter {
  Endpoint& self;
  const bool inputs, outputs;
  bool (*const ready)(void*);
  void* const context;
  bool is_ready = false;
  plane::NodeState before = plane::NodeState::waiting;
  std::int64_t begin_ns = 0;

  bool there() { return self.channel_.pending() || (is_ready = ready(context)); }

  void prepare_sleep(plane::SleepSet& set) noexcept {
    for (const auto& output : self.outputs_)
      if (outputs) output->port().prepare_sleep(set);
    for (Link& link : self.links_)
      if ((inputs || outputs) && !link.ended) link.end->link.prepare_sleep(set, !inputs);
  }

  void sleeps_on(const std::atomic<std::uint32_t>* word) noexcept { self.waker_.sleeps_on(word); }

  void cancel_sleep() noexcept {
    self.waker_.awake();
    for (const auto& output : self.outputs_) output->port().cancel_sleep();
    for (Link& link : self.links_)
      if ((inputs || outputs) && !link.ended) link.end->link.cancel_sleep();
  }

  void asleep(bool begins) noexcept {
    const std::int64_t now_ns = plane::monotonic_ns();
    if (begins) {
      before = self.page_.state();
      begin_ns = now_ns;
      if (before != plane::NodeState::finished) self.page_.set(plane::NodeState::waiting);
    } else {
      self.page_.add_waited(now_ns - begin_ns);
      self.page_.set(before);
    }
  }
};

bool Endpoint::wait_once(bool inputs, bool outputs, std::int64_t from_ns, std::int64_t timeout_ns, bool (*ready)(void*), void* context) {
  Waiter waiter{.self = *this, .inputs = inputs, .outputs = outputs, .ready = ready, .context = context};
  plane::wait_on(bell_, spin_, from_ns, timeout_ns, waiter);
  if (waiter.is_ready) spin_.came(plane::monotonic_ns() - from_ns);
  return waiter.is_ready;
}

}  // namespace hawse::node
