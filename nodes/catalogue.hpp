// SPDX-License-Identifier: Apache-2.0
//
// The stock nodes: their names, what they take and give, and how to make one. A value that main builds and passes on.
// A stock node is written against the public API only (include/hawse); docs/nodes.md describes each.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hawse/node.hpp"

namespace hawse::nodes {

struct StockEntry {
  std::string name;       // "media/source"
  std::string signature;  // JSON (src/pipeline/pipeline.hpp tells its form)
  std::string executor;   // the default: "thread" or "process"
  std::unique_ptr<Node> (*make)();
};

// Encodes frames into a file, for whoever is no node. One thread; what goes wrong is a std::runtime_error that names the file.
class FrameWriter {
 public:
  virtual ~FrameWriter() = default;
  virtual void write(const Frame&) = 0;  // audio, video or images: the first says which
  virtual bool finish() = 0;             // false: nothing had come
};
// `container` as FFmpeg calls it ("wav", "image2"); "" to take it from the name. Loads the media library.
std::unique_ptr<FrameWriter> open_frame_writer(const std::string& uri, const std::string& container);

std::vector<StockEntry> catalogue();
std::vector<StockEntry> self_contained();  // those that load no library
const StockEntry* find(const std::vector<StockEntry>&, std::string_view name);  // nullptr: no such node

}  // namespace hawse::nodes
