// SPDX-License-Identifier: Apache-2.0
#include "runtime/messages.hpp"

#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace hawse::runtime {
namespace {

using nlohmann::json;

enum class Kind { count, number, text, boolean, object };

struct Field {
  const char* name;
  Kind kind;
  bool required;
};

struct Rule {
  const char* type;
  std::vector<Field> fields;
};

const std::vector<Rule>& node_rules() {
  static const std::vector<Rule> all = {{
      {"hello", {{"protocol", Kind::count, true}, {"pid", Kind::count, true}, {"sdk", Kind::text, true}, {"language", Kind::text, true}}},
      {"ready", {{"phases", Kind::object, false}}},
      {"grow", {{"port", Kind::count, true}, {"slot_bytes", Kind::count, true}, {"slots", Kind::count, true}}},
      {"mapped", {{"port", Kind::count, true}, {"arena", Kind::count, true}}},
      {"give_back", {{"port", Kind::count, true}, {"arena", Kind::count, true}}},
      {"progress", {{"what", Kind::text, true}, {"done", Kind::count, true}, {"total", Kind::count, true}, {"unit", Kind::text, true}}},
      {"log", {{"level", Kind::text, true}, {"time_ns", Kind::number, true}, {"text", Kind::text, true}}},
      {"failed",
       {{"summary", Kind::text, true}, {"traceback", Kind::text, true}, {"sequence", Kind::count, true}, {"phase", Kind::text, true}}},
      {"finished", {}},
      {"exited", {{"code", Kind::count, false}, {"signal", Kind::count, false}}},
  }};
  return all;
}

const std::vector<Rule>& request_rules() {
  static const std::vector<Rule> all = {{
      {"session", {}},
      {"status", {}},
      {"inspect", {{"node", Kind::text, false}}},
      {"logs", {{"node", Kind::text, false}, {"since_ns", Kind::number, false}, {"follow", Kind::boolean, false}}},
      {"stop", {{"now", Kind::boolean, false}}},
      {"restart", {{"node", Kind::text, true}}},
      {"replace", {{"node", Kind::text, true}, {"executor", Kind::text, false}}},
      {"keep",
       {{"pipeline", Kind::text, true},
        {"node", Kind::text, true},
        {"recipe", Kind::object, true},
        {"count", Kind::count, true},
        {"wait", Kind::boolean, true}}},
      {"take", {{"pipeline", Kind::text, true}, {"node", Kind::text, true}, {"recipe", Kind::object, true}, {"count", Kind::count, true}}},
      {"join", {{"recipe", Kind::object, true}}},
      {"warm", {}},
      {"unkeep", {{"pipeline", Kind::text, true}}},
      {"tap", {{"node", Kind::text, true}, {"port", Kind::text, true}, {"queue", Kind::count, false}}},
  }};
  return all;
}

bool fits(const json& value, Kind kind) {
  switch (kind) {
    case Kind::count: return value.is_number_unsigned();
    case Kind::number: return value.is_number_integer();
    case Kind::text: return value.is_string();
    case Kind::boolean: return value.is_boolean();
    case Kind::object: return value.is_object();
  }
  return false;
}

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::node, "read a control message", why); }

json parse(std::string_view text, std::size_t fd_count, const std::vector<Rule>& rules) {
  if (fd_count != 0) refuse("it sent file descriptors");
  // Nesting is bounded here, so that no message can exhaust the stack.
  const auto shallow = [](int depth, json::parse_event_t, json&) {
    if (depth > 16) refuse("nested too deeply");
    return true;
  };
  json message;
  try {
    message = json::parse(text, shallow, true);
  } catch (const json::exception&) {
    refuse("not JSON");
  }
  if (!message.is_object() || !message.contains("type") || !message["type"].is_string()) refuse("no type");
  const std::string type = message["type"];
  for (const auto& rule : rules) {
    if (type != rule.type) continue;
    for (const auto& field : rule.fields) {
      const auto found = message.find(field.name);
      if (found == message.end() ? field.required : !fits(*found, field.kind)) refuse(type + " with a bad " + field.name);
    }
    return message;
  }
  refuse("unknown message " + strip_control(type.substr(0, 40)));
}

}  // namespace

json parse_node_message(std::string_view text, std::size_t fd_count) { return parse(text, fd_count, node_rules()); }

json parse_request(std::string_view text, std::size_t fd_count) {
  json request = parse(text, fd_count, request_rules());
  const json version = request.value("version", json());
  if (version != kControlVersion) refuse("it speaks version " + version.dump() + ", this session speaks " + std::to_string(kControlVersion));
  return request;
}

std::string text_of(const json& message) { return message.dump(-1, ' ', false, json::error_handler_t::replace); }

const char* name_of(plane::FrameType type) noexcept {
  switch (type) {
    case plane::FrameType::none: return "any";
    case plane::FrameType::audio: return "audio";
    case plane::FrameType::video: return "video";
    case plane::FrameType::image: return "image";
    case plane::FrameType::tensor: return "tensor";
    case plane::FrameType::text: return "text";
    case plane::FrameType::json: return "json";
    case plane::FrameType::bytes: return "bytes";
    case plane::FrameType::control: return "control";
  }
  return "any";
}

const char* name_of(plane::WhenFull when_full) noexcept {
  switch (when_full) {
    case plane::WhenFull::block: return "block";
    case plane::WhenFull::drop_oldest: return "drop_oldest";
    case plane::WhenFull::drop_newest: return "drop_newest";
    case plane::WhenFull::latest: return "latest";
  }
  return "";
}

}  // namespace hawse::runtime
