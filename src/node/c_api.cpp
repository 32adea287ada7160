// SPDX-License-Identifier: Apache-2.0
//
// include/hawse/node.h over the C++ node library: its functions, and what frames look like in C.
#include "hawse/node.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "node/c_handles.hpp"
#include "node/c_joined.hpp"
#include "node/program.hpp"

namespace hawse::node::c {
namespace {

static_assert(HAWSE_BYTES == static_cast<int>(FrameType::bytes) && HAWSE_COMPLEX128 == static_cast<int>(Dtype::complex128));
static_assert(HAWSE_YUV420P == static_cast<int>(PixelFormat::yuv420p) && HAWSE_LOG_ERROR == static_cast<int>(LogLevel::error));
static_assert(HAWSE_MAX_RANK == plane::kMaxRank && HAWSE_NO_TIMESTAMP == kNoTimestamp);
static_assert(sizeof(hawse_info) == 192 && sizeof(hawse_event) == 32 &&
              sizeof(hawse_input) == 16);  // of version 1.0: may grow at their ends, never shrink

constexpr std::size_t kInfoBytes = 192, kEventBytes = 32;  // of version 1.0
constexpr std::size_t kMaxLanguageBytes = 64;

// ---- structs of whatever version -----------------------------------------------------------------------------------------------

template <typename Struct>
void check_struct(const Struct* theirs, std::size_t size, std::size_t least) {
  need(theirs != nullptr, "the struct is NULL");
  need(size >= least, "the size of the struct is less than it ever was: pass its sizeof");
}

template <typename Struct>
void give_struct(const Struct& ours, Struct* theirs, std::size_t size) noexcept {
  std::memcpy(theirs, &ours, std::min(size, sizeof ours));
  if (size > sizeof ours) std::memset(reinterpret_cast<char*>(theirs) + sizeof ours, 0, size - sizeof ours);
}

hawse_info info_of(const FrameInfo& from) noexcept {
  hawse_info info{};
  info.type = static_cast<std::uint32_t>(from.type);
  info.dtype = static_cast<std::uint32_t>(from.dtype);
  info.pixels = static_cast<std::uint32_t>(from.format);
  info.rank = static_cast<std::uint32_t>(from.shape.size());
  std::uint64_t stride = std::max<std::uint64_t>(bytes_of(from.dtype), 1);
  for (std::size_t i = from.shape.size(); i-- > 0; stride *= from.shape[i]) {
    info.shape[i] = from.shape[i];
    info.strides[i] = static_cast<std::int64_t>(stride);
  }
  info.timestamp_ns = from.timestamp_ns;
  info.duration_ns = from.duration_ns;
  info.rate_numerator = from.rate_numerator;
  info.rate_denominator = from.rate_denominator;
  info.trace_id = from.trace_id;
  info.sequence = from.sequence;
  info.given_again = from.given_again ? 1 : 0;
  return info;
}

Dtype dtype_of(std::uint32_t dtype, bool none_too) {
  need(dtype <= HAWSE_COMPLEX128 && (none_too || dtype != HAWSE_NO_DTYPE), "there is no dtype of that number, or it needs one");
  return static_cast<Dtype>(dtype);
}

PixelFormat pixels_of(std::uint32_t pixels) {
  need(pixels <= HAWSE_YUV420P, "there is no pixel format of that number");
  return static_cast<PixelFormat>(pixels);
}

// ---- frames to send ------------------------------------------------------------------------------------------------------------

OutFrame blank(Output& output, FrameType type, std::size_t bytes) {
  if (bytes > plane::kMaxFrameBytes)
    throw Failure(HAWSE_ERROR_INVALID, "allocate a frame: it would be larger than " + std::to_string(plane::kMaxFrameBytes) + " bytes");
  OutFrame frame = output.allocate(bytes);
  frame.info().type = type;
  return frame;
}

template <typename Make>
int make_out(hawse_node handle, const char* port, FrameType type, const char* call, hawse_out* out, Make&& make) noexcept {
  return with_node(handle, [&](Joined& node) {
    need(out != nullptr, "the place for the frame's handle is NULL");
    const std::size_t index = node.port(port);
    OutFrame frame = make(node.output_for(index, type, call));
    hawse_out made = 0;
    Entry& entry = handles().open(Kind::out, &made);
    entry.out = {std::move(frame), handle, index};
    Handles::publish(entry, made);
    *out = made;
    return HAWSE_OK;
  });
}

int written(hawse_node handle, const char* port, FrameType type, const char* call, const char* utf8, std::size_t bytes, hawse_out* out) noexcept {
  return make_out(handle, port, type, call, out, [&](Output& output) {
    need(utf8 != nullptr || bytes == 0, "the text is NULL");
    OutFrame frame = blank(output, type, bytes);
    if (bytes != 0) std::memcpy(frame.bytes().data(), utf8, bytes);
    return frame;
  });
}

// ---- parameters ----------------------------------------------------------------------------------------------------------------

template <typename Value, typename Get>
int get_param(hawse_node handle, const char* name, Value* value, Get&& get) noexcept {
  return with_node(handle, [&](Joined& node) {
    need(value != nullptr, "the place for the parameter's value is NULL");
    const auto [params, last] = node.param(name);
    try {
      *value = get(node, params, last);
    } catch (const std::invalid_argument& error) {
      throw Failure(HAWSE_ERROR_PARAM, error.what());
    }
    return HAWSE_OK;
  });
}

}  // namespace
}  // namespace hawse::node::c

using namespace hawse;
using namespace hawse::node;
using namespace hawse::node::c;

extern "C" {

// ---- the library ---------------------------------------------------------------------------------------------------------------

uint32_t hawse_abi_version(void) { return HAWSE_ABI_VERSION; }

const char* hawse_version(void) { return HAWSE_VERSION; }

const char* hawse_last_error(void) { return last_error; }

const char* hawse_error_name(int code) {
  constexpr const char* kNames[] = {"HAWSE_OK",           "HAWSE_ERROR_INVALID",     "HAWSE_ERROR_HANDLE",  "HAWSE_ERROR_ORDER",
                                    "HAWSE_ERROR_THREAD", "HAWSE_ERROR_PORT",        "HAWSE_ERROR_TYPE",    "HAWSE_ERROR_PARAM",
                                    "HAWSE_ERROR_MEMORY", "HAWSE_ERROR_NOT_STARTED", "HAWSE_ERROR_STOPPED", "HAWSE_ERROR_SYSTEM"};
  return code <= 0 && code > -static_cast<int>(std::size(kNames)) ? kNames[-code] : "";
}

size_t hawse_dtype_bytes(uint32_t dtype) { return dtype <= HAWSE_COMPLEX128 ? bytes_of(static_cast<Dtype>(dtype)) : 0; }

// ---- a node's life -------------------------------------------------------------------------------------------------------------

int hawse_node_join(const char* signature, const char* language, hawse_node* node) {
  return guarded([&] {
    need(node != nullptr, "hawse_node_join(): the place for the node's handle is NULL");
    const std::string name = language != nullptr ? language : "c";
    need(name.size() <= kMaxLanguageBytes, "hawse_node_join(): the language's name is longer than 64 bytes");
    Declared declared = read_signature(signature);
    UniqueFd control = runtime_socket();
    if (!control)
      throw Failure(HAWSE_ERROR_NOT_STARTED,
                    "this program is a node of a Hawsepipe pipeline and is started by `hawse run`: name it in a manifest (node: ./program)");
    auto joined = std::make_shared<Joined>(std::move(control), std::move(declared), name);
    try {
      joined->check_ports();
    } catch (const Failure& error) {
      joined->report(error.what(), error.what());
      throw;
    }
    Entry& entry = handles().open(Kind::node, node);
    entry.node = std::move(joined);
    Handles::publish(entry, *node);
    return HAWSE_OK;
  });
}

int hawse_node_ready(hawse_node node) {
  return with_node(node, [](Joined& joined) { return joined.ready(); });
}

int hawse_node_next(hawse_node node, int64_t timeout_ns, hawse_event* event, size_t size) {
  return with_node(node, [&](Joined& joined) {
    check_struct(event, size, kEventBytes);
    hawse_event ours;
    joined.next(timeout_ns, ours);
    give_struct(ours, event, size);
    return HAWSE_OK;
  });
}

int hawse_node_finish(hawse_node node) {
  return with_node(node, [](Joined& joined) { return joined.finish(); });
}

int hawse_node_fail(hawse_node node, const char* summary, const char* details) {
  return with_node(node, [&](Joined& joined) {
    need(summary != nullptr, "hawse_node_fail(): the summary is NULL");
    return joined.fail(summary, details != nullptr ? details : summary);
  });
}

int hawse_node_leave(hawse_node node) {
  return guarded([&] {
    { const Entered alone(node); }
    take(Kind::node, node, &Entry::node).reset();
    return HAWSE_OK;
  });
}

// ---- what a node asks and says ---------------------------------------------------------------------------------------------------

const char* hawse_node_id(hawse_node node) {
  const char* id = nullptr;
  with_node(node, [&](Joined& joined) {
    id = joined.endpoint().id().c_str();
    return HAWSE_OK;
  });
  return id;
}

int hawse_node_has_input(hawse_node node, const char* port) {
  return with_node(node, [&](Joined& joined) { return joined.has_input(port); });
}

int hawse_node_has_output(hawse_node node, const char* port) {
  return with_node(node, [&](Joined& joined) { return joined.has_output(port); });
}

int hawse_node_is_read(hawse_node node, const char* port) {
  return with_node(node, [&](Joined& joined) { return joined.output(joined.port(port)).connected(); });
}

int hawse_node_stopping(hawse_node node) {
  return with_node(node, [](Joined& joined) { return joined.stopping(); });
}

int hawse_node_interrupted(hawse_node node) {
  return with_node(node, [](Joined& joined) { return joined.endpoint().interrupted(); });
}

int hawse_node_sleep_until(hawse_node node, int64_t monotonic_ns) {
  return with_node(node, [&](Joined& joined) { return joined.endpoint().sleep_until(monotonic_ns); });
}

int hawse_node_log(hawse_node node, uint32_t level, const char* text) {
  return guarded([&] {
    need(text != nullptr, "hawse_node_log(): the text is NULL");
    need(level <= HAWSE_LOG_ERROR, "hawse_node_log(): there is no such level");
    find(Kind::node, node).node->endpoint().log(static_cast<LogLevel>(level), text);
    return HAWSE_OK;
  });
}

int hawse_node_progress(hawse_node node, const char* what, uint64_t done, uint64_t total, const char* unit) {
  return with_node(node, [&](Joined& joined) {
    need(what != nullptr && unit != nullptr, "hawse_node_progress(): `what` or `unit` is NULL");
    joined.endpoint().page().alive();
    joined.endpoint().progress(what, done, total, unit);
    return HAWSE_OK;
  });
}

int hawse_node_alive(hawse_node node) {
  return guarded([&] {
    find(Kind::node, node).node->endpoint().page().alive();
    return HAWSE_OK;
  });
}

// ---- parameters ------------------------------------------------------------------------------------------------------------------

int hawse_param_has(hawse_node node, const char* name) {
  return with_node(node, [&](Joined& joined) {
    const auto [params, last] = joined.param(name);
    return params.has(last);
  });
}

int hawse_param_bool(hawse_node node, const char* name, int* value) {
  return get_param(node, name, value, [](Joined&, const Params& params, const std::string& last) { return params.boolean(last) ? 1 : 0; });
}

int hawse_param_int(hawse_node node, const char* name, int64_t* value) {
  return get_param(node, name, value, [](Joined&, const Params& params, const std::string& last) { return params.integer(last); });
}

int hawse_param_float(hawse_node node, const char* name, double* value) {
  return get_param(node, name, value, [](Joined&, const Params& params, const std::string& last) { return params.number(last); });
}

int hawse_param_text(hawse_node node, const char* name, const char** value) {
  return get_param(node, name, value, [&](Joined& joined, const Params& params, const std::string& last) {
    return joined.keep(std::string("t") + name, params.text(last));
  });
}

int hawse_param_bytes(hawse_node node, const char* name, uint64_t* bytes) {
  return get_param(node, name, bytes, [](Joined&, const Params& params, const std::string& last) { return params.bytes(last); });
}

int hawse_param_duration(hawse_node node, const char* name, int64_t* value_ns) {
  return get_param(node, name, value_ns, [](Joined&, const Params& params, const std::string& last) { return params.duration_ns(last); });
}

int hawse_param_json(hawse_node node, const char* name, const char** value) {
  return get_param(node, name != nullptr ? name : "", value, [&](Joined& joined, const Params& params, const std::string& last) {
    return name != nullptr ? joined.keep(std::string("j") + name, params.json(last)) : joined.keep("", joined.all_params());
  });
}

// ---- a received frame ------------------------------------------------------------------------------------------------------------

int hawse_frame_info(hawse_frame frame, hawse_info* info, size_t size) {
  return guarded([&] {
    check_struct(info, size, kInfoBytes);
    give_struct(info_of(find(Kind::frame, frame).frame.info()), info, size);
    return HAWSE_OK;
  });
}

int hawse_frame_data(hawse_frame frame, const void** data, size_t* bytes) {
  return guarded([&] {
    need(data != nullptr && bytes != nullptr, "hawse_frame_data(): a place for the answer is NULL");
    const auto payload = find(Kind::frame, frame).frame.bytes();
    *data = payload.data();
    *bytes = payload.size();
    return HAWSE_OK;
  });
}

int hawse_frame_release(hawse_frame frame) {
  return guarded([&] {
    take(Kind::frame, frame, &Entry::frame);
    return HAWSE_OK;
  });
}

// ---- a frame to send -------------------------------------------------------------------------------------------------------------

int hawse_out_audio(hawse_node node, const char* port, uint64_t samples, uint64_t channels, uint32_t rate, uint32_t dtype, hawse_out* out) {
  return make_out(node, port, FrameType::audio, "hawse_out_audio()", out,
                  [&](Output& output) { return output.audio(samples, channels, rate, dtype_of(dtype, false)); });
}

int hawse_out_video(hawse_node node, const char* port, uint64_t height, uint64_t width, uint32_t pixels, uint32_t rate_numerator,
                    uint32_t rate_denominator, hawse_out* out) {
  return make_out(node, port, FrameType::video, "hawse_out_video()", out,
                  [&](Output& output) { return output.video(height, width, pixels_of(pixels), rate_numerator, rate_denominator); });
}

int hawse_out_image(hawse_node node, const char* port, uint64_t height, uint64_t width, uint32_t pixels, hawse_out* out) {
  return make_out(node, port, FrameType::image, "hawse_out_image()", out,
                  [&](Output& output) { return output.image(height, width, pixels_of(pixels)); });
}

int hawse_out_tensor(hawse_node node, const char* port, const uint64_t* shape, size_t rank, uint32_t dtype, hawse_out* out) {
  return make_out(node, port, FrameType::tensor, "hawse_out_tensor()", out, [&](Output& output) {
    need(rank <= HAWSE_MAX_RANK, "hawse_out_tensor(): a shape has at most 8 dimensions");
    need(shape != nullptr || rank == 0, "hawse_out_tensor(): the shape is NULL");
    return output.tensor(std::vector<std::uint64_t>(shape, shape + rank), dtype_of(dtype, false));
  });
}

int hawse_out_text(hawse_node node, const char* port, const char* utf8, size_t bytes, hawse_out* out) {
  return written(node, port, FrameType::text, "hawse_out_text()", utf8, bytes, out);
}

int hawse_out_json(hawse_node node, const char* port, const char* utf8, size_t bytes, hawse_out* out) {
  return written(node, port, FrameType::json, "hawse_out_json()", utf8, bytes, out);
}

int hawse_out_bytes(hawse_node node, const char* port, size_t bytes, hawse_out* out) {
  return make_out(node, port, FrameType::bytes, "hawse_out_bytes()", out, [&](Output& output) { return blank(output, FrameType::bytes, bytes); });
}

int hawse_out_like(hawse_node node, const char* port, hawse_frame frame, hawse_out* out) {
  return guarded([&] {
    const Frame& like = find(Kind::frame, frame).frame;
    return make_out(node, port, like.info().type, "hawse_out_like()", out, [&](Output& output) { return output.like(like); });
  });
}

int hawse_out_data(hawse_out out, void** data, size_t* bytes) {
  return guarded([&] {
    need(data != nullptr && bytes != nullptr, "hawse_out_data(): a place for the answer is NULL");
    const auto payload = find(Kind::out, out).out.frame.bytes();
    *data = payload.data();
    *bytes = payload.size();
    return HAWSE_OK;
  });
}

int hawse_out_info(hawse_out out, hawse_info* info, size_t size) {
  return guarded([&] {
    check_struct(info, size, kInfoBytes);
    give_struct(info_of(find(Kind::out, out).out.frame.info()), info, size);
    return HAWSE_OK;
  });
}

int hawse_out_set_info(hawse_out out, const hawse_info* info, size_t size) {
  return guarded([&] {
    check_struct(info, size, kInfoBytes);
    hawse_info theirs{};
    std::memcpy(&theirs, info, std::min(size, sizeof theirs));
    need(theirs.type >= HAWSE_AUDIO && theirs.type <= HAWSE_BYTES, "hawse_out_set_info(): there is no type of that number");
    need(theirs.rank <= HAWSE_MAX_RANK, "hawse_out_set_info(): a shape has at most 8 dimensions");
    const Dtype dtype = dtype_of(theirs.dtype, true);
    const PixelFormat format = pixels_of(theirs.pixels);
    FrameInfo& ours = find(Kind::out, out).out.frame.info();
    ours.shape.assign(theirs.shape, theirs.shape + theirs.rank);
    ours.type = static_cast<FrameType>(theirs.type);
    ours.dtype = dtype;
    ours.format = format;
    ours.timestamp_ns = theirs.timestamp_ns;
    ours.duration_ns = theirs.duration_ns;
    ours.rate_numerator = theirs.rate_numerator;
    ours.rate_denominator = theirs.rate_denominator;
    ours.trace_id = theirs.trace_id;
    return HAWSE_OK;
  });
}

int hawse_out_resize(hawse_out out, size_t bytes) {
  return guarded([&] {
    find(Kind::out, out).out.frame.resize(bytes);
    return HAWSE_OK;
  });
}

int hawse_out_send(hawse_out out) {
  return guarded([&] {
    OpenOut open = take(Kind::out, out, &Entry::out);
    const Entered node(open.node);
    node->output_for(open.port, open.frame.info().type, "hawse_out_send()").send(std::move(open.frame));
    return HAWSE_OK;
  });
}

int hawse_out_discard(hawse_out out) {
  return guarded([&] {
    take(Kind::out, out, &Entry::out);
    return HAWSE_OK;
  });
}

int hawse_node_forward(hawse_node node, const char* port, hawse_frame frame) {
  return with_node(node, [&](Joined& joined) {
    const Frame& sent = find(Kind::frame, frame).frame;
    joined.output_for(joined.port(port), sent.info().type, "hawse_node_forward()").forward(sent);
    return HAWSE_OK;
  });
}

// ---- flush -----------------------------------------------------------------------------------------------------------------------

int hawse_node_flush(hawse_node node, const char* port) {
  return with_node(node, [&](Joined& joined) {
    joined.flushed_output(port).flush();
    return HAWSE_OK;
  });
}

int hawse_node_keep_flush(hawse_node node) {
  return with_node(node, [](Joined& joined) {
    joined.keep_flush();
    return HAWSE_OK;
  });
}

}  // extern "C"
