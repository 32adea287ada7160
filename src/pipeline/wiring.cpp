// SPDX-License-Identifier: Apache-2.0
//
// The text of edges.
#include "pipeline/wiring.hpp"

#include <algorithm>

#include "pipeline/edges.hpp"

namespace hawse::pipeline {
namespace {

struct Settings {
  std::uint32_t queue = 8;
  plane::WhenFull when_full = plane::WhenFull::block;
  bool feedback = false;
};

Settings read_settings(const Fields& fields, bool may_feed_back) {
  Settings settings;
  settings.queue = static_cast<std::uint32_t>(fields.integer("queue"));
  const std::string when = fields.text("when_full");
  settings.when_full = when == "drop_oldest"   ? plane::WhenFull::drop_oldest
                       : when == "drop_newest" ? plane::WhenFull::drop_newest
                       : when == "latest"      ? plane::WhenFull::latest
                                               : plane::WhenFull::block;
  settings.feedback = may_feed_back && fields.flag("feedback");
  return settings;
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// "node" or "node.port"; nullopt after a finding.
std::optional<WrittenEnd> read_end(std::string_view text, Position at, Findings& findings) {
  text = trimmed(text);
  const std::size_t dot = text.find('.');
  WrittenEnd end{std::string(text.substr(0, dot)), dot == std::string_view::npos ? "" : std::string(text.substr(dot + 1)), at};
  const auto is_port = [](std::string_view name) { return is_id(name.starts_with('_') ? "a" + std::string(name) : std::string(name)); };
  if (is_id(end.node) && (dot == std::string_view::npos || is_port(end.port))) return end;
  if (text.empty()) {
    findings.add(at, "an edge without a node at one end", "write it as 'a.port -> b', or as a mapping with from and to");
  } else {
    findings.add(at, "'" + shortened(text) + "' isn't the end of an edge", "write node.port, or just node where only one port fits");
  }
  return std::nullopt;
}

class Wiring {
 public:
  explicit Wiring(Findings& findings) : findings_(findings) {}

  std::vector<WrittenEdge> take() { return std::move(edges_); }

  void add_edge(const Value& item) {
    if (item.kind == Value::Kind::text) {
      add_chain(item);
    } else if (item.kind == Value::Kind::map) {
      const Fields fields(&item, item.at, section("edge"), "this edge", findings_);
      const Value *from = fields.find("from"), *to = fields.find("to");
      if (from != nullptr && to != nullptr) add_pairs(read_ends(*from), read_ends(*to), read_settings(fields, true), item.at);
    } else {
      findings_.add(item.at, "an edge is a chain or a mapping; this is " + describe(item),
                    "write it as 'a.port -> b', or as a mapping with from and to");
    }
  }

  // `key`: "inputs" or "outputs"
  void add_application(const Value::Entry& entry, bool input) {
    if (!is_id(entry.key)) findings_.add(entry.key_at, "'" + shortened(entry.key) + "' can't be the name of an input or output", kIdSays);
    const std::vector<WrittenEnd> application = {{kApplication, entry.key, entry.key_at, true}};
    const Value* ends = &entry.value;
    Settings settings;
    if (entry.value.kind == Value::Kind::map) {
      const Fields fields(&entry.value, entry.key_at, section(input ? "input" : "output"),
                          (input ? "input '" : "output '") + shortened(entry.key) + "'", findings_);
      settings = read_settings(fields, false);
      ends = fields.find(input ? "to" : "from");
      if (ends == nullptr) return;
    } else if (!wrong_with(entry.value, {.name = "", .type = KeyType::ends, .doc = ""}).empty()) {
      findings_.add(entry.value.at,
                    "'" + shortened(entry.key) + "' must name a port, a list of ports, or be a mapping; it is " + describe(entry.value),
                    input ? "such as: speech.audio" : "such as: recognise.out");
      return;
    }
    input ? add_pairs(application, read_ends(*ends), settings, entry.key_at) : add_pairs(read_ends(*ends), application, settings, entry.key_at);
  }

 private:
  void add_chain(const Value& value) {
    std::vector<std::optional<WrittenEnd>> ends;
    const std::string_view text = value.text;
    for (std::size_t start = 0; start <= text.size();) {
      const std::size_t arrow = std::min(text.find("->", start), text.size());
      const std::string_view part = text.substr(start, arrow - start);
      ends.push_back(read_end(
          part, place_in(value, start + static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, trimmed(part).data() - part.data()))), findings_));
      start = arrow + 2;
    }
    if (ends.size() < 2) {
      findings_.add(value.at, "'" + shortened(text) + "' connects nothing", "write an edge as 'a.port -> b'");
      return;
    }
    for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
      if (!ends[i] || !ends[i + 1]) continue;
      WrittenEnd from = *ends[i], to = *ends[i + 1];
      from.middle = i > 0;
      to.middle = i + 2 < ends.size();
      add({from, to, 8, plane::WhenFull::block, false, from.at});
    }
  }

  // Within a value that stands as it is written; otherwise where the value starts.
  static Position place_in(const Value& value, std::size_t offset) {
    if (value.quoted || value.substituted || value.text.find_first_of("\n\t") != std::string::npos) return value.at;
    return {value.at.line, value.at.column + static_cast<int>(offset)};
  }

  std::vector<WrittenEnd> read_ends(const Value& value) {
    std::vector<WrittenEnd> ends;
    const auto read = [&](const Value& one) {
      if (const auto end = read_end(one.text, one.at, findings_)) ends.push_back(*end);
    };
    if (value.kind == Value::Kind::list) {
      for (const Value& item : value.items) read(item);
    } else {
      read(value);
    }
    return ends;
  }

  void add_pairs(const std::vector<WrittenEnd>& froms, const std::vector<WrittenEnd>& tos, const Settings& settings, Position at) {
    for (const WrittenEnd& from : froms)
      for (const WrittenEnd& to : tos)
        if (!add({from, to, settings.queue, settings.when_full, settings.feedback, at})) return;
  }

  bool add(WrittenEdge edge) {
    if (edges_.size() < kMaxEdges) {
      edges_.push_back(std::move(edge));
      return true;
    }
    if (!full_) findings_.add(edge.at, "more than " + std::to_string(kMaxEdges) + " edges");
    full_ = true;
    return false;
  }

  Findings& findings_;
  std::vector<WrittenEdge> edges_;
  bool full_ = false;
};

}  // namespace

std::vector<WrittenEdge> read_wiring(const Fields& top, Findings& findings) {
  Wiring wiring(findings);
  if (const Value* edges = top.find("edges"))
    for (const Value& item : edges->items) wiring.add_edge(item);
  for (const bool input : {true, false})
    if (const Value* ports = top.find(input ? "inputs" : "outputs"))
      for (const Value::Entry& entry : ports->entries) wiring.add_application(entry, input);
  return wiring.take();
}

std::vector<std::string> application_ports(const Fields& top, const char* key) {
  std::vector<std::string> names;
  if (const Value* ports = top.find(key))
    for (const Value::Entry& entry : ports->entries) names.push_back(entry.key);
  return names;
}

}  // namespace hawse::pipeline
