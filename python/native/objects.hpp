// SPDX-License-Identifier: Apache-2.0
//
// The native module `hawse._plane`: the plane's two ends as Python objects. Private to the package.
//
// Build.      Freestanding C++ (no libstdc++, exceptions or RTTI), CPython's stable ABI. Only functions that CPython 3.9 exports are used; the
//             limited API is asked for as of 3.11 because that is when it came to list the buffer slots that 3.9 already has.
// Ownership.  A Hold is a claim on one slot: a lease (received frame) or a slot under construction. It belongs to a Frame until a view of the
//             payload is asked for; from then on to the Memory that the views keep alive. So the slot returns when the last view dies.
// Threading.  Everything runs under the GIL, but Loop's waits. Views may die in any thread: a lease is released at once (the plane allows it),
//             an unsent slot is queued at its port and given back by the thread that drives the port.
#pragma once

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <structmember.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "plane/port.hpp"

namespace hawse::python {

using plane::Status;

struct LoopObject;

struct View {                   // of one link of an output
  plane::LinkView link;
  bool there, blocks;
};

struct PortObject {
  PyObject_HEAD
  plane::OutputPort port;
  LoopObject* loop;             // whose input gives unsent headers their time and trace id; null outside a node. Not owned: the loop clears it
  plane::Building* abandoned;   // unsent slots whose last view died, waiting for the driving thread
  std::uint32_t abandoned_count, abandoned_capacity;
  std::uint64_t building;       // slots under construction
  View* views;                  // by index of the link
  std::uint32_t view_count;
};

struct LinkObject {
  PyObject_HEAD
  plane::InputLink link;
  bool ended;                   // says ended or corrupt for good
  bool feedback;                // ends when this node does: not waited for
  bool paused;                  // its frames stay on the edge
  bool abandoned;               // the node hands over: what it holds isn't given back, so that its replacement gets it
};

enum class HoldKind : std::uint8_t { none, leased, building, sent };

struct Hold {
  HoldKind kind;
  PyObject* owner;              // LinkObject (leased) or PortObject (building, sent); owned
  plane::Building place;        // payload and slot; leased: header null
  std::uint64_t epoch;
};

struct MemoryObject {           // exports the payload of one slot
  PyObject_HEAD
  Hold hold;
  std::uint64_t bytes;
};

struct FrameObject {
  PyObject_HEAD
  plane::FrameHeader header;
  Hold hold;                    // kind none: made by the user in memory of its own (source), or handed on to `memory`
  MemoryObject* memory;         // owned; null until a view is asked for
  PyObject* source;             // of a frame in the user's own memory: the buffer or str that is its payload; owned, else null
  PyObject* value;              // what the Python side keeps: the NumPy view, the text, the JSON value; owned, may be null
  std::uint32_t copies;         // how often the payload is copied on its way into a slot, if it isn't in one
  bool has_timestamp;
};

// The driving thread's loop: one doorbell, all ends of a node, the control socket's watcher, the node page.
struct Watch;
struct LoopObject {
  PyObject_HEAD
  plane::Bell bell;
  plane::Mapping page;          // may be empty
  Watch* watch;
  LinkObject** inputs;
  PortObject** outputs;
  std::uint32_t input_count, output_count, open, next;
  plane::AdaptiveSpin spin;
  bool is_node;                 // else a program that embeds a pipeline: its frames have nothing to do with each other
  bool timed;                   // a frame that next() gives is the one in hand from then on, until the next call of next()
  std::int64_t entered_ns, blocked_ns;  // the call in hand
  std::int64_t timestamp_ns;            // of the frame in hand
  std::uint64_t trace_id, sequence;
  std::uint64_t heard[64];      // ids of the last flushes
  std::uint32_t next_heard, flushed_link;
  bool flush_came, after_flush, handing_over;  // after_flush: what came last was a flush
  std::uint64_t flush_id;       // of the flush that next() said, by flushed_link
  bool has_frame;               // at least one frame came: timestamp_ns and trace_id mean something
};

struct Types {
  PyTypeObject *memory, *frame, *port, *link, *loop;
  PyTypeObject* frames[9];      // the Python class of each FrameType; owned
};
extern Types types;             // filled once, by the module's initialisation: the one state a single-phase module has

bool add_frame_types(PyObject* module);
bool add_end_types(PyObject* module);
bool add_loop_type(PyObject* module);
bool add_supervisor_functions(PyObject* module);
bool add_zygote_functions(PyObject* module);

bool add_type(PyObject* module, const char* name, PyTypeObject* type);
// Reads what a frame is from nine arguments: type, dtype, format, rate_numerator, rate_denominator, shape, payload_bytes, timestamp_ns | None, duration_ns.
bool fill_header(plane::FrameHeader& header, bool& has_timestamp, PyObject* const* args);
bool get_integer(PyObject* value, std::int64_t low, std::int64_t high, const char* name, std::int64_t& out);  // false: an exception is set

FrameObject* new_frame(PyTypeObject* type);
PyObject* received_frame(LinkObject* link, const plane::Received& received);
void drop(Hold& hold);          // gives back what it claims
std::byte* payload_of(FrameObject* frame);
PyObject* send_frame(PortObject* port, FrameObject* frame);
PyObject* raise_status(const char* what, Status status);
void flush_abandoned(PortObject* port);
std::uint64_t unread_on_blocking(const PortObject* port);  // most frames that a blocking link's reader has yet to read
bool is_settled(PortObject* port);  // every reader has read everything and given it back, or is gone
std::uint64_t new_id();         // never 0
bool is_interrupted(const LoopObject* loop);  // a flush waits that it hasn't heard of. Null: false
bool hear(LoopObject* loop, std::uint64_t flush_id);  // false: heard of before
void frame_left(LoopObject* loop, std::uint64_t count);

template <typename F>
PyCFunction method(F function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

inline PyObject* none() {
  Py_INCREF(Py_None);
  return Py_None;
}

// Allocates an object of one of our types, zeroed. Types are heap types: each object holds one.
template <typename T>
T* allocate(PyTypeObject* type) {
  return reinterpret_cast<T*>(PyType_GenericAlloc(type, 0));
}
void free_object(PyObject* self);

}  // namespace hawse::python
