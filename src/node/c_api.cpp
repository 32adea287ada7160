// SPDX-License-Identifier: Apache-2.0
//
// include/hawse/node.h over the C++ node library: the loop of host.cpp turned inside out, so that the node calls and isn't called.
//
// Handles.    Numbers into a table whose entries are never freed, each with a count of its uses in the number: whatever comes in is compared with
//             what the entry has now, and nothing of the caller's is followed as a pointer.
// Exceptions. guarded() stands around all that can throw.
// Threading.  The table by any thread. A node by one at a time, which `Entered` looks after.
#include "hawse/node.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "node/endpoint.hpp"
#include "node/matcher.hpp"
#include "node/params.hpp"
#include "node/program.hpp"

namespace hawse::node {
namespace {

using nlohmann::json;

static_assert(HAWSE_BYTES == static_cast<int>(FrameType::bytes) && HAWSE_COMPLEX128 == static_cast<int>(Dtype::complex128));
static_assert(HAWSE_YUV420P == static_cast<int>(PixelFormat::yuv420p) && HAWSE_LOG_ERROR == static_cast<int>(LogLevel::error));
static_assert(HAWSE_MAX_RANK == plane::kMaxRank && HAWSE_NO_TIMESTAMP == kNoTimestamp);
static_assert(sizeof(hawse_info) == 192 && sizeof(hawse_event) == 32 &&
              sizeof(hawse_input) == 16);  // of version 1.0: may grow at their ends, never shrink

constexpr std::size_t kInfoBytes = 192, kEventBytes = 32;  // of version 1.0
constexpr std::size_t kMaxLanguageBytes = 64;

// ---- errors -----------------------------------------------------------------------------------------------------------------

constexpr std::size_t kMessageBytes = 2048;
thread_local char last_error[kMessageBytes] = "";

int failed(int code, const char* text) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", text);
  return code;
}

class Failure : public std::runtime_error {
 public:
  Failure(int code, const std::string& text) : std::runtime_error(text), code_(code) {}
  int code() const noexcept { return code_; }

 private:
  int code_;
};

template <typename Call>
int guarded(Call&& call) noexcept {
  try {
    return call();
  } catch (const Failure& error) {
    return failed(error.code(), error.what());
  } catch (const Stopped& error) {
    return failed(HAWSE_ERROR_STOPPED, error.what());
  } catch (const AllocationError& error) {
    return failed(HAWSE_ERROR_MEMORY, error.what());
  } catch (const std::bad_alloc&) {
    return failed(HAWSE_ERROR_MEMORY, "the process has no memory left");
  } catch (const std::invalid_argument& error) {
    return failed(HAWSE_ERROR_INVALID, error.what());
  } catch (const std::exception& error) {
    return failed(HAWSE_ERROR_SYSTEM, error.what());
  } catch (...) {
    return failed(HAWSE_ERROR_SYSTEM, "an error without a name");
  }
}

void need(bool fine, const char* text) {
  if (!fine) throw Failure(HAWSE_ERROR_INVALID, text);
}

// ---- handles ----------------------------------------------------------------------------------------------------------------

enum class Kind : std::uint64_t { frame = 1, out = 2, node = 3 };
constexpr const char* kKinds[] = {"", "a received frame", "a frame to send", "a node"};

class Joined;

struct OpenOut {
  OutFrame frame;
  hawse_node node = 0;
  std::size_t port = 0;
};

struct Entry {
  std::atomic<std::uint64_t> handle{0};  // 0: free
  std::atomic<std::uint32_t> next{0};    // of the free ones
  std::uint64_t uses = 0;
  Frame frame;
  OpenOut out;
  std::shared_ptr<Joined> node;
};

// A handle: kind in the lowest 2 bits, index in the next 22, uses of that index above. Free entries are a stack, its top with a count of its changes, so
// that one which is taken and given back meanwhile is seen to have moved.
class Handles {
 public:
  Entry& open(Kind kind, std::uint64_t* handle) {
    std::uint32_t index = 0;
    while ((index = pop()) == kNone) add_chunk();
    Entry& entry = at(index);
    *handle = ++entry.uses << 24 | std::uint64_t{index} << 2 | static_cast<std::uint64_t>(kind);
    return entry;  // not to be found before publish()
  }

  static void publish(Entry& entry, std::uint64_t handle) noexcept { entry.handle.store(handle, std::memory_order_release); }

  Entry* find(std::uint64_t handle) noexcept {
    const std::uint32_t index = index_of(handle);
    if (handle == 0 || chunks_[index / kChunk].load(std::memory_order_acquire) == nullptr) return nullptr;
    Entry& entry = at(index);
    return entry.handle.load(std::memory_order_acquire) == handle ? &entry : nullptr;
  }

  // The end of a handle: true for the one caller who ends it, who then empties the entry and gives it back.
  static bool end(Entry& entry, std::uint64_t handle) noexcept { return entry.handle.compare_exchange_strong(handle, 0, std::memory_order_acq_rel); }

  void give_back(std::uint64_t handle) noexcept { push(index_of(handle)); }

 private:
  static constexpr std::uint32_t kIndexMask = (1u << 22) - 1, kNone = ~0u;
  static constexpr std::size_t kChunk = 1024;
  using Chunk = std::array<Entry, kChunk>;

  static std::uint32_t index_of(std::uint64_t handle) noexcept { return static_cast<std::uint32_t>(handle >> 2) & kIndexMask; }
  Entry& at(std::uint32_t index) noexcept { return (*chunks_[index / kChunk].load(std::memory_order_acquire))[index % kChunk]; }

  static std::uint64_t changed(std::uint64_t top, std::uint32_t index) noexcept { return ((top >> 32) + 1) << 32 | index; }

  std::uint32_t pop() noexcept {
    std::uint64_t top = top_.load(std::memory_order_acquire);
    for (;;) {
      const auto index = static_cast<std::uint32_t>(top);
      if (index == kNone) return kNone;
      const std::uint32_t next = at(index).next.load(std::memory_order_relaxed);
      if (top_.compare_exchange_weak(top, changed(top, next), std::memory_order_acquire)) return index;
    }
  }

  void push(std::uint32_t index) noexcept {
    std::uint64_t top = top_.load(std::memory_order_relaxed);
    do at(index).next.store(static_cast<std::uint32_t>(top), std::memory_order_relaxed);
    while (!top_.compare_exchange_weak(top, changed(top, index), std::memory_order_release, std::memory_order_relaxed));
  }

  void add_chunk() {
    const std::lock_guard lock(growing_);
    if (count_ == chunks_.size()) throw Failure(HAWSE_ERROR_MEMORY, "more frames are held than there are handles: release them");
    chunks_[count_].store(new Chunk, std::memory_order_release);
    for (std::size_t i = kChunk; i > 0; --i) push(static_cast<std::uint32_t>(count_ * kChunk + i - 1));
    ++count_;
  }

  std::atomic<std::uint64_t> top_{kNone};
  std::array<std::atomic<Chunk*>, (kIndexMask + 1) / kChunk> chunks_{};
  std::mutex growing_;
  std::size_t count_ = 0;
};

// Never destroyed: at the end of a process other threads may still release frames.
Handles& handles() {
  static Handles& all = *new Handles;
  return all;
}

Kind kind_of(std::uint64_t handle) noexcept { return static_cast<Kind>(handle & 3); }

Entry& find(Kind kind, std::uint64_t handle) {
  if (Entry* entry = kind_of(handle) == kind ? handles().find(handle) : nullptr) return *entry;
  const std::string wanted = kKinds[static_cast<std::size_t>(kind)];
  if (handle == 0) throw Failure(HAWSE_ERROR_HANDLE, "0 was given for " + wanted);
  if (kind_of(handle) != kind && handles().find(handle) != nullptr)
    throw Failure(HAWSE_ERROR_HANDLE, std::string(kKinds[handle & 3]) + " was given where " + wanted + " is needed");
  throw Failure(HAWSE_ERROR_HANDLE, wanted + " was named by a handle that is none, or no more (released, sent, discarded, or its node has left)");
}

// What a frame holds, taken out of the table for good.
template <typename Value>
Value take(Kind kind, std::uint64_t handle, Value Entry::*member) {
  Entry& entry = find(kind, handle);
  if (!Handles::end(entry, handle)) throw Failure(HAWSE_ERROR_HANDLE, "a handle was ended by two threads at once");
  Value value = std::exchange(entry.*member, {});
  handles().give_back(handle);
  return value;
}

// ---- a node -------------------------------------------------------------------------------------------------------------------

struct DeclaredPort {
  std::string name;
  unsigned types = 0;  // a bit for each FrameType; 0: any
  Output* output = nullptr;
  bool carries(FrameType type) const noexcept { return types == 0 || (types >> static_cast<unsigned>(type) & 1) != 0; }
};

unsigned types_of(const std::string& port, std::string text) {
  if (text.ends_with('?')) text.pop_back();
  if (text == "any") return 0;
  unsigned types = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('|', at), text.size());
    const std::string word = text.substr(at, end - at);
    unsigned type = HAWSE_AUDIO;
    while (type <= HAWSE_BYTES && word != to_string(static_cast<FrameType>(type))) ++type;
    if (type > HAWSE_BYTES) throw Failure(HAWSE_ERROR_INVALID, "the signature gives port '" + port + "' the type '" + word + "', which there isn't");
    types |= 1u << type;
    at = end + 1;
  }
  return types;
}

std::vector<DeclaredPort> ports_of(const json& signature, const char* key) {
  std::vector<DeclaredPort> ports;
  const auto found = signature.find(key);
  if (found == signature.end()) return ports;
  if (!found->is_object()) throw Failure(HAWSE_ERROR_INVALID, std::string("the signature's ") + key + " must be an object of names and types");
  for (const auto& [name, type] : found->items()) {
    if (!type.is_string()) throw Failure(HAWSE_ERROR_INVALID, "the signature gives port '" + name + "' a type that isn't text");
    ports.push_back({name, types_of(name, type.get<std::string>())});
  }
  return ports;
}

std::string names_of(const std::vector<DeclaredPort>& ports) {
  std::string text;
  for (const DeclaredPort& port : ports) text += (text.empty() ? "'" : ", '") + port.name + "'";
  return text.empty() ? "none" : text;
}

struct Declared {
  std::vector<DeclaredPort> inputs, outputs;
  bool any_inputs = false, any_outputs = false, matched = false;
  json params;
};

Declared read_signature(const char* text) {
  need(text != nullptr, "hawse_node_join(): the signature is NULL");
  const json signature = json::parse(text, nullptr, false);
  need(signature.is_object(), "hawse_node_join(): the signature isn't a JSON object");
  try {
    return {ports_of(signature, "inputs"),         ports_of(signature, "outputs"),    signature.value("any_inputs", false),
            signature.value("any_outputs", false), signature.value("matched", false), signature.value("params", json::object())};
  } catch (const json::exception& error) {
    throw Failure(HAWSE_ERROR_INVALID, std::string("hawse_node_join(): the signature: ") + error.what());
  }
}

class Joined {
 public:
  Joined(UniqueFd control, Declared declared, std::string language)
      : inputs_(std::move(declared.inputs)),
        outputs_(std::move(declared.outputs)),
        any_inputs_(declared.any_inputs),
        any_outputs_(declared.any_outputs),
        matches_(declared.matched),
        endpoint_(std::move(control), HangUp::exit_process, std::move(language)) {
    endpoint_.may_be_interrupted();
    endpoint_.open();
    params_ = make_param_data(endpoint_.configuration().value("params", json::object()), declared.params);
    begin_ns_ = plane::monotonic_ns();
  }

  ~Joined() {
    if (state_ != State::over) endpoint_.abandon();
  }

  // The manifest's ports against the signature's: `hawse check` has seen that of a program that shows its own, and of no other.
  void check_ports() {
    for (const std::string& name : endpoint_.input_ports())
      if (!any_inputs_ && !declares(inputs_, name))
        throw Failure(HAWSE_ERROR_PORT,
                      "an edge leads into the input '" + name + "' of '" + endpoint_.id() + "', whose signature has " + names_of(inputs_));
    for (const json& output : endpoint_.configuration().at("outputs")) {
      const std::string name = output.at("port").get<std::string>();
      if (!declares(outputs_, name)) {
        if (!any_outputs_)
          throw Failure(HAWSE_ERROR_PORT,
                        "an edge leads from the output '" + name + "' of '" + endpoint_.id() + "', whose signature has " + names_of(outputs_));
        outputs_.push_back({name, 0});
      }
    }
    for (DeclaredPort& port : outputs_) port.output = endpoint_.output(port.name);
    for (DeclaredPort& port : outputs_)
      if (port.output == nullptr) port.output = &unread_;
    if (endpoint_.configuration().contains("match") && !matches_)
      throw Failure(HAWSE_ERROR_PORT, "the manifest asks for matched inputs (inputs: {match: ...}) of '" + endpoint_.id() +
                                          "', whose signature doesn't say \"matched\": true");
  }

  void report(const char* summary, const char* details) { endpoint_.failed(summary, details, phase(), sequence_); }

  int ready() {
    in_order(State::joined, "hawse_node_ready()");
    endpoint_.say_ready(0, plane::monotonic_ns() - begin_ns_);
    endpoint_.await_start();
    Page& page = endpoint_.page();
    page.set(plane::NodeState::busy);
    state_ = State::running;
    was_read_ = endpoint_.any_reader();
    if (const auto match = endpoint_.configuration().find("match"); match != endpoint_.configuration().end())
      matcher_.emplace(
          MatchRule{match->at("tolerance_ns").get<std::int64_t>(), match->at("wait_ns").get<std::int64_t>(), match->at("hold").get<std::size_t>()},
          endpoint_.input_ports().size(), [](Frame&& frame) { frame.lease()->end->link.count_unmatched(); });
    return HAWSE_OK;
  }

  int next(std::int64_t timeout_ns, hawse_event& event) {
    in_order(State::running, "hawse_node_next()");
    end_work();
    event = {};
    if (over_ == HAWSE_EVENT_TIMED_OUT) {
      if (endpoint_.input_ports().empty())
        next_turn(event);
      else if (matcher_)
        next_set(timeout_ns, event);
      else
        next_frame(timeout_ns, event);
    } else {
      event.kind = over_;
    }
    if (event.kind == HAWSE_EVENT_ENDED || event.kind == HAWSE_EVENT_HANDED_OVER) over_ = event.kind;
    return HAWSE_OK;
  }

  int finish() {
    in_order(State::running, "hawse_node_finish()");
    end_work();
    in_finish_ = true;
    endpoint_.page().set(plane::NodeState::busy);
    if (endpoint_.handing_over()) {
      endpoint_.abandon();
    } else {
      endpoint_.finish_streams();
      endpoint_.stay();
    }
    state_ = State::over;
    return HAWSE_OK;
  }

  int fail(const char* summary, const char* details) {
    if (state_ == State::over) throw Failure(HAWSE_ERROR_ORDER, "hawse_node_fail(): the node has finished or failed before");
    endpoint_.abandon();
    state_ = State::over;
    report(summary, details);
    return HAWSE_OK;
  }

  std::size_t port(const char* name) {
    need(name != nullptr, "a port's name is NULL");
    for (std::size_t i = 0; i < outputs_.size(); ++i)
      if (outputs_[i].name == name) return i;
    if (!any_outputs_)
      throw Failure(HAWSE_ERROR_PORT, "'" + endpoint_.id() + "' has no output '" + name + "': its signature has " + names_of(outputs_));
    outputs_.push_back({name, 0, &unread_});
    return outputs_.size() - 1;
  }

  Output& output_for(std::size_t index, FrameType type, const char* call) {
    in_order(State::running, call);
    if (over_ == HAWSE_EVENT_HANDED_OVER) throw Failure(HAWSE_ERROR_ORDER, std::string(call) + ": a replacement goes on, nothing more is to be sent");
    const DeclaredPort& port = outputs_[index];
    if (!port.carries(type))
      throw Failure(HAWSE_ERROR_TYPE, std::string(call) + ": output '" + port.name + "' of '" + endpoint_.id() + "' doesn't carry " +
                                          to_string(type) + ": see its signature");
    return *port.output;
  }

  Output& flushed_output(const char* name) {
    in_order(State::running, "hawse_node_flush()");
    return *outputs_[port(name)].output;
  }

  bool has_input(const char* name) {
    need(name != nullptr, "a port's name is NULL");
    const auto& ports = endpoint_.input_ports();
    if (std::ranges::find(ports, name) != ports.end()) return true;
    if (any_inputs_ || declares(inputs_, name)) return false;
    throw Failure(HAWSE_ERROR_PORT, "'" + endpoint_.id() + "' has no input '" + name + "': its signature has " + names_of(inputs_));
  }

  bool has_output(const char* name) { return outputs_[port(name)].output != &unread_; }
  Output& output(std::size_t index) { return *outputs_[index].output; }

  // The mapping that a dotted name leads into, and its last part.
  std::pair<Params, std::string> param(const char* name) {
    need(name != nullptr, "a parameter's name is NULL");
    Params params(params_);
    std::string rest = name;
    try {
      for (std::size_t dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
        params = params.child(rest.substr(0, dot));
        rest.erase(0, dot + 1);
      }
    } catch (const std::invalid_argument& error) {
      throw Failure(HAWSE_ERROR_PARAM, error.what());
    }
    return {params, rest};
  }

  std::string all_params() const { return params_->values.dump(-1, ' ', false, json::error_handler_t::replace); }

  // Lives as long as the node; asked for again, it is the same one.
  const char* keep(const std::string& key, std::string text) {
    std::string& kept = texts_[key];
    if (kept != text) kept = std::move(text);
    return kept.c_str();
  }

  bool stopping() {
    endpoint_.take_messages();
    return endpoint_.stopping() || endpoint_.handing_over();
  }

  void keep_flush() {
    if (flush_id_ == 0) throw Failure(HAWSE_ERROR_ORDER, "hawse_node_keep_flush(): the last event was no HAWSE_EVENT_FLUSHED");
    flush_id_ = 0;
  }

  Endpoint& endpoint() noexcept { return endpoint_; }
  std::atomic<bool>& entered() noexcept { return entered_; }

 private:
  enum class State { joined, running, over };

  static bool declares(const std::vector<DeclaredPort>& ports, std::string_view name) {
    return std::ranges::any_of(ports, [&](const DeclaredPort& port) { return port.name == name; });
  }

  void in_order(State state, const char* call) const {
    if (state_ == state) return;
    const char* why = state_ == State::joined    ? "the node isn't ready: call hawse_node_ready() first"
                      : state_ == State::running ? "the node is ready already"
                                                 : "its streams have ended: the node has finished or failed";
    throw Failure(HAWSE_ERROR_ORDER, std::string(call) + ": " + why);
  }

  const char* phase() const noexcept {
    if (state_ == State::joined) return "setup";
    return in_finish_ || over_ != HAWSE_EVENT_TIMED_OUT ? "finish"
           : flush_id_ != 0                             ? "flushed"
           : endpoint_.input_ports().empty()            ? "produce"
                                                        : "process";
  }

  const char* input_name(std::size_t port) const noexcept { return endpoint_.input_ports()[port].c_str(); }

  void begin_work() noexcept {
    Page& page = endpoint_.page();
    page.set(plane::NodeState::busy);
    work_ns_ = plane::monotonic_ns() - page.waited_ns();
    works_ = true;
  }

  void end_work() {
    if (std::exchange(works_, false)) endpoint_.page().processed(plane::monotonic_ns() - endpoint_.page().waited_ns() - work_ns_);
    if (const std::uint64_t id = std::exchange(flush_id_, 0)) endpoint_.pass_on(id);
    in_hand_ = {};
    if (!set_.empty()) endpoint_.page().end_work();
    set_.clear();
    given_set_.clear();
    sequence_ = 0;
  }

  void take_in_hand(const FrameInfo& info) {
    endpoint_.stamp().take_over(info);
    sequence_ = info.sequence;
  }

  hawse_frame give(Frame frame) {
    hawse_frame handle = 0;
    Entry& entry = handles().open(Kind::frame, &handle);
    entry.frame = std::move(frame);
    Handles::publish(entry, handle);
    return handle;
  }

  void next_turn(hawse_event& event) {
    endpoint_.take_messages();
    event.kind = endpoint_.handing_over()                                         ? HAWSE_EVENT_HANDED_OVER
                 : endpoint_.stopping() || (was_read_ && !endpoint_.any_reader()) ? HAWSE_EVENT_ENDED
                                                                                  : HAWSE_EVENT_PRODUCE;
    if (event.kind == HAWSE_EVENT_PRODUCE) begin_work();
  }

  // What is no frame is the same with and without matching.
  void take_other(const Event& what, hawse_event& event) {
    switch (what.kind) {
      case Event::Kind::flushed:
        flush_id_ = what.flush_id;
        event.kind = HAWSE_EVENT_FLUSHED;
        break;
      case Event::Kind::port_ended: event.kind = HAWSE_EVENT_INPUT_ENDED; break;
      case Event::Kind::ended: event.kind = HAWSE_EVENT_ENDED; break;
      case Event::Kind::handing_over: event.kind = HAWSE_EVENT_HANDED_OVER; break;
      case Event::Kind::timed_out:
      case Event::Kind::frame: break;
    }
    if (what.kind == Event::Kind::flushed || what.kind == Event::Kind::port_ended) event.port = input_name(what.port);
    endpoint_.page().set(plane::NodeState::busy);
  }

  void next_frame(std::int64_t timeout_ns, hawse_event& event) {
    Event what = endpoint_.next(Endpoint::kAnyPort, timeout_ns);
    if (what.kind != Event::Kind::frame) return take_other(what, event);
    take_in_hand(what.frame.info());
    in_hand_ = what.frame;
    event.kind = HAWSE_EVENT_FRAME;
    event.port = input_name(what.port);
    event.frame = give(std::move(what.frame));
    begin_work();
  }

  void next_set(std::int64_t timeout_ns, hawse_event& event) {
    const std::int64_t until_ns = timeout_ns < 0 ? -1 : plane::monotonic_ns() + timeout_ns;
    const std::size_t ports = endpoint_.input_ports().size();
    for (;;) {
      if (matcher_->take(set_)) return give_set(event);
      for (std::size_t i = 0; i < ports; ++i) endpoint_.pause(i, !matcher_->has_room(i));
      const std::int64_t expiry_ns = matcher_->deadline_ns();
      const std::int64_t first_ns = expiry_ns < 0 ? until_ns : until_ns < 0 ? expiry_ns : std::min(expiry_ns, until_ns);
      Event what = endpoint_.next(Endpoint::kAnyPort, first_ns < 0 ? -1 : std::max<std::int64_t>(0, first_ns - plane::monotonic_ns()));
      if (what.kind == Event::Kind::frame) {
        const std::int64_t timestamp_ns = what.frame.info().timestamp_ns;
        matcher_->add(what.port, std::move(what.frame), timestamp_ns, plane::monotonic_ns());
        continue;
      }
      if (what.kind == Event::Kind::timed_out) {
        matcher_->expire(plane::monotonic_ns());
        if (until_ns < 0 || plane::monotonic_ns() < until_ns) continue;
      }
      if (what.kind == Event::Kind::flushed) matcher_->clear(what.port);
      if (what.kind == Event::Kind::port_ended) matcher_->end(what.port);
      return take_other(what, event);
    }
  }

  // The earliest of the set is the one in hand.
  void give_set(hawse_event& event) {
    const auto earliest = std::ranges::min_element(set_, {}, [](const Frame& frame) { return frame.info().timestamp_ns; });
    take_in_hand(earliest->info());
    endpoint_.begin_work(*earliest);
    for (std::size_t i = 0; i < set_.size(); ++i) given_set_.push_back({input_name(i), give(set_[i])});
    event.kind = HAWSE_EVENT_MATCHED;
    event.set = given_set_.data();
    event.set_count = static_cast<std::uint32_t>(given_set_.size());
    begin_work();
  }

  std::vector<DeclaredPort> inputs_, outputs_;
  bool any_inputs_, any_outputs_, matches_;
  UnreadOutput unread_;
  Endpoint endpoint_;
  std::shared_ptr<const Params::Data> params_;
  std::map<std::string, std::string> texts_;
  State state_ = State::joined;
  std::uint32_t over_ = HAWSE_EVENT_TIMED_OUT;  // the last event, once it has come: from then on always it
  bool in_finish_ = false, was_read_ = false, works_ = false;
  Frame in_hand_;
  std::optional<Matcher<Frame>> matcher_;
  std::vector<Frame> set_;
  std::vector<hawse_input> given_set_;
  std::uint64_t flush_id_ = 0, sequence_ = 0;
  std::int64_t begin_ns_ = 0, work_ns_ = 0;
  std::atomic<bool> entered_{false};
};

// A call of a node's functions, one at a time.
class Entered {
 public:
  explicit Entered(hawse_node handle) : node_(*find(Kind::node, handle).node) {
    if (node_.entered().exchange(true, std::memory_order_acquire))
      throw Failure(HAWSE_ERROR_THREAD, "another thread is in a call of this node: its functions are for one at a time");
  }
  ~Entered() { node_.entered().store(false, std::memory_order_release); }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  Joined* operator->() const noexcept { return &node_; }
  Joined& operator*() const noexcept { return node_; }

 private:
  Joined& node_;
};

template <typename Call>
int with_node(hawse_node handle, Call&& call) noexcept {
  return guarded([&] {
    const Entered node(handle);
    return static_cast<int>(call(*node));
  });
}

// ---- structs of whatever version -----------------------------------------------------------------------------------------------

template <typename Struct>
void check_struct(const Struct* theirs, std::size_t size, std::size_t least) {
  need(theirs != nullptr, "the struct is NULL");
  need(size >= least, "the size of the struct is less than it ever was: pass its sizeof");
}

template <typename Struct>
void give_struct(const Struct& ours, Struct* theirs, std::size_t size) noexcept {
  std::memcpy(theirs, &ours, std::min(size, sizeof ours));
  if (size > sizeof ours) std::memset(reinterpret_cast<char*>(theirs) + sizeof ours, 0, size - sizeof ours);
}

hawse_info info_of(const FrameInfo& from) noexcept {
  hawse_info info{};
  info.type = static_cast<std::uint32_t>(from.type);
  info.dtype = static_cast<std::uint32_t>(from.dtype);
  info.pixels = static_cast<std::uint32_t>(from.format);
  info.rank = static_cast<std::uint32_t>(from.shape.size());
  std::uint64_t stride = std::max<std::uint64_t>(bytes_of(from.dtype), 1);
  for (std::size_t i = from.shape.size(); i-- > 0; stride *= from.shape[i]) {
    info.shape[i] = from.shape[i];
    info.strides[i] = static_cast<std::int64_t>(stride);
  }
  info.timestamp_ns = from.timestamp_ns;
  info.duration_ns = from.duration_ns;
  info.rate_numerator = from.rate_numerator;
  info.rate_denominator = from.rate_denominator;
  info.trace_id = from.trace_id;
  info.sequence = from.sequence;
  info.given_again = from.given_again ? 1 : 0;
  return info;
}

Dtype dtype_of(std::uint32_t dtype, bool none_too) {
  need(dtype <= HAWSE_COMPLEX128 && (none_too || dtype != HAWSE_NO_DTYPE), "there is no dtype of that number, or it needs one");
  return static_cast<Dtype>(dtype);
}

PixelFormat pixels_of(std::uint32_t pixels) {
  need(pixels <= HAWSE_YUV420P, "there is no pixel format of that number");
  return static_cast<PixelFormat>(pixels);
}

// ---- frames to send ------------------------------------------------------------------------------------------------------------

OutFrame blank(Output& output, FrameType type, std::size_t bytes) {
  if (bytes > plane::kMaxFrameBytes)
    throw Failure(HAWSE_ERROR_INVALID, "allocate a frame: it would be larger than " + std::to_string(plane::kMaxFrameBytes) + " bytes");
  OutFrame frame = output.allocate(bytes);
  frame.info().type = type;
  return frame;
}

template <typename Make>
int make_out(hawse_node handle, const char* port, FrameType type, const char* call, hawse_out* out, Make&& make) noexcept {
  return with_node(handle, [&](Joined& node) {
    need(out != nullptr, "the place for the frame's handle is NULL");
    const std::size_t index = node.port(port);
    OutFrame frame = make(node.output_for(index, type, call));
    hawse_out made = 0;
    Entry& entry = handles().open(Kind::out, &made);
    entry.out = {std::move(frame), handle, index};
    Handles::publish(entry, made);
    *out = made;
    return HAWSE_OK;
  });
}

int written(hawse_node handle, const char* port, FrameType type, const char* call, const char* utf8, std::size_t bytes, hawse_out* out) noexcept {
  return make_out(handle, port, type, call, out, [&](Output& output) {
    need(utf8 != nullptr || bytes == 0, "the text is NULL");
    OutFrame frame = blank(output, type, bytes);
    if (bytes != 0) std::memcpy(frame.bytes().data(), utf8, bytes);
    return frame;
  });
}

// ---- parameters ----------------------------------------------------------------------------------------------------------------

template <typename Value, typename Get>
int get_param(hawse_node handle, const char* name, Value* value, Get&& get) noexcept {
  return with_node(handle, [&](Joined& node) {
    need(value != nullptr, "the place for the parameter's value is NULL");
    const auto [params, last] = node.param(name);
    try {
      *value = get(node, params, last);
    } catch (const std::invalid_argument& error) {
      throw Failure(HAWSE_ERROR_PARAM, error.what());
    }
    return HAWSE_OK;
  });
}

}  // namespace
}  // namespace hawse::node

using namespace hawse;
using namespace hawse::node;

extern "C" {

// ---- the library ---------------------------------------------------------------------------------------------------------------

uint32_t hawse_abi_version(void) { return HAWSE_ABI_VERSION; }

const char* hawse_version(void) { return HAWSE_VERSION; }

const char* hawse_last_error(void) { return last_error; }

const char* hawse_error_name(int code) {
  constexpr const char* kNames[] = {"HAWSE_OK",           "HAWSE_ERROR_INVALID",     "HAWSE_ERROR_HANDLE",  "HAWSE_ERROR_ORDER",
                                    "HAWSE_ERROR_THREAD", "HAWSE_ERROR_PORT",        "HAWSE_ERROR_TYPE",    "HAWSE_ERROR_PARAM",
                                    "HAWSE_ERROR_MEMORY", "HAWSE_ERROR_NOT_STARTED", "HAWSE_ERROR_STOPPED", "HAWSE_ERROR_SYSTEM"};
  return code <= 0 && code > -static_cast<int>(std::size(kNames)) ? kNames[-code] : "";
}

size_t hawse_dtype_bytes(uint32_t dtype) { return dtype <= HAWSE_COMPLEX128 ? bytes_of(static_cast<Dtype>(dtype)) : 0; }

// ---- a node's life -------------------------------------------------------------------------------------------------------------

int hawse_node_join(const char* signature, const char* language, hawse_node* node) {
  return guarded([&] {
    need(node != nullptr, "hawse_node_join(): the place for the node's handle is NULL");
    const std::string name = language != nullptr ? language : "c";
    need(name.size() <= kMaxLanguageBytes, "hawse_node_join(): the language's name is longer than 64 bytes");
    Declared declared = read_signature(signature);
    UniqueFd control = runtime_socket();
    if (!control)
      throw Failure(HAWSE_ERROR_NOT_STARTED,
                    "this program is a node of a Hawsepipe pipeline and is started by `hawse run`: name it in a manifest (node: ./program)");
    auto joined = std::make_shared<Joined>(std::move(control), std::move(declared), name);
    try {
      joined->check_ports();
    } catch (const Failure& error) {
      joined->report(error.what(), error.what());
      throw;
    }
    Entry& entry = handles().open(Kind::node, node);
    entry.node = std::move(joined);
    Handles::publish(entry, *node);
    return HAWSE_OK;
  });
}

int hawse_node_ready(hawse_node node) {
  return with_node(node, [](Joined& joined) { return joined.ready(); });
}

int hawse_node_next(hawse_node node, int64_t timeout_ns, hawse_event* event, size_t size) {
  return with_node(node, [&](Joined& joined) {
    check_struct(event, size, kEventBytes);
    hawse_event ours;
    joined.next(timeout_ns, ours);
    give_struct(ours, event, size);
    return HAWSE_OK;
  });
}

int hawse_node_finish(hawse_node node) {
  return with_node(node, [](Joined& joined) { return joined.finish(); });
}

int hawse_node_fail(hawse_node node, const char* summary, const char* details) {
  return with_node(node, [&](Joined& joined) {
    need(summary != nullptr, "hawse_node_fail(): the summary is NULL");
    return joined.fail(summary, details != nullptr ? details : summary);
  });
}

int hawse_node_leave(hawse_node node) {
  return guarded([&] {
    { const Entered alone(node); }
    take(Kind::node, node, &Entry::node).reset();
    return HAWSE_OK;
  });
}

// ---- what a node asks and says ---------------------------------------------------------------------------------------------------

const char* hawse_node_id(hawse_node node) {
  const char* id = nullptr;
  with_node(node, [&](Joined& joined) {
    id = joined.endpoint().id().c_str();
    return HAWSE_OK;
  });
  return id;
}

int hawse_node_has_input(hawse_node node, const char* port) {
  return with_node(node, [&](Joined& joined) { return joined.has_input(port); });
}

int hawse_node_has_output(hawse_node node, const char* port) {
  return with_node(node, [&](Joined& joined) { return joined.has_output(port); });
}

int hawse_node_is_read(hawse_node node, const char* port) {
  return with_node(node, [&](Joined& joined) { return joined.output(joined.port(port)).connected(); });
}

int hawse_node_stopping(hawse_node node) {
  return with_node(node, [](Joined& joined) { return joined.stopping(); });
}

int hawse_node_interrupted(hawse_node node) {
  return with_node(node, [](Joined& joined) { return joined.endpoint().interrupted(); });
}

int hawse_node_sleep_until(hawse_node node, int64_t monotonic_ns) {
  return with_node(node, [&](Joined& joined) { return joined.endpoint().sleep_until(monotonic_ns); });
}

int hawse_node_log(hawse_node node, uint32_t level, const char* text) {
  return guarded([&] {
    need(text != nullptr, "hawse_node_log(): the text is NULL");
    need(level <= HAWSE_LOG_ERROR, "hawse_node_log(): there is no such level");
    find(Kind::node, node).node->endpoint().log(static_cast<LogLevel>(level), text);
    return HAWSE_OK;
  });
}

int hawse_node_progress(hawse_node node, const char* what, uint64_t done, uint64_t total, const char* unit) {
  return with_node(node, [&](Joined& joined) {
    need(what != nullptr && unit != nullptr, "hawse_node_progress(): `what` or `unit` is NULL");
    joined.endpoint().page().alive();
    joined.endpoint().progress(what, done, total, unit);
    return HAWSE_OK;
  });
}

int hawse_node_alive(hawse_node node) {
  return guarded([&] {
    find(Kind::node, node).node->endpoint().page().alive();
    return HAWSE_OK;
  });
}

// ---- parameters ------------------------------------------------------------------------------------------------------------------

int hawse_param_has(hawse_node node, const char* name) {
  return with_node(node, [&](Joined& joined) {
    const auto [params, last] = joined.param(name);
    return params.has(last);
  });
}

int hawse_param_bool(hawse_node node, const char* name, int* value) {
  return get_param(node, name, value, [](Joined&, const Params& params, const std::string& last) { return params.boolean(last) ? 1 : 0; });
}

int hawse_param_int(hawse_node node, const char* name, int64_t* value) {
  return get_param(node, name, value, [](Joined&, const Params& params, const std::string& last) { return params.integer(last); });
}

int hawse_param_float(hawse_node node, const char* name, double* value) {
  return get_param(node, name, value, [](Joined&, const Params& params, const std::string& last) { return params.number(last); });
}

int hawse_param_text(hawse_node node, const char* name, const char** value) {
  return get_param(node, name, value, [&](Joined& joined, const Params& params, const std::string& last) {
    return joined.keep(std::string("t") + name, params.text(last));
  });
}

int hawse_param_bytes(hawse_node node, const char* name, uint64_t* bytes) {
  return get_param(node, name, bytes, [](Joined&, const Params& params, const std::string& last) { return params.bytes(last); });
}

int hawse_param_duration(hawse_node node, const char* name, int64_t* value_ns) {
  return get_param(node, name, value_ns, [](Joined&, const Params& params, const std::string& last) { return params.duration_ns(last); });
}

int hawse_param_json(hawse_node node, const char* name, const char** value) {
  return get_param(node, name != nullptr ? name : "", value, [&](Joined& joined, const Params& params, const std::string& last) {
    return name != nullptr ? joined.keep(std::string("j") + name, params.json(last)) : joined.keep("", joined.all_params());
  });
}

// ---- a received frame ------------------------------------------------------------------------------------------------------------

int hawse_frame_info(hawse_frame frame, hawse_info* info, size_t size) {
  return guarded([&] {
    check_struct(info, size, kInfoBytes);
    give_struct(info_of(find(Kind::frame, frame).frame.info()), info, size);
    return HAWSE_OK;
  });
}

int hawse_frame_data(hawse_frame frame, const void** data, size_t* bytes) {
  return guarded([&] {
    need(data != nullptr && bytes != nullptr, "hawse_frame_data(): a place for the answer is NULL");
    const auto payload = find(Kind::frame, frame).frame.bytes();
    *data = payload.data();
    *bytes = payload.size();
    return HAWSE_OK;
  });
}

int hawse_frame_release(hawse_frame frame) {
  return guarded([&] {
    take(Kind::frame, frame, &Entry::frame);
    return HAWSE_OK;
  });
}

// ---- a frame to send -------------------------------------------------------------------------------------------------------------

int hawse_out_audio(hawse_node node, const char* port, uint64_t samples, uint64_t channels, uint32_t rate, uint32_t dtype, hawse_out* out) {
  return make_out(node, port, FrameType::audio, "hawse_out_audio()", out,
                  [&](Output& output) { return output.audio(samples, channels, rate, dtype_of(dtype, false)); });
}

int hawse_out_video(hawse_node node, const char* port, uint64_t height, uint64_t width, uint32_t pixels, uint32_t rate_numerator,
                    uint32_t rate_denominator, hawse_out* out) {
  return make_out(node, port, FrameType::video, "hawse_out_video()", out,
                  [&](Output& output) { return output.video(height, width, pixels_of(pixels), rate_numerator, rate_denominator); });
}

int hawse_out_image(hawse_node node, const char* port, uint64_t height, uint64_t width, uint32_t pixels, hawse_out* out) {
  return make_out(node, port, FrameType::image, "hawse_out_image()", out,
                  [&](Output& output) { return output.image(height, width, pixels_of(pixels)); });
}

int hawse_out_tensor(hawse_node node, const char* port, const uint64_t* shape, size_t rank, uint32_t dtype, hawse_out* out) {
  return make_out(node, port, FrameType::tensor, "hawse_out_tensor()", out, [&](Output& output) {
    need(rank <= HAWSE_MAX_RANK, "hawse_out_tensor(): a shape has at most 8 dimensions");
    need(shape != nullptr || rank == 0, "hawse_out_tensor(): the shape is NULL");
    return output.tensor(std::vector<std::uint64_t>(shape, shape + rank), dtype_of(dtype, false));
  });
}

int hawse_out_text(hawse_node node, const char* port, const char* utf8, size_t bytes, hawse_out* out) {
  return written(node, port, FrameType::text, "hawse_out_text()", utf8, bytes, out);
}

int hawse_out_json(hawse_node node, const char* port, const char* utf8, size_t bytes, hawse_out* out) {
  return written(node, port, FrameType::json, "hawse_out_json()", utf8, bytes, out);
}

int hawse_out_bytes(hawse_node node, const char* port, size_t bytes, hawse_out* out) {
  return make_out(node, port, FrameType::bytes, "hawse_out_bytes()", out, [&](Output& output) { return blank(output, FrameType::bytes, bytes); });
}

int hawse_out_like(hawse_node node, const char* port, hawse_frame frame, hawse_out* out) {
  return guarded([&] {
    const Frame& like = find(Kind::frame, frame).frame;
    return make_out(node, port, like.info().type, "hawse_out_like()", out, [&](Output& output) { return output.like(like); });
  });
}

int hawse_out_data(hawse_out out, void** data, size_t* bytes) {
  return guarded([&] {
    need(data != nullptr && bytes != nullptr, "hawse_out_data(): a place for the answer is NULL");
    const auto payload = find(Kind::out, out).out.frame.bytes();
    *data = payload.data();
    *bytes = payload.size();
    return HAWSE_OK;
  });
}

int hawse_out_info(hawse_out out, hawse_info* info, size_t size) {
  return guarded([&] {
    check_struct(info, size, kInfoBytes);
    give_struct(info_of(find(Kind::out, out).out.frame.info()), info, size);
    return HAWSE_OK;
  });
}

int hawse_out_set_info(hawse_out out, const hawse_info* info, size_t size) {
  return guarded([&] {
    check_struct(info, size, kInfoBytes);
    hawse_info theirs{};
    std::memcpy(&theirs, info, std::min(size, sizeof theirs));
    need(theirs.type >= HAWSE_AUDIO && theirs.type <= HAWSE_BYTES, "hawse_out_set_info(): there is no type of that number");
    need(theirs.rank <= HAWSE_MAX_RANK, "hawse_out_set_info(): a shape has at most 8 dimensions");
    const Dtype dtype = dtype_of(theirs.dtype, true);
    const PixelFormat format = pixels_of(theirs.pixels);
    FrameInfo& ours = find(Kind::out, out).out.frame.info();
    ours.shape.assign(theirs.shape, theirs.shape + theirs.rank);
    ours.type = static_cast<FrameType>(theirs.type);
    ours.dtype = dtype;
    ours.format = format;
    ours.timestamp_ns = theirs.timestamp_ns;
    ours.duration_ns = theirs.duration_ns;
    ours.rate_numerator = theirs.rate_numerator;
    ours.rate_denominator = theirs.rate_denominator;
    ours.trace_id = theirs.trace_id;
    return HAWSE_OK;
  });
}

int hawse_out_resize(hawse_out out, size_t bytes) {
  return guarded([&] {
    find(Kind::out, out).out.frame.resize(bytes);
    return HAWSE_OK;
  });
}

int hawse_out_send(hawse_out out) {
  return guarded([&] {
    OpenOut open = take(Kind::out, out, &Entry::out);
    const Entered node(open.node);
    node->output_for(open.port, open.frame.info().type, "hawse_out_send()").send(std::move(open.frame));
    return HAWSE_OK;
  });
}

int hawse_out_discard(hawse_out out) {
  return guarded([&] {
    take(Kind::out, out, &Entry::out);
    return HAWSE_OK;
  });
}

int hawse_node_forward(hawse_node node, const char* port, hawse_frame frame) {
  return with_node(node, [&](Joined& joined) {
    const Frame& sent = find(Kind::frame, frame).frame;
    joined.output_for(joined.port(port), sent.info().type, "hawse_node_forward()").forward(sent);
    return HAWSE_OK;
  });
}

// ---- flush -----------------------------------------------------------------------------------------------------------------------

int hawse_node_flush(hawse_node node, const char* port) {
  return with_node(node, [&](Joined& joined) {
    joined.flushed_output(port).flush();
    return HAWSE_OK;
  });
}

int hawse_node_keep_flush(hawse_node node) {
  return with_node(node, [](Joined& joined) {
    joined.keep_flush();
    return HAWSE_OK;
  });
}

}  // extern "C"
