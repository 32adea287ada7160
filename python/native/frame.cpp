// SPDX-License-Identifier: Apache-2.0
//
// Frame, the base of every frame class of the package, and Memory, the buffer that its views share.
//
// A frame's payload is in one of three places: a slot it was received in (read-only), a slot of an output port where it's being built
// (writable; still mapped but no longer its own after send), or an object of the user's (`source`: array, bytes, str).
#include <cstring>

#include "objects.hpp"

namespace hawse::python {

Types types;

void free_object(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  auto free = reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free));
  free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

bool get_integer(PyObject* value, std::int64_t low, std::int64_t high, const char* name, std::int64_t& out) {
  out = PyLong_AsLongLong(value);
  if (out == -1 && PyErr_Occurred() != nullptr) return false;
  if (out >= low && out <= high) return true;
  PyErr_Format(PyExc_ValueError, "%s is out of range: %lld", name, static_cast<long long>(out));
  return false;
}

bool add_type(PyObject* module, const char* name, PyTypeObject* type) {
  if (type == nullptr) return false;
  Py_INCREF(reinterpret_cast<PyObject*>(type));  // one for the module, one for `types`
  return PyModule_AddObject(module, name, reinterpret_cast<PyObject*>(type)) == 0;
}

void drop(Hold& hold) {
  if (hold.kind == HoldKind::none) return;
  if (hold.kind == HoldKind::leased) {
    auto* link = reinterpret_cast<LinkObject*>(hold.owner);
    if (!link->abandoned) link->link.release(hold.place.slot, hold.epoch);
  } else if (hold.kind == HoldKind::building) {
    auto* port = reinterpret_cast<PortObject*>(hold.owner);
    --port->building;
    if (port->abandoned_count == port->abandoned_capacity) {
      const std::uint32_t capacity = port->abandoned_capacity == 0 ? 16 : 2 * port->abandoned_capacity;
      void* grown = PyMem_Realloc(port->abandoned, capacity * sizeof(plane::Building));
      if (grown == nullptr) {  // the slot stays taken until the port is gone: no harm to anybody else
        Py_CLEAR(hold.owner);
        return;
      }
      port->abandoned = static_cast<plane::Building*>(grown);
      port->abandoned_capacity = capacity;
    }
    port->abandoned[port->abandoned_count++] = hold.place;
  }
  if (hold.kind == HoldKind::sent) reinterpret_cast<PortObject*>(hold.owner)->port.unpin(hold.place.slot);
  hold.kind = HoldKind::none;
  Py_CLEAR(hold.owner);
}

namespace {

// ---- Memory -------------------------------------------------------------------------------------------------------------

int memory_getbuffer(PyObject* self, Py_buffer* view, int flags) {
  auto* memory = reinterpret_cast<MemoryObject*>(self);
  const bool read_only = memory->hold.kind == HoldKind::leased;
  return PyBuffer_FillInfo(view, self, memory->hold.place.payload, static_cast<Py_ssize_t>(memory->bytes), read_only ? 1 : 0, flags);
}

void memory_dealloc(PyObject* self) {
  drop(reinterpret_cast<MemoryObject*>(self)->hold);
  free_object(self);
}

PyType_Slot memory_slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(&memory_getbuffer)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&memory_dealloc)},
    {Py_tp_doc, const_cast<char*>("The payload of one slot as a buffer. The slot returns when the last view of it dies.")},
    {0, nullptr},
};
PyType_Spec memory_spec = {"hawse._plane.Memory", sizeof(MemoryObject), 0, Py_TPFLAGS_DEFAULT, memory_slots};

// ---- Frame --------------------------------------------------------------------------------------------------------------

FrameObject* frame_of(PyObject* self) { return reinterpret_cast<FrameObject*>(self); }

const Hold& hold_of(const FrameObject* frame) { return frame->memory != nullptr ? frame->memory->hold : frame->hold; }

void frame_dealloc(PyObject* self) {
  FrameObject* frame = frame_of(self);
  Py_CLEAR(frame->value);
  Py_CLEAR(frame->source);
  Py_CLEAR(frame->memory);
  drop(frame->hold);
  free_object(self);
}

PyObject* frame_new(PyTypeObject* type, PyObject*, PyObject*) { return reinterpret_cast<PyObject*>(new_frame(type)); }

// _memory() -> Memory, or the user's own object that the payload is in (None: there is no payload at all).
PyObject* frame_memory(PyObject* self, PyObject*) {
  FrameObject* frame = frame_of(self);
  if (frame->memory == nullptr) {
    if (frame->hold.kind == HoldKind::none) {
      PyObject* source = frame->source != nullptr ? frame->source : Py_None;
      Py_INCREF(source);
      return source;
    }
    auto* memory = allocate<MemoryObject>(types.memory);
    if (memory == nullptr) return nullptr;
    memory->hold = frame->hold;
    memory->bytes = frame->header.payload_bytes;
    frame->hold = Hold{};
    frame->memory = memory;
  }
  Py_INCREF(reinterpret_cast<PyObject*>(frame->memory));
  return reinterpret_cast<PyObject*>(frame->memory);
}

// _text() -> str: the payload as UTF-8.
PyObject* frame_text(PyObject* self, PyObject*) {
  FrameObject* frame = frame_of(self);
  if (frame->source != nullptr) return PyUnicode_FromObject(frame->source);
  const std::byte* payload = payload_of(frame);
  if (payload == nullptr) return PyUnicode_FromStringAndSize("", 0);
  return PyUnicode_DecodeUTF8(reinterpret_cast<const char*>(payload), static_cast<Py_ssize_t>(frame->header.payload_bytes), "replace");
}

// _resize(payload_bytes): smaller only, before it is sent.
PyObject* frame_resize(PyObject* self, PyObject* argument) {
  FrameObject* frame = frame_of(self);
  std::int64_t bytes = 0;
  if (!get_integer(argument, 0, static_cast<std::int64_t>(frame->header.payload_bytes), "the new size", bytes)) return nullptr;
  if (hold_of(frame).kind == HoldKind::leased || hold_of(frame).kind == HoldKind::sent) {
    PyErr_SetString(PyExc_ValueError, "only a frame that is being built can be cut");
    return nullptr;
  }
  frame->header.payload_bytes = static_cast<std::uint64_t>(bytes);
  if (frame->memory != nullptr) frame->memory->bytes = frame->header.payload_bytes;
  Py_CLEAR(frame->value);
  return none();
}

PyObject* frame_state(PyObject* self, void*) {
  constexpr const char* kNames[] = {"own", "received", "building", "sent"};
  return PyUnicode_FromString(kNames[static_cast<int>(hold_of(frame_of(self)).kind)]);
}

bool may_change(FrameObject* frame) {
  if (hold_of(frame).kind != HoldKind::leased) return true;
  PyErr_SetString(PyExc_AttributeError, "a received frame can't be changed");
  return false;
}

PyObject* frame_get_timestamp(PyObject* self, void*) { return PyLong_FromLongLong(frame_of(self)->header.timestamp_ns); }
int frame_set_timestamp(PyObject* self, PyObject* value, void*) {
  FrameObject* frame = frame_of(self);
  std::int64_t ns = 0;
  if (value == nullptr || !may_change(frame) || !get_integer(value, INT64_MIN, INT64_MAX, "timestamp_ns", ns)) return -1;
  frame->header.timestamp_ns = ns;
  frame->has_timestamp = true;
  return 0;
}
PyObject* frame_get_duration(PyObject* self, void*) { return PyLong_FromLongLong(frame_of(self)->header.duration_ns); }
int frame_set_duration(PyObject* self, PyObject* value, void*) {
  FrameObject* frame = frame_of(self);
  std::int64_t ns = 0;
  if (value == nullptr || !may_change(frame) || !get_integer(value, 0, INT64_MAX, "duration_ns", ns)) return -1;
  frame->header.duration_ns = ns;
  return 0;
}
PyObject* frame_get_trace(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(frame_of(self)->header.trace_id); }
int frame_set_trace(PyObject* self, PyObject* value, void*) {
  FrameObject* frame = frame_of(self);
  if (value == nullptr || !may_change(frame)) return -1;
  const unsigned long long id = PyLong_AsUnsignedLongLong(value);
  if (id == static_cast<unsigned long long>(-1) && PyErr_Occurred() != nullptr) return -1;
  frame->header.trace_id = id;
  return 0;
}
PyObject* frame_given_again(PyObject* self, void*) {
  return PyBool_FromLong((frame_of(self)->header.flags & plane::kFlagGivenAgain) != 0 ? 1 : 0);
}
PyObject* frame_shape(PyObject* self, void*) {
  FrameObject* frame = frame_of(self);
  PyObject* shape = PyTuple_New(frame->header.rank);
  for (Py_ssize_t i = 0; shape != nullptr && i < frame->header.rank; ++i) {
    PyObject* extent = PyLong_FromUnsignedLongLong(frame->header.shape[i]);
    if (extent == nullptr || PyTuple_SetItem(shape, i, extent) != 0) Py_CLEAR(shape);
  }
  return shape;
}
PyObject* frame_enum(PyObject* self, void* which) {
  const plane::FrameHeader& header = frame_of(self)->header;
  switch (reinterpret_cast<std::uintptr_t>(which)) {
    case 0: return PyLong_FromLong(static_cast<long>(header.type));
    case 1: return PyLong_FromLong(static_cast<long>(header.dtype));
    default: return PyLong_FromLong(static_cast<long>(header.format));
  }
}

// _own(the nine of fill_header, trace_id, source, copies): a frame in the user's own memory.
PyObject* frame_own(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 12) return PyErr_Format(PyExc_TypeError, "_own takes 12 arguments");
  FrameObject* frame = frame_of(self);
  if (hold_of(frame).kind != HoldKind::none) return PyErr_Format(PyExc_RuntimeError, "a frame is initialised once");
  std::int64_t copies = 0;
  if (!fill_header(frame->header, frame->has_timestamp, args) || !get_integer(args[11], 0, 8, "copies", copies)) return nullptr;
  frame->header.trace_id = PyLong_AsUnsignedLongLong(args[9]);
  if (PyErr_Occurred() != nullptr) return nullptr;
  if (PyUnicode_Check(args[10]) != 0) {
    Py_ssize_t bytes = 0;
    if (PyUnicode_AsUTF8AndSize(args[10], &bytes) == nullptr) return nullptr;
    frame->header.payload_bytes = static_cast<std::uint64_t>(bytes);
  }
  frame->copies = static_cast<std::uint32_t>(copies);
  Py_INCREF(args[10]);
  Py_XDECREF(frame->source);
  frame->source = args[10];
  return none();
}

PyMethodDef frame_methods[] = {
    {"_memory", method(&frame_memory), METH_NOARGS, nullptr},
    {"_text", method(&frame_text), METH_NOARGS, nullptr},
    {"_resize", method(&frame_resize), METH_O, nullptr},
    {"_own", method(&frame_own), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

void* number(std::uintptr_t value) { return reinterpret_cast<void*>(value); }

PyGetSetDef frame_properties[] = {
    {"timestamp_ns", &frame_get_timestamp, &frame_set_timestamp, "Capture time of the first sample, in nanoseconds: media time for media, else since 1970.", nullptr},
    {"duration_ns", &frame_get_duration, &frame_set_duration, "How long it lasts, in nanoseconds; 0 where it has no duration.", nullptr},
    {"trace_id", &frame_get_trace, &frame_set_trace, "Taken over from the frame that caused this one; 0: none.", nullptr},
    {"given_again", &frame_given_again, nullptr, "True where the node that this frame had been given to before died with it.", nullptr},
    {"shape", &frame_shape, nullptr, "Extents of the payload, outermost first; () for text, JSON and bytes.", nullptr},
    {"_state", &frame_state, nullptr, nullptr, nullptr},
    {"_type", &frame_enum, nullptr, nullptr, number(0)},
    {"_dtype", &frame_enum, nullptr, nullptr, number(1)},
    {"_format", &frame_enum, nullptr, nullptr, number(2)},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

constexpr Py_ssize_t header_offset(std::size_t member) { return static_cast<Py_ssize_t>(offsetof(FrameObject, header) + member); }

PyMemberDef frame_members[] = {
    {"sequence", T_ULONGLONG, header_offset(offsetof(plane::FrameHeader, sequence)), READONLY, "Number at its output port, from 1 without gaps; 0: not sent yet."},
    {"nbytes", T_ULONGLONG, header_offset(offsetof(plane::FrameHeader, payload_bytes)), READONLY, "Bytes of payload."},
    {"_sequence", T_ULONGLONG, header_offset(offsetof(plane::FrameHeader, sequence)), 0, nullptr},
    {"_rate_numerator", T_UINT, header_offset(offsetof(plane::FrameHeader, rate_numerator)), READONLY, nullptr},
    {"_rate_denominator", T_UINT, header_offset(offsetof(plane::FrameHeader, rate_denominator)), READONLY, nullptr},
    {"_copies", T_UINT, static_cast<Py_ssize_t>(offsetof(FrameObject, copies)), READONLY, nullptr},
    {"_has_timestamp", T_BOOL, static_cast<Py_ssize_t>(offsetof(FrameObject, has_timestamp)), READONLY, nullptr},
    {"_value", T_OBJECT, static_cast<Py_ssize_t>(offsetof(FrameObject, value)), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot frame_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(&frame_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&frame_dealloc)},
    {Py_tp_methods, frame_methods},
    {Py_tp_getset, frame_properties},
    {Py_tp_members, frame_members},
    {0, nullptr},
};
PyType_Spec frame_spec = {"hawse._plane.Frame", sizeof(FrameObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, frame_slots};

}  // namespace

FrameObject* new_frame(PyTypeObject* type) { return allocate<FrameObject>(type); }

std::byte* payload_of(FrameObject* frame) { return hold_of(frame).place.payload; }

PyObject* received_frame(LinkObject* link, const plane::Received& received) {
  const auto type = static_cast<std::size_t>(received.header.type);
  PyTypeObject* python_type = type < 9 && types.frames[type] != nullptr ? types.frames[type] : types.frame;
  FrameObject* frame = new_frame(python_type);
  if (frame == nullptr) {
    link->link.release(received.slot, received.epoch);
    return nullptr;
  }
  frame->header = received.header;
  frame->has_timestamp = true;
  frame->hold.kind = HoldKind::leased;
  frame->hold.epoch = received.epoch;
  frame->hold.place.slot = received.slot;
  frame->hold.place.payload = const_cast<std::byte*>(received.payload);  // exported read-only, and mapped so
  frame->hold.owner = reinterpret_cast<PyObject*>(link);
  Py_INCREF(frame->hold.owner);
  return reinterpret_cast<PyObject*>(frame);
}

bool fill_header(plane::FrameHeader& header, bool& has_timestamp, PyObject* const* args) {
  constexpr struct {
    const char* name;
    std::int64_t high;
  } kLimits[] = {{"type", 8}, {"dtype", 15}, {"format", 6}, {"rate", UINT32_MAX}, {"rate", UINT32_MAX}};
  std::int64_t fields[5];
  for (int i = 0; i < 5; ++i)
    if (!get_integer(args[i], 0, kLimits[i].high, kLimits[i].name, fields[i])) return false;
  const Py_ssize_t rank = PyTuple_Size(args[5]);
  if (rank < 0) return false;
  if (rank > static_cast<Py_ssize_t>(plane::kMaxRank)) {
    PyErr_Format(PyExc_ValueError, "a frame has at most %d dimensions, this one has %zd", static_cast<int>(plane::kMaxRank), rank);
    return false;
  }
  for (Py_ssize_t i = 0; i < rank; ++i) {
    std::int64_t extent = 0;
    if (!get_integer(PyTuple_GetItem(args[5], i), 0, UINT32_MAX, "an extent of the shape", extent)) return false;
    header.shape[i] = static_cast<std::uint32_t>(extent);
  }
  std::int64_t bytes = 0, duration_ns = 0, timestamp_ns = 0;
  if (!get_integer(args[6], 0, static_cast<std::int64_t>(plane::kMaxFrameBytes), "the payload", bytes)) return false;
  has_timestamp = args[7] != Py_None;
  if (has_timestamp && !get_integer(args[7], INT64_MIN, INT64_MAX, "timestamp_ns", timestamp_ns)) return false;
  if (!get_integer(args[8], 0, INT64_MAX, "duration_ns", duration_ns)) return false;
  header.type = static_cast<plane::FrameType>(fields[0]);
  header.dtype = static_cast<plane::Dtype>(fields[1]);
  header.format = static_cast<plane::PixelFormat>(fields[2]);
  header.rate_numerator = static_cast<std::uint32_t>(fields[3]);
  header.rate_denominator = static_cast<std::uint32_t>(fields[4]);
  header.rank = static_cast<std::uint8_t>(rank);
  header.payload_bytes = static_cast<std::uint64_t>(bytes);
  header.timestamp_ns = timestamp_ns;
  header.duration_ns = duration_ns;
  return true;
}

namespace {

// set_frame_types((class | None, ...)): the Python class of each FrameType, in order.
PyObject* set_frame_types(PyObject*, PyObject* tuple) {
  for (Py_ssize_t i = 0; i < 9; ++i) {
    PyObject* type = PyTuple_GetItem(tuple, i);
    if (type == nullptr) return nullptr;
    if (type == Py_None) continue;
    if (PyType_Check(type) == 0 || PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), types.frame) == 0)
      return PyErr_Format(PyExc_TypeError, "a frame class derives from hawse._plane.Frame");
    Py_INCREF(type);
    Py_XDECREF(reinterpret_cast<PyObject*>(types.frames[i]));
    types.frames[i] = reinterpret_cast<PyTypeObject*>(type);
  }
  return none();
}

PyMethodDef frame_functions[] = {
    {"set_frame_types", method(&set_frame_types), METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_frame_types(PyObject* module) {
  types.memory = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&memory_spec));
  types.frame = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&frame_spec));
  return add_type(module, "Memory", types.memory) && add_type(module, "Frame", types.frame) && PyModule_AddFunctions(module, frame_functions) == 0;
}

}  // namespace hawse::python
