// SPDX-License-Identifier: Apache-2.0
#include "node/c_joined.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"

namespace hawse::node::c {

using nlohmann::json;

namespace {

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

}  // namespace

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

Joined::Joined(UniqueFd control, Declared declared, std::string language)
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

void Joined::check_ports() {
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

int Joined::ready() {
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

int Joined::next(std::int64_t timeout_ns, hawse_event& event) {
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

int Joined::finish() {
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

int Joined::fail(const char* summary, const char* details) {
  if (state_ == State::over) throw Failure(HAWSE_ERROR_ORDER, "hawse_node_fail(): the node has finished or failed before");
  endpoint_.abandon();
  state_ = State::over;
  report(summary, details);
  return HAWSE_OK;
}

std::size_t Joined::port(const char* name) {
  need(name != nullptr, "a port's name is NULL");
  for (std::size_t i = 0; i < outputs_.size(); ++i)
    if (outputs_[i].name == name) return i;
  if (!any_outputs_)
    throw Failure(HAWSE_ERROR_PORT, "'" + endpoint_.id() + "' has no output '" + name + "': its signature has " + names_of(outputs_));
  outputs_.push_back({name, 0, &unread_});
  return outputs_.size() - 1;
}

Output& Joined::output_for(std::size_t index, FrameType type, const char* call) {
  in_order(State::running, call);
  if (over_ == HAWSE_EVENT_HANDED_OVER) throw Failure(HAWSE_ERROR_ORDER, std::string(call) + ": a replacement goes on, nothing more is to be sent");
  const DeclaredPort& port = outputs_[index];
  if (!port.carries(type))
    throw Failure(HAWSE_ERROR_TYPE, std::string(call) + ": output '" + port.name + "' of '" + endpoint_.id() + "' doesn't carry " +
                                        to_string(type) + ": see its signature");
  return *port.output;
}

bool Joined::has_input(const char* name) {
  need(name != nullptr, "a port's name is NULL");
  const auto& ports = endpoint_.input_ports();
  if (std::ranges::find(ports, name) != ports.end()) return true;
  if (any_inputs_ || declares(inputs_, name)) return false;
  throw Failure(HAWSE_ERROR_PORT, "'" + endpoint_.id() + "' has no input '" + name + "': its signature has " + names_of(inputs_));
}

std::pair<Params, std::string> Joined::param(const char* name) {
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

const char* Joined::keep(const std::string& key, std::string text) {
  std::string& kept = texts_[key];
  if (kept != text) kept = std::move(text);
  return kept.c_str();
}

void Joined::in_order(State state, const char* call) const {
  if (state_ == state) return;
  const char* why = state_ == State::joined    ? "the node isn't ready: call hawse_node_ready() first"
                    : state_ == State::running ? "the node is ready already"
                                               : "its streams have ended: the node has finished or failed";
  throw Failure(HAWSE_ERROR_ORDER, std::string(call) + ": " + why);
}

const char* Joined::phase() const noexcept {
  if (state_ == State::joined) return "setup";
  return in_finish_ || over_ != HAWSE_EVENT_TIMED_OUT ? "finish"
         : flush_id_ != 0                             ? "flushed"
         : endpoint_.input_ports().empty()            ? "produce"
                                                      : "process";
}

void Joined::begin_work() noexcept {
  Page& page = endpoint_.page();
  page.set(plane::NodeState::busy);
  work_ns_ = plane::monotonic_ns() - page.waited_ns();
  works_ = true;
}

void Joined::end_work() {
  if (std::exchange(works_, false)) endpoint_.page().processed(plane::monotonic_ns() - endpoint_.page().waited_ns() - work_ns_);
  if (const std::uint64_t id = std::exchange(flush_id_, 0)) endpoint_.pass_on(id);
  in_hand_ = {};
  if (!set_.empty()) endpoint_.page().end_work();
  set_.clear();
  given_set_.clear();
  sequence_ = 0;
}

hawse_frame Joined::give(Frame frame) {
  hawse_frame handle = 0;
  Entry& entry = handles().open(Kind::frame, &handle);
  entry.frame = std::move(frame);
  Handles::publish(entry, handle);
  return handle;
}

void Joined::next_turn(hawse_event& event) {
  endpoint_.take_messages();
  event.kind = endpoint_.handing_over()                                         ? HAWSE_EVENT_HANDED_OVER
               : endpoint_.stopping() || (was_read_ && !endpoint_.any_reader()) ? HAWSE_EVENT_ENDED
                                                                                : HAWSE_EVENT_PRODUCE;
  if (event.kind == HAWSE_EVENT_PRODUCE) begin_work();
}

void Joined::take_other(const Event& what, hawse_event& event) {
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

void Joined::next_frame(std::int64_t timeout_ns, hawse_event& event) {
  Event what = endpoint_.next(Endpoint::kAnyPort, timeout_ns);
  if (what.kind != Event::Kind::frame) return take_other(what, event);
  take_in_hand(what.frame.info());
  in_hand_ = what.frame;
  event.kind = HAWSE_EVENT_FRAME;
  event.port = input_name(what.port);
  event.frame = give(std::move(what.frame));
  begin_work();
}

void Joined::next_set(std::int64_t timeout_ns, hawse_event& event) {
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

void Joined::give_set(hawse_event& event) {
  const auto earliest = std::ranges::min_element(set_, {}, [](const Frame& frame) { return frame.info().timestamp_ns; });
  take_in_hand(earliest->info());
  endpoint_.begin_work(*earliest);
  for (std::size_t i = 0; i < set_.size(); ++i) given_set_.push_back({input_name(i), give(set_[i])});
  event.kind = HAWSE_EVENT_MATCHED;
  event.set = given_set_.data();
  event.set_count = static_cast<std::uint32_t>(given_set_.size());
  begin_work();
}

}  // namespace hawse::node::c
