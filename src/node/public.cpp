// SPDX-License-Identifier: Apache-2.0
//
// The parts of the public classes that need no host: typed allocation, and the output that nobody reads.
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "hawse/node.hpp"
#include "node/port_output.hpp"

namespace hawse {
namespace {

std::size_t bytes_of_shape(const std::vector<std::uint64_t>& shape, Dtype dtype) {
  std::uint64_t bytes = bytes_of(dtype);
  for (const std::uint64_t extent : shape) {
    if (extent != 0 && bytes > plane::kMaxFrameBytes / extent)
      throw std::invalid_argument("allocate a frame: it would be larger than " + std::to_string(plane::kMaxFrameBytes) + " bytes");
    bytes *= extent;
  }
  return static_cast<std::size_t>(bytes);
}

std::vector<std::uint64_t> shape_of(std::uint64_t height, std::uint64_t width, PixelFormat format) {
  switch (format) {
    case PixelFormat::rgb24:
    case PixelFormat::bgr24: return {height, width, 3};
    case PixelFormat::rgba:
    case PixelFormat::bgra: return {height, width, 4};
    case PixelFormat::gray8: return {height, width, 1};
    case PixelFormat::yuv420p:
      if (height % 2 != 0 || width % 2 != 0) throw std::invalid_argument("allocate a frame: yuv420p needs an even height and width");
      return {height / 2 * 3, width, 1};
    case PixelFormat::none: break;
  }
  throw std::invalid_argument("allocate a frame: it needs a pixel format");
}

OutFrame shaped(Output& output, FrameType type, std::vector<std::uint64_t> shape, Dtype dtype) {
  OutFrame frame = output.allocate(bytes_of_shape(shape, dtype));
  frame.info().type = type;
  frame.info().dtype = dtype;
  frame.info().shape = std::move(shape);
  return frame;
}

OutFrame written(Output& output, FrameType type, std::string_view utf8) {
  OutFrame frame = output.allocate(utf8.size());
  if (!utf8.empty()) std::memcpy(frame.bytes().data(), utf8.data(), utf8.size());
  frame.info().type = type;
  return frame;
}

}  // namespace

OutFrame Output::audio(std::uint64_t samples, std::uint64_t channels, std::uint32_t rate, Dtype dtype) {
  OutFrame frame = shaped(*this, FrameType::audio, {samples, channels}, dtype);
  frame.info().rate_numerator = rate;
  frame.info().duration_ns = rate == 0 ? 0 : static_cast<std::int64_t>(static_cast<double>(samples) * 1e9 / rate + 0.5);
  return frame;
}

OutFrame Output::video(std::uint64_t height, std::uint64_t width, PixelFormat format, std::uint32_t rate_numerator, std::uint32_t rate_denominator) {
  OutFrame frame = image(height, width, format);
  FrameInfo& info = frame.info();
  info.type = FrameType::video;
  info.rate_numerator = rate_numerator;
  info.rate_denominator = rate_denominator;
  info.duration_ns = rate_numerator == 0 ? 0 : static_cast<std::int64_t>(std::uint64_t{1'000'000'000} * rate_denominator / rate_numerator);
  return frame;
}

OutFrame Output::image(std::uint64_t height, std::uint64_t width, PixelFormat format) {
  OutFrame frame = shaped(*this, FrameType::image, shape_of(height, width, format), Dtype::uint8);
  frame.info().format = format;
  return frame;
}

OutFrame Output::tensor(std::vector<std::uint64_t> shape, Dtype dtype) { return shaped(*this, FrameType::tensor, std::move(shape), dtype); }
OutFrame Output::text(std::string_view utf8) { return written(*this, FrameType::text, utf8); }
OutFrame Output::json(std::string_view utf8) { return written(*this, FrameType::json, utf8); }

OutFrame Output::like(const Frame& frame) {
  OutFrame out = allocate(frame.bytes().size());
  const std::uint64_t sequence = out.info().sequence;
  out.info() = frame.info();
  out.info().sequence = sequence;
  out.info().given_again = false;
  return out;
}

const Frame& Matched::operator[](std::string_view port) const {
  for (const Input& input : inputs)
    if (input.port == port) return input.frame;
  throw std::out_of_range("no edge leads into the input '" + std::string(port) + "'");
}

void Node::process_matched(const Matched&) {
  throw std::logic_error("the manifest asks for matched inputs (inputs: {match: ...}), and this node has no process_matched()");
}

Output& Node::output(std::string_view port) {
  static node::UnreadOutput unread;  // has no state
  Output* found = context_->output(port);
  return found != nullptr ? *found : unread;
}

}  // namespace hawse
