// SPDX-License-Identifier: Apache-2.0
//
// json/lines: any frame as one JSON object a line.
#include <nlohmann/json.hpp>
#include <string>

#include "entries.hpp"
#include "text_file.hpp"

namespace hawse::nodes {
namespace {

using nlohmann::ordered_json;

constexpr const char* kSignature = R"({
  "doc": "Writes every frame as one JSON object a line: what it is, and its text or value.",
  "inputs": {"in": "any"},
  "params": {
    "path": {"type": "path", "default": "-", "doc": "the file to write; - for standard output"},
    "payload": {"type": "bool", "default": false, "doc": "write binary payloads too, as base64"}
  }
})";

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) { return i + k < bytes.size() ? std::to_integer<unsigned>(bytes[i + k]) : 0u; };
    const unsigned group = byte(0) << 16 | byte(1) << 8 | byte(2);
    out += kDigits[group >> 18];
    out += kDigits[group >> 12 & 63];
    out += i + 1 < bytes.size() ? kDigits[group >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? kDigits[group & 63] : '=';
  }
  return out;
}

class JsonLines : public Node {
  void setup(const Params& params) override {
    payload_ = params.boolean("payload");
    out_ = TextFile(params.text("path"));
  }

  void process(const Input& in) override { out_.write(describe(in.frame).dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n"); }

  ordered_json describe(const Frame& frame) const {
    const FrameInfo& info = frame.info();
    ordered_json line = {{"type", to_string(info.type)}, {"sequence", info.sequence}, {"timestamp_ns", info.timestamp_ns}};
    if (info.duration_ns != 0) line["duration_ns"] = info.duration_ns;
    if (!info.shape.empty()) line["shape"] = info.shape;
    if (info.dtype != Dtype::none) line["dtype"] = to_string(info.dtype);
    if (info.format != PixelFormat::none) line["format"] = to_string(info.format);
    if (info.rate_numerator != 0) line["rate"] = static_cast<double>(info.rate_numerator) / (info.rate_denominator == 0 ? 1 : info.rate_denominator);
    if (info.given_again) line["given_again"] = true;
    if (info.type == FrameType::text) {
      line["text"] = frame.text();
    } else if (info.type == FrameType::json) {
      line["value"] = value_of(frame.text());
    } else {
      line["bytes"] = frame.bytes().size();
      if (payload_) line["payload"] = base64(frame.bytes());
    }
    return line;
  }

  // A JSON frame that is none goes out as a string: a line stays readable.
  static ordered_json value_of(std::string_view text) {
    ordered_json value = ordered_json::parse(text, nullptr, false);
    return value.is_discarded() ? ordered_json(text) : value;
  }

  bool payload_ = false;
  TextFile out_;
};

}  // namespace

StockEntry json_lines() {
  return {"json/lines", kSignature, "thread", [] { return std::unique_ptr<Node>(new JsonLines); }};
}

}  // namespace hawse::nodes
