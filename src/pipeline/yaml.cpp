// SPDX-License-Identifier: Apache-2.0
//
// read_yaml: yaml-cpp's events into our tree. The library's own Node forgets the place of keys and lets duplicates pass, so it isn't used.
//
// The events arrive in the order of the text; `open_` is the path of lists and mappings that are still open. Limits are checked as they
// arrive: an exception of ours leaves the parser before it goes deeper.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "pipeline/value.hpp"

namespace hawse::pipeline {
namespace {

struct Refused {
  Position at;
  std::string message, hint;
};

// yaml-cpp counts bytes from 0, editors count characters from 1.
class Places {
 public:
  explicit Places(std::string_view text) : text_(text) {
    for (std::size_t i = 0; i < text.size(); ++i)
      if (text[i] == '\n') lines_.push_back(i + 1);
  }
  Position of(const YAML::Mark& mark) const {
    if (mark.line < 0) return {1, 1};
    const auto line = std::min(static_cast<std::size_t>(mark.line), lines_.size() - 1);
    const std::string_view rest = text_.substr(lines_[line], static_cast<std::size_t>(std::max(mark.column, 0)));
    const auto characters = std::count_if(rest.begin(), rest.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    return {static_cast<int>(line) + 1, static_cast<int>(characters) + 1};
  }
  bool tab_indents(const YAML::Mark& mark) const {
    if (mark.line < 0 || static_cast<std::size_t>(mark.line) >= lines_.size()) return false;
    const std::string_view line = text_.substr(lines_[static_cast<std::size_t>(mark.line)]);
    return line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> lines_ = {0};
};

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const Places& places) : places_(places) {}

  Value take() { return std::move(root_); }
  Position last_place() const { return last_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) throw Refused{places_.of(mark), "a second document starts here", "a manifest is one document: remove the '---'"};
  }
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark&, const std::string&) override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Value value;
    value.at = places_.of(mark);
    add(std::move(value), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& text) override {
    const Position at = places_.of(mark);
    if (text.find('\0') != std::string::npos) throw Refused{at, "a NUL character in text", "remove it"};
    check_tag(tag, at);
    const bool quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    Value value = quoted ? Value{} : plain_scalar(text);
    if (quoted) {
      value.kind = Value::Kind::text;
      value.text = text;
    }
    value.quoted = quoted;
    value.at = at;
    add(std::move(value), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refused{places_.of(mark), "this alias stands within what it names", "write the content out"};
    Value copy = found->second;
    copy.at = places_.of(mark);
    count(copy);
    place(std::move(copy));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(Value::Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(Value::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Value value;
    YAML::anchor_t anchor;
    bool has_key = false;  // mapping: the next value belongs to this key
    std::string key;
    Position key_at;
    std::map<std::string, int> seen;  // key: its line
  };

  static void check_tag(const std::string& tag, Position at) {
    static constexpr std::string_view kCore = "tag:yaml.org,2002:";
    if (tag.empty() || tag == "?" || tag == "!" || tag.starts_with(kCore)) return;
    throw Refused{at, "the tag '" + shortened(tag) + "' has no meaning in a manifest", "remove it"};
  }

  // Depth and size of a value with everything in it; also of an alias, which costs what it names.
  void count(const Value& value, std::size_t depth = 0) {
    if (depth == 0) last_ = value.at;
    bytes_ += value.text.size();
    if (++values_ > kMaxValues) throw Refused{value.at, "more than " + std::to_string(kMaxValues) + " values (aliases count as what they name)", ""};
    if (bytes_ > kMaxTextBytes) throw Refused{value.at, "more than 4 MiB of text (aliases count as what they name)", ""};
    if (open_.size() + depth >= kMaxDepth) throw Refused{value.at, "nested more than " + std::to_string(kMaxDepth) + " deep", ""};
    for (const Value& item : value.items) count(item, depth + 1);
    for (const Value::Entry& entry : value.entries) {
      bytes_ += entry.key.size();
      count(entry.value, depth + 1);
    }
  }

  void open(Value::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Value value;
    value.kind = kind;
    value.at = places_.of(mark);
    check_tag(tag, value.at);
    if (!open_.empty() && open_.back().value.kind == Value::Kind::map && !open_.back().has_key)
      throw Refused{value.at, std::string(kind == Value::Kind::map ? "a mapping" : "a list") + " can't be a key",
                    "quote text that contains '{' or '['"};
    count(value);
    open_.push_back({std::move(value), anchor, false, "", {}, {}});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    remember(done.value, done.anchor);
    place(std::move(done.value));
  }

  void add(Value value, YAML::anchor_t anchor) {
    count(value);
    remember(value, anchor);
    place(std::move(value));
  }

  void remember(const Value& value, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = value;
  }

  void place(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Open& parent = open_.back();
    if (parent.value.kind == Value::Kind::list) {
      parent.value.items.push_back(std::move(value));
    } else if (!parent.has_key) {
      take_key(parent, value);
    } else {
      parent.value.entries.push_back({std::move(parent.key), parent.key_at, std::move(value)});
      parent.has_key = false;
    }
  }

  static void take_key(Open& parent, const Value& value) {
    if (!value.is_scalar()) throw Refused{value.at, "an alias of a list or a mapping can't be a key", "write the key out"};
    if (value.text.empty()) throw Refused{value.at, "a key is missing before ':'", ""};
    const auto [before, first] = parent.seen.emplace(value.text, value.at.line);
    if (!first)
      throw Refused{value.at, "the key '" + shortened(value.text) + "' stands here a second time",
                    "it is on line " + std::to_string(before->second) + " already: remove one of them"};
    parent.has_key = true;
    parent.key = value.text;
    parent.key_at = value.at;
  }

  const Places& places_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Value> anchors_;
  Value root_;
  std::size_t values_ = 0, bytes_ = 0;
  int documents_ = 0;
  Position last_{1, 1};
};

struct Wording {
  std::string_view theirs, ours, hint;
};

// What yaml-cpp says, in words that help. The first that its text begins with counts.
constexpr Wording kWordings[] = {
    {"illegal tab", "a tab indents this line", "YAML indents with spaces"},
    {"end of sequence flow not found", "a list '[...]' isn't closed", "add the ']'"},
    {"end of map flow not found", "a mapping '{...}' isn't closed", "add the '}'"},
    {"end of map not found", "this line doesn't fit the mapping it stands in", "keys of one mapping start in the same column, and each needs a ':'"},
    {"end of sequence not found", "this line doesn't fit the list it stands in", "items of one list start with '- ' in the same column"},
    {"illegal map value", "a ':' where no mapping can be", "quote text that contains ': ', and check the indentation"},
    {"illegal map key", "a key where no mapping can be", "check the indentation"},
    {"illegal block entry", "a '- ' where no list can be", "check the indentation"},
    {"illegal flow end", "a ']' or '}' that closes nothing", "remove it, or quote the text it belongs to"},
    {"unknown escape character", "an unknown escape in a text with double quotes", "use single quotes, or \\\\ for a backslash"},
    {"unknown token", "a character that can't start a value", "quote the text"},
    {"the referenced anchor is not defined", "this alias names no anchor before it", "define it with &name above"},
    {"illegal character found while scanning alias", "a '*' starts an alias", "quote text that begins with '*'"},
    {"illegal character found while scanning anchor", "a '&' starts an anchor", "quote text that begins with '&'"},
};

void report(const YAML::Exception& error, const Places& places, Position last, Findings& findings) {
  if (places.tab_indents(error.mark)) {
    findings.add(places.of(error.mark), "a tab indents this line", "YAML indents with spaces");
    return;
  }
  if (error.msg == YAML::ErrorMsg::DOC_IN_SCALAR || error.msg == YAML::ErrorMsg::EOF_IN_SCALAR) {
    findings.add(last, "a quoted text that starts after this isn't closed", "add the quotation mark");
    return;
  }
  for (const Wording& wording : kWordings)
    if (error.msg.starts_with(wording.theirs)) {
      findings.add(places.of(error.mark), std::string(wording.ours), std::string(wording.hint));
      return;
    }
  findings.add(places.of(error.mark), "not valid YAML: " + shortened(error.msg));
}

std::optional<Value> parse(std::string_view text, const Places& places, Findings& findings) {
  TreeBuilder builder(places);
  try {
    // The end of the document is spelled out: at the bare end of the file yaml-cpp takes a quoted text that isn't closed for one that is.
    std::istringstream stream{std::string(text) + (text.ends_with('\n') ? "...\n" : "\n...\n")};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const Refused& refused) {
    findings.add(refused.at, refused.message, refused.hint);
  } catch (const YAML::Exception& error) {
    report(error, places, builder.last_place(), findings);
  }
  return std::nullopt;
}

// A finding for the first character that no manifest may have; true if there is none.
bool check_characters(std::string_view text, Findings& findings) {
  Position at{1, 1};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\n') {
      at = {at.line + 1, 1};
      continue;
    }
    if ((byte < 0x20 && byte != '\t' && byte != '\r') || byte == 0x7f) {
      findings.add(at, "a control character", "a manifest is text: remove it, or write it as an escape in double quotes");
      return false;
    }
    if ((byte & 0xc0) != 0x80) {
      ++at.column;
      if (byte >= 0x80 && !is_utf8(text.substr(i, byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4))) {
        findings.add({at.line, at.column - 1}, "not UTF-8", "save the file as UTF-8");
        return false;
      }
    } else if (i == 0 || static_cast<unsigned char>(text[i - 1]) < 0x80) {
      findings.add(at, "not UTF-8", "save the file as UTF-8");
      return false;
    }
  }
  if (is_utf8(text)) return true;
  findings.add({}, "not UTF-8", "save the file as UTF-8");
  return false;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u; };
    const unsigned first = at(0);
    const std::size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((at(k) & 0xc0) != 0x80) return false;
    if ((first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) > 0x9f) || (first == 0xf0 && at(1) < 0x90) || (first == 0xf4 && at(1) > 0x8f))
      return false;
    i += length;
  }
  return true;
}

std::optional<Value> read_yaml(std::string_view text, Findings& findings) {
  if (text.size() > kMaxManifestBytes) {
    findings.add({}, "the manifest is larger than 1 MiB", "is it a media file?");
    return std::nullopt;
  }
  if (!check_characters(text, findings)) return std::nullopt;
  return parse(text, Places(text), findings);
}

}  // namespace hawse::pipeline
