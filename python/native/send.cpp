// SPDX-License-Identifier: Apache-2.0
//
// Sending a frame: one built in this port's own slot is handed over; any other is copied into one first, and the copy is counted.
#include <unistd.h>

#include <cstring>
#include <ctime>

#include "objects.hpp"

namespace hawse::python {

namespace {

constexpr std::uint64_t kCopyWithoutGil = 256 * 1024;  // from here on a copy takes longer than giving the interpreter up and back

void copy(std::byte* to, const void* from, std::uint64_t bytes) {
  if (bytes == 0) return;
  if (bytes < kCopyWithoutGil) {
    std::memcpy(to, from, bytes);
    return;
  }
  Py_BEGIN_ALLOW_THREADS
  std::memcpy(to, from, bytes);
  Py_END_ALLOW_THREADS
}

std::int64_t realtime_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

// SplitMix64 (Steele, Lea, Flood 2014): the trace of what begins here, the id of a flush.
std::uint64_t new_id() {
  static std::uint64_t seed = 0;
  if (seed == 0) seed = static_cast<std::uint64_t>(realtime_ns()) ^ static_cast<std::uint64_t>(getpid()) << 40;
  std::uint64_t z = (seed += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (z ^ (z >> 31)) | 1;
}

namespace {

// What the frame itself left open comes from the frame in hand; a source's frame is of now.
void complete(plane::FrameHeader& header, bool has_timestamp, const LoopObject* loop) {
  const bool caused = loop != nullptr && loop->has_frame;
  if (!has_timestamp) header.timestamp_ns = caused ? loop->timestamp_ns : realtime_ns();
  if (header.trace_id == 0) header.trace_id = caused ? loop->trace_id : new_id();
}

// Writes the payload of a frame that isn't in this port's arena into `to`. False: an exception is set.
bool write_payload(FrameObject* frame, std::byte* to) {
  const std::uint64_t bytes = frame->header.payload_bytes;
  if (const std::byte* payload = payload_of(frame); payload != nullptr) {
    copy(to, payload, bytes);
    return true;
  }
  if (bytes == 0) return true;
  if (frame->source == nullptr) return PyErr_Format(PyExc_ValueError, "this frame has no payload") != nullptr;
  if (PyUnicode_Check(frame->source) != 0) {
    Py_ssize_t length = 0;
    const char* text = PyUnicode_AsUTF8AndSize(frame->source, &length);
    if (text == nullptr) return false;
    copy(to, text, bytes);
    return true;
  }
  Py_buffer view;
  if (PyObject_GetBuffer(frame->source, &view, PyBUF_FULL_RO) != 0) return false;
  bool done = static_cast<std::uint64_t>(view.len) == bytes;
  if (!done) {
    PyErr_Format(PyExc_ValueError, "the payload has %zd bytes, the frame says %llu", view.len, static_cast<unsigned long long>(bytes));
  } else if (PyBuffer_IsContiguous(&view, 'C') != 0) {
    copy(to, view.buf, bytes);
  } else {
    done = PyBuffer_ToContiguous(to, &view, view.len, 'C') == 0;
  }
  PyBuffer_Release(&view);
  return done;
}

PyObject* as_int(Status status) { return PyLong_FromLong(static_cast<long>(status)); }

PyObject* after(PortObject* port, Status status) {
  if (status == Status::ok) frame_left(port->loop, 1);
  if (status != Status::ok && status != Status::full) return raise_status("send a frame", status);
  return as_int(status);
}

PyObject* send_in_place(PortObject* port, FrameObject* frame, Hold& hold) {
  complete(frame->header, frame->has_timestamp, port->loop);
  *hold.place.header = frame->header;
  const Status status = port->port.send(hold.place, 0);
  if (status == Status::ok) {  // the views stay readable; the slot is the plane's from here on
    hold.kind = HoldKind::sent;
    port->port.pin(hold.place.slot);
    --port->building;
    frame->header.sequence = port->port.next_sequence() - 1;
  }
  return after(port, status);
}

PyObject* send_copy(PortObject* port, FrameObject* frame, const Hold& hold) {
  flush_abandoned(port);
  plane::Building building;
  Status status = port->port.allocate(frame->header.payload_bytes, &building);
  if (status != Status::ok) return as_int(status);
  if (!port->port.can_send()) {  // asked before the copy: nothing between here and send takes the room away
    port->port.abandon(building);
    return as_int(Status::full);
  }
  if (!write_payload(frame, building.payload)) {
    port->port.abandon(building);
    return nullptr;
  }
  plane::FrameHeader header = frame->header;
  header.flags = 0;
  complete(header, frame->has_timestamp, port->loop);
  *building.header = header;
  status = port->port.send(building, hold.kind == HoldKind::none ? frame->copies : 1);
  if (status != Status::ok) port->port.abandon(building);
  return after(port, status);
}

}  // namespace

PyObject* send_frame(PortObject* port, FrameObject* frame) {
  Hold& hold = frame->memory != nullptr ? frame->memory->hold : frame->hold;
  if (hold.kind == HoldKind::sent)
    return PyErr_Format(PyExc_ValueError, "this frame was already sent: its memory belongs to its readers now. Build another one");
  if (is_interrupted(port->loop)) {  // what is in hand is void
    port->port.count_flushed();
    return as_int(Status::ok);
  }
  if (hold.kind == HoldKind::building && hold.owner == reinterpret_cast<PyObject*>(port)) return send_in_place(port, frame, hold);
  return send_copy(port, frame, hold);
}

}  // namespace hawse::python
