// SPDX-License-Identifier: Apache-2.0
//
// text/print: text and JSON to standard output, a line a frame, each in one write.
#include <string>
#include <string_view>

#include "entries.hpp"
#include "text_file.hpp"

namespace hawse::nodes {
namespace {

constexpr const char* kSignature = R"({
  "doc": "Prints text and JSON frames on standard output, a line each.",
  "inputs": {"in": "text|json"},
  "params": {
    "format": {"type": "str", "default": "{text}", "doc": "what to print: {text}, {timestamp}, {duration} (seconds), {sequence}, {node}"}
  }
})";

class TextPrint : public Node {
  void setup(const Params& params) override {
    format_ = params.text("format");
    out_ = TextFile("-");
  }

  void process(const Input& in) override {
    std::string line;
    for (std::size_t at = 0; at < format_.size();) {
      const std::size_t open = format_.find('{', at), close = format_.find('}', open);
      if (open == std::string::npos || close == std::string::npos) {
        line += format_.substr(at);
        break;
      }
      line += format_.substr(at, open - at);
      line += value(std::string_view(format_).substr(open, close - open + 1), in.frame);
      at = close + 1;
    }
    out_.write(line + "\n");
  }

  std::string value(std::string_view name, const Frame& frame) const {
    const FrameInfo& info = frame.info();
    if (name == "{text}") return printable(frame.text());
    if (name == "{timestamp}") return time_text(info.timestamp_ns);
    if (name == "{duration}") {
      std::string seconds = std::to_string(static_cast<double>(info.duration_ns) / 1e9);
      return seconds.substr(0, seconds.size() - 3);  // milliseconds
    }
    if (name == "{sequence}") return std::to_string(info.sequence);
    if (name == "{node}") return id();
    return std::string(name);  // braces of the user's own
  }

  std::string format_;
  TextFile out_;
};

}  // namespace

StockEntry text_print() {
  return {"text/print", kSignature, "thread", [] { return std::unique_ptr<Node>(new TextPrint); }};
}

}  // namespace hawse::nodes
