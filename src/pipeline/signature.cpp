// SPDX-License-Identifier: Apache-2.0
//
// A node's signature from its JSON form. What it says is ours or the manifest author's: a malformed one is an error of whoever wrote it.
#include <algorithm>
#include <array>

#include "pipeline/pipeline.hpp"

namespace hawse::pipeline {
namespace {

constexpr std::array<const char*, 9> kTypeNames = {"none", "audio", "video", "image", "tensor", "text", "json", "bytes", "control"};
constexpr const char* kParamTypes[] = {"bool", "int", "float", "str", "path", "list", "dict", "size", "duration", "none", "any"};
constexpr std::size_t kMaxFieldsDepth = 8;

[[noreturn]] void malformed(const std::string& what) { throw Error(ErrorCode::internal, "read a signature", what); }

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('|', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Port parse_port(const std::string& name, const ordered_json& value) {
  if (name.empty()) malformed("a port without a name");
  if (!value.is_string()) malformed("port '" + name + "': its type must be text");
  Port port{name, {}, false};
  auto text = value.get<std::string>();
  if (text.ends_with('?')) {
    port.optional = true;
    text.pop_back();
  }
  if (text == "any") return port;
  for (const std::string& word : split(text)) {
    const auto found = std::find(kTypeNames.begin() + 1, kTypeNames.end() - 1, word);  // none and control aren't a port's
    if (found == kTypeNames.end() - 1) malformed("port '" + name + "': unknown type '" + word + "'");
    port.type.types.push_back(static_cast<plane::FrameType>(found - kTypeNames.begin()));
  }
  return port;
}

std::vector<Port> parse_ports(const ordered_json& signature, const char* key) {
  std::vector<Port> ports;
  const auto found = signature.find(key);
  if (found == signature.end()) return ports;
  if (!found->is_object()) malformed(std::string(key) + " must be an object");
  for (const auto& [name, value] : found->items()) ports.push_back(parse_port(name, value));
  return ports;
}

bool flag(const ordered_json& signature, const char* key) {
  const auto found = signature.find(key);
  if (found == signature.end()) return false;
  if (!found->is_boolean()) malformed(std::string(key) + " must be true or false");
  return found->get<bool>();
}

void check_params(const json& params, std::size_t depth) {
  if (!params.is_object() || depth > kMaxFieldsDepth) malformed("params and fields must be objects");
  for (const auto& [name, param] : params.items()) {
    const std::string where = "param '" + name + "': ";
    if (!param.is_object()) malformed(where + "must be an object");
    for (const char* key : {"type", "items"}) {
      if (!param.contains(key)) continue;
      if (!param[key].is_string()) malformed(where + key + " must be text");
      for (const std::string& word : split(param[key].get<std::string>()))
        if (std::find(std::begin(kParamTypes), std::end(kParamTypes), word) == std::end(kParamTypes))
          malformed(where + "unknown type '" + word + "'");
    }
    for (const char* key : {"minimum", "maximum"})
      if (param.contains(key) && !param[key].is_number()) malformed(where + key + " must be a number");
    if (param.contains("required") && !param["required"].is_boolean()) malformed(where + "required must be true or false");
    if (param.contains("doc") && !param["doc"].is_string()) malformed(where + "doc must be text");
    if (param.contains("choices") && !param["choices"].is_array()) malformed(where + "choices must be a list");
    if (param.contains("fields")) check_params(param["fields"], depth + 1);
  }
}

}  // namespace

std::string to_string(const PortType& type) {
  if (type.types.empty()) return "any";
  std::string text;
  for (const plane::FrameType one : type.types) text += (text.empty() ? "" : "|") + std::string(kTypeNames.at(static_cast<std::size_t>(one)));
  return text;
}

Signature parse_signature(const ordered_json& value) {
  if (!value.is_object()) malformed("it must be an object");
  Signature signature;
  if (value.contains("doc")) {
    if (!value["doc"].is_string()) malformed("doc must be text");
    signature.doc = value["doc"].get<std::string>();
  }
  signature.source = flag(value, "source");
  signature.background = flag(value, "background");
  if (!value.contains("matched") || !value["matched"].is_null()) signature.matched = flag(value, "matched");
  signature.inputs = parse_ports(value, "inputs");
  signature.outputs = parse_ports(value, "outputs");
  signature.any_inputs = flag(value, "any_inputs");
  signature.any_outputs = flag(value, "any_outputs");
  signature.any_params = flag(value, "any_params");
  if (value.contains("params")) signature.params = json(value["params"]);
  check_params(signature.params, 0);
  return signature;
}

Signature parse_signature(const json& value) { return parse_signature(ordered_json(value)); }

Signature parse_signature(std::string_view json_text) {
  const ordered_json value = ordered_json::parse(json_text, nullptr, false);
  if (value.is_discarded()) malformed("it isn't JSON");
  return parse_signature(value);
}

}  // namespace hawse::pipeline
