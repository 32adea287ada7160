// SPDX-License-Identifier: Apache-2.0
//
// text/srt: subtitles (SubRip) from text frames with a time and a duration. Each cue is in the file, and in the run's log, as soon as it comes.
#include <algorithm>
#include <string>
#include <string_view>

#include "entries.hpp"
#include "text_file.hpp"

namespace hawse::nodes {
namespace {

constexpr const char* kSignature = R"({
  "doc": "Writes text frames as SubRip subtitles; each cue at once.",
  "inputs": {"in": "text"},
  "params": {
    "path": {"type": "path", "required": true, "doc": "the file to write; - for standard output"}
  }
})";

// A text without a duration stays as long as it takes to read: 15 characters a second, a second at least.
std::int64_t reading_time_ns(std::size_t bytes) { return std::max<std::int64_t>(1'000'000'000, static_cast<std::int64_t>(bytes) * 1'000'000'000 / 15); }

// Without the blank lines that would end the cue, and without blanks around it.
std::string cue_text(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '\n' && (out.empty() || out.back() == '\n')) continue;
    if ((c == ' ' || c == '\t') && out.empty()) continue;
    out += c;
  }
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ' || out.back() == '\t')) out.pop_back();
  return out;
}

class TextSrt : public Node {
  void setup(const Params& params) override { out_ = TextFile(params.text("path")); }

  void process(const Input& in) override {
    const FrameInfo& info = in.frame.info();
    const std::string text = cue_text(in.frame.text());
    if (text.empty()) return;
    if (count_ == 0 && is_wall_time(info.timestamp_ns)) origin_ns_ = info.timestamp_ns;  // live: the first cue is the beginning
    const std::int64_t begin_ns = std::max<std::int64_t>(0, info.timestamp_ns - origin_ns_);
    const std::int64_t end_ns = begin_ns + (info.duration_ns > 0 ? info.duration_ns : reading_time_ns(text.size()));
    const std::string begin = media_time(begin_ns, ',');
    out_.write(std::to_string(++count_) + "\n" + begin + " --> " + media_time(end_ns, ',') + "\n" + text + "\n\n");
    log(LogLevel::info, begin + "  " + text);
  }

  TextFile out_;
  std::uint64_t count_ = 0;
  std::int64_t origin_ns_ = 0;
};

}  // namespace

StockEntry text_srt() {
  return {"text/srt", kSignature, "thread", [] { return std::unique_ptr<Node>(new TextSrt); }};
}

}  // namespace hawse::nodes
