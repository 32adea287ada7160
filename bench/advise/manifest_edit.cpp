// SPDX-License-Identifier: Apache-2.0
#include "bench/advise/manifest_edit.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/value.hpp"

namespace hawse::bench::advise {
namespace {

using pipeline::json;
using pipeline::Position;
using pipeline::Value;

// An edit that isn't safe: where, and why.
struct Unsafe {
  Position at;
  std::string why;
};

struct Insertion {
  std::size_t at = 0, erase = 0;  // bytes
  std::string text;
};

class Editor {
 public:
  Editor(std::string_view text, const Value& root) : text_(text), root_(root) {
    for (std::size_t i = 0; i < text.size(); ++i)
      if (text[i] == '\n') lines_.push_back(i + 1);
  }

  void apply(const NodeChange& change, std::vector<Insertion>& insertions) const {
    const Value::Entry& node = entry_of(change.node);
    if (node.value.kind != Value::Kind::map || node.value.entries.empty()) throw Unsafe{node.key_at, "the node isn't written out here"};
    check_written_here(node.value, node.key_at);
    if (change.executor) set_executor(node.value, to_string(*change.executor), insertions);
    if (change.memory_bytes) set_memory(node.value, size_in_manifest(*change.memory_bytes), insertions);
  }

  const Value::Entry& entry_of(const std::string& id) const {
    const Value::Entry* nodes = root_.find("nodes");
    const Value::Entry* node = nodes == nullptr ? nullptr : nodes->value.find(id);
    if (node == nullptr) throw Unsafe{{1, 1}, "there is no node '" + id + "'"};
    return *node;
  }

 private:
  // Characters from 1 to bytes from 0.
  std::size_t offset(Position at) const {
    std::size_t i = lines_[static_cast<std::size_t>(at.line - 1)];
    for (int column = 1; column < at.column && i < text_.size(); ++column) {
      ++i;
      while (i < text_.size() && (static_cast<unsigned char>(text_[i]) & 0xc0) == 0x80) ++i;
    }
    return i;
  }
  std::size_t line_begin(Position at) const { return lines_[static_cast<std::size_t>(at.line - 1)]; }
  std::size_t line_end(std::size_t from) const { return std::min(text_.find('\n', from), text_.size()); }

  // The content of an alias stands elsewhere, and belongs to others, too.
  void check_written_here(const Value& map, Position key) const {
    const bool here = map.at.line > key.line || (map.at.line == key.line && map.at.column > key.column);
    if (!here || text_[offset(map.at)] == '*') throw Unsafe{key, "it is an alias of what stands elsewhere"};
    const Position first = map.entries.empty() ? map.at : map.entries.front().key_at;
    if (first.line < map.at.line || (first.line == map.at.line && first.column < map.at.column)) throw Unsafe{key, "it is an alias of what stands elsewhere"};
  }

  static bool is_quote(char c) { return c == '"' || c == '\''; }

  // Where a scalar of one line ends, as it stands in the text.
  std::size_t end_of_scalar(const Value& value) const {
    const std::size_t begin = offset(value.at);
    std::size_t end = begin;
    if (begin < text_.size() && is_quote(text_[begin])) {
      const std::string_view inner = text_.substr(begin + 1, value.text.size());
      end = begin + 1 + value.text.size();
      if (inner != value.text || end >= text_.size() || text_[end] != text_[begin]) throw Unsafe{value.at, "this text is written in a way that can't be followed"};
      return end + 1;
    }
    if (text_.substr(begin, value.text.size()) != value.text) throw Unsafe{value.at, "this text is written in a way that can't be followed"};
    return begin + value.text.size();
  }

  bool is_flow(const Value& map) const { return text_[offset(map.at)] == '{'; }

  void set_executor(const Value& node, const std::string& kind, std::vector<Insertion>& insertions) const {
    const Value::Entry* executor = node.find("executor");
    if (executor == nullptr) return add_key(node, "executor", kind, true, insertions);
    if (executor->value.kind != Value::Kind::text) throw Unsafe{executor->key_at, "it has no value to replace"};
    if (executor->value.text.find("${") != std::string::npos) throw Unsafe{executor->value.at, "a variable decides it"};
    const std::size_t begin = offset(executor->value.at), end = end_of_scalar(executor->value);
    const std::string quote = is_quote(text_[begin]) ? std::string(1, text_[begin]) : "";
    insertions.push_back({begin, end - begin, quote + kind + quote});
  }

  void set_memory(const Value& node, const std::string& size, std::vector<Insertion>& insertions) const {
    const Value::Entry* limits = node.find("limits");
    if (limits == nullptr) {
      const bool quoted = quotes_keys(node);
      return add_key(node, "limits", quoted ? "{\"memory\": \"" + size + "\"}" : "{memory: " + size + "}", false, insertions);
    }
    const Value& map = limits->value;
    if (map.kind != Value::Kind::map) throw Unsafe{limits->key_at, "it is no mapping with limits"};
    check_written_here(map, limits->key_at);
    const bool quoted = map.entries.empty() ? quotes_keys(node) : quotes_keys(map);
    const std::string entry = quoted ? "\"memory\": \"" + size + "\"" : "memory: " + size;
    if (is_flow(map)) return insertions.push_back({offset(map.at) + 1, 0, map.entries.empty() ? entry : entry + ", "});
    const Position first = map.entries.front().key_at;
    insertions.push_back({line_begin(first), 0, indent_of(first) + entry + line_break(first)});
  }

  bool quotes_keys(const Value& map) const { return text_[offset(map.entries.front().key_at)] == '"'; }

  // What stands before a key on its line; it must be alone there.
  std::string indent_of(Position key) const {
    const std::string indent(text_.substr(line_begin(key), offset(key) - line_begin(key)));
    if (indent.find_first_not_of(' ') != std::string::npos) throw Unsafe{key, "another key stands before it on its line"};
    return indent;
  }
  std::string line_break(Position at) const {
    const std::size_t end = line_end(line_begin(at));
    return end > 0 && end < text_.size() && text_[end - 1] == '\r' ? "\r\n" : "\n";
  }

  // A new key after `executor:`, or else after `node:`, in the style of that place. `scalar`: quoted where keys are.
  void add_key(const Value& map, const std::string& key, const std::string& value, bool scalar, std::vector<Insertion>& insertions) const {
    const Value::Entry* reference = map.find("executor");
    if (reference == nullptr || reference->value.kind != Value::Kind::text) reference = map.find("node");
    if (reference == nullptr || reference->value.kind != Value::Kind::text) throw Unsafe{map.at, "it has no key 'node' to stand after"};
    const std::size_t end = end_of_scalar(reference->value);
    const Position at = reference->key_at;
    const std::size_t begin = offset(at);
    if (is_flow(map)) {
      const bool quoted = text_[begin] == '"';
      const bool own_line = text_.substr(line_begin(at), begin - line_begin(at)).find_first_not_of(" \t") == std::string_view::npos;
      const std::string before = own_line ? line_break(at) + std::string(text_.substr(line_begin(at), begin - line_begin(at))) : " ";
      const std::string entry = quoted ? "\"" + key + "\": " + (scalar ? "\"" + value + "\"" : value) : key + ": " + value;
      return insertions.push_back({end, 0, "," + before + entry});
    }
    const std::string line = indent_of(at) + key + ": " + value;
    const std::size_t stop = line_end(end);
    if (stop < text_.size()) insertions.push_back({stop + 1, 0, line + line_break(reference->value.at)});
    else insertions.push_back({stop, 0, "\n" + line});
  }

  const std::string_view text_;
  const Value& root_;
  std::vector<std::size_t> lines_ = {0};
};

Value read(std::string_view text) {
  pipeline::Findings findings("manifest");
  std::optional<Value> root = pipeline::read_yaml(text, findings);
  findings.throw_if_any();
  return std::move(*root);
}

std::string by_hand(const NodeChange& change) {
  std::string text;
  if (change.executor) text = fmt::format("executor: {}", to_string(*change.executor));
  if (change.memory_bytes) text += fmt::format("{}limits: {{memory: {}}}", text.empty() ? "" : ", ", size_in_manifest(*change.memory_bytes));
  return text;
}

[[noreturn]] void refuse(const NodeChange& change, Position at, const std::string& why) {
  throw Error(ErrorCode::manifest, "write the advice", fmt::format("line {}, node '{}': {}; nothing was written", at.line, change.node, why),
              "write by hand: " + by_hand(change));
}

// What the new text must say.
json wanted(json manifest, const std::vector<NodeChange>& changes) {
  for (const auto& change : changes) {
    json& node = manifest["nodes"][change.node];
    if (change.executor) node["executor"] = to_string(*change.executor);
    if (change.memory_bytes) node["limits"]["memory"] = size_in_manifest(*change.memory_bytes);
  }
  return manifest;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line(text.substr(at, end - at));
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

// Lines are only added (at most two at a place), or changed where they stand.
std::vector<ChangedLine> difference(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::vector<ChangedLine> list;
  std::size_t b = 0;
  for (std::size_t a = 0; a < after.size(); ++a) {
    const auto same = [&](std::size_t further) { return b < before.size() && a + further < after.size() && before[b] == after[a + further]; };
    const bool added = b >= before.size() || same(1) || same(2);
    if (!same(0)) list.push_back({.line = static_cast<int>(a) + 1, .before = added ? "" : before[b], .after = after[a]});
    if (same(0) || !added) ++b;
  }
  return list;
}

}  // namespace

std::string size_in_manifest(std::uint64_t bytes) {
  for (const auto& [unit, name] : {std::pair{1ull << 30, "GiB"}, std::pair{1ull << 20, "MiB"}, std::pair{1ull << 10, "KiB"}})
    if (bytes % unit == 0) return fmt::format("{}{}", bytes / unit, name);
  return std::to_string(bytes);
}

Edited edit_manifest(std::string_view text, const std::vector<NodeChange>& changes) {
  const Value root = read(text);
  const Editor editor(text, root);
  std::vector<Insertion> insertions;
  for (const auto& change : changes) {
    try {
      editor.apply(change, insertions);
    } catch (const Unsafe& unsafe) {
      refuse(change, unsafe.at, unsafe.why);
    }
  }
  // From the end, so that places before stay right; of two at one place the first comes first.
  std::ranges::stable_sort(insertions, {}, &Insertion::at);
  Edited edited{.text = std::string(text), .lines = {}};
  for (auto one = insertions.rbegin(); one != insertions.rend(); ++one) edited.text.replace(one->at, one->erase, one->text);

  bool as_wanted = false;
  try {
    as_wanted = pipeline::to_json(read(edited.text)) == wanted(pipeline::to_json(root), changes);
  } catch (const Error&) {
    // It can't even be read: not as wanted.
  }
  if (!as_wanted && !changes.empty()) refuse(changes.front(), editor.entry_of(changes.front().node).key_at, "the change can't be made without changing more");
  edited.lines = difference(lines_of(text), lines_of(edited.text));
  return edited;
}

}  // namespace hawse::bench::advise
