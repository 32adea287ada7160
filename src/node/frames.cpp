// SPDX-License-Identifier: Apache-2.0
//
// Frames between the public API and the plane: names, handles, and the header in both directions.
#include "node/frames.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace hawse {

static_assert(static_cast<int>(FrameType::control) == static_cast<int>(plane::FrameType::control));
static_assert(static_cast<int>(Dtype::complex128) == static_cast<int>(plane::Dtype::complex128));
static_assert(static_cast<int>(PixelFormat::yuv420p) == static_cast<int>(plane::PixelFormat::yuv420p));

const char* to_string(FrameType type) noexcept {
  constexpr const char* kNames[] = {"none", "audio", "video", "image", "tensor", "text", "json", "bytes", "control"};
  const auto index = static_cast<std::size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

const char* to_string(Dtype dtype) noexcept {
  constexpr const char* kNames[] = {"none",  "bool",   "int8",    "uint8",   "int16",   "uint16",   "int32",     "uint32",
                                    "int64", "uint64", "float16", "float32", "float64", "bfloat16", "complex64", "complex128"};
  const auto index = static_cast<std::size_t>(dtype);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

const char* to_string(PixelFormat format) noexcept {
  constexpr const char* kNames[] = {"none", "rgb24", "bgr24", "rgba", "bgra", "gray8", "yuv420p"};
  const auto index = static_cast<std::size_t>(format);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

std::size_t bytes_of(Dtype dtype) noexcept { return static_cast<std::size_t>(plane::dtype_bytes(static_cast<plane::Dtype>(dtype))); }

// ---- a received frame -------------------------------------------------------------------------------------------------

Frame::Lease::~Lease() {
  if (end && !end->abandoned.load(std::memory_order_relaxed)) end->link.release(slot, epoch);
}

Frame::Frame(std::shared_ptr<const Lease> lease) noexcept : lease_(std::move(lease)) {}

const FrameInfo& Frame::info() const noexcept {
  static const FrameInfo kEmpty;
  return lease_ ? lease_->info : kEmpty;
}

std::span<const std::byte> Frame::bytes() const noexcept { return lease_ ? lease_->bytes : std::span<const std::byte>(); }

std::string_view Frame::text() const noexcept { return {reinterpret_cast<const char*>(bytes().data()), bytes().size()}; }

// ---- a frame under construction ---------------------------------------------------------------------------------------

OutFrame::Slot::~Slot() {
  if (port) port->abandon(building);
}

OutFrame::OutFrame(std::unique_ptr<Slot> slot) noexcept : slot_(std::move(slot)) {}
OutFrame::OutFrame() noexcept = default;
OutFrame::OutFrame(OutFrame&&) noexcept = default;
OutFrame& OutFrame::operator=(OutFrame&&) noexcept = default;
OutFrame::~OutFrame() = default;

FrameInfo& OutFrame::info() noexcept { return slot_->info; }
std::span<std::byte> OutFrame::bytes() noexcept { return slot_ ? slot_->bytes : std::span<std::byte>(); }

void OutFrame::resize(std::size_t bytes) {
  if (!slot_ || bytes > slot_->bytes.size())
    throw std::invalid_argument("resize a frame: it has " + std::to_string(this->bytes().size()) + " bytes and can't grow to " + std::to_string(bytes));
  slot_->bytes = slot_->bytes.first(bytes);
}

namespace node {

Frame make_frame(std::shared_ptr<InputEnd> end, const plane::Received& received) {
  const plane::FrameHeader& header = received.header;
  auto lease = std::make_shared<Frame::Lease>();
  FrameInfo& info = lease->info;
  info.type = static_cast<FrameType>(header.type);
  info.dtype = static_cast<Dtype>(header.dtype);
  info.format = static_cast<PixelFormat>(header.format);
  info.shape.assign(header.shape, header.shape + header.rank);
  info.timestamp_ns = header.timestamp_ns;
  info.duration_ns = header.duration_ns;
  info.rate_numerator = header.rate_numerator;
  info.rate_denominator = header.rate_denominator;
  info.trace_id = header.trace_id;
  info.sequence = header.sequence;
  info.given_again = (header.flags & plane::kFlagGivenAgain) != 0;
  lease->bytes = {received.payload, static_cast<std::size_t>(header.payload_bytes)};
  lease->slot = received.slot;
  lease->epoch = received.epoch;
  lease->end = std::move(end);
  return Frame(std::move(lease));
}

OutFrame make_out_frame(std::shared_ptr<plane::OutputPort> port, const plane::Building& building, std::size_t payload_bytes) {
  auto slot = std::make_unique<OutFrame::Slot>();
  slot->bytes = {building.payload, payload_bytes};
  slot->building = building;
  slot->port = std::move(port);
  return OutFrame(std::move(slot));
}

OutFrame make_unread_frame(std::size_t payload_bytes) {
  auto slot = std::make_unique<OutFrame::Slot>();
  slot->heap = std::make_unique<std::byte[]>(payload_bytes);
  slot->bytes = {slot->heap.get(), payload_bytes};
  return OutFrame(std::move(slot));
}

namespace {

// Elements the shape says, at most `limit` + 1: a product that would overflow is only too large.
std::uint64_t elements_of(const std::vector<std::uint64_t>& shape, std::uint64_t limit) {
  std::uint64_t count = 1;
  for (const std::uint64_t extent : shape) {
    if (extent == 0) return 0;
    count = count > limit / extent ? limit + 1 : count * extent;
  }
  return count;
}

}  // namespace

void write_header(const FrameInfo& info, std::size_t payload_bytes, plane::FrameHeader& header) {
  if (info.type == FrameType::none || info.type > FrameType::control) throw std::invalid_argument("send a frame: it has no type");
  if (info.shape.size() > plane::kMaxRank)
    throw std::invalid_argument("send a frame: its shape has " + std::to_string(info.shape.size()) + " dimensions; the most is " + std::to_string(plane::kMaxRank));
  const std::uint64_t element_bytes = bytes_of(info.dtype);
  if (!info.shape.empty() && element_bytes != 0 && elements_of(info.shape, payload_bytes / element_bytes) > payload_bytes / element_bytes)
    throw std::invalid_argument("send a frame: its shape needs more than the " + std::to_string(payload_bytes) + " bytes of its payload");
  if (std::ranges::any_of(info.shape, [](std::uint64_t extent) { return extent > UINT32_MAX; }))
    throw std::invalid_argument("send a frame: an axis of its shape is longer than " + std::to_string(UINT32_MAX));
  header = plane::FrameHeader{};
  header.type = static_cast<plane::FrameType>(info.type);
  header.dtype = static_cast<plane::Dtype>(info.dtype);
  header.format = static_cast<plane::PixelFormat>(info.format);
  header.rank = static_cast<std::uint8_t>(info.shape.size());
  for (std::size_t i = 0; i < info.shape.size(); ++i) header.shape[i] = static_cast<std::uint32_t>(info.shape[i]);
  header.timestamp_ns = info.timestamp_ns;
  header.duration_ns = info.duration_ns;
  header.trace_id = info.trace_id;
  header.payload_bytes = payload_bytes;
  header.rate_numerator = info.rate_numerator;
  header.rate_denominator = info.rate_denominator;
}

}  // namespace node
}  // namespace hawse
