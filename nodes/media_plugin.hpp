// SPDX-License-Identifier: Apache-2.0
//
// The media nodes are a library of their own, lib/hawse/hawse-media.so, loaded when a pipeline has one: FFmpeg brings two hundred libraries, whose
// loading takes longer than everything else at the start of the command or of a node.
#pragma once

#include <memory>

#include "catalogue.hpp"
#include "hawse/node.hpp"

namespace hawse::nodes {

std::unique_ptr<Node> make_media_source();
std::unique_ptr<Node> make_media_sink();
std::unique_ptr<FrameWriter> make_frame_writer(const std::string& uri, const std::string& container);

}  // namespace hawse::nodes

// What the library exports: the node, which the caller owns.
extern "C" [[gnu::visibility("default")]] hawse::Node* hawse_make_media_source();
extern "C" [[gnu::visibility("default")]] hawse::Node* hawse_make_media_sink();
extern "C" [[gnu::visibility("default")]] hawse::nodes::FrameWriter* hawse_make_frame_writer(const char* uri, const char* container);
