// SPDX-License-Identifier: Apache-2.0
//
// OutputPort and InputLink: the plane's two ends, one method each for what src/plane/port.hpp says.
//
// Methods that may have to be tried again return the plane's Status as an int (`_plane.FULL`, ...); what is a mistake or a broken peer raises.
#include <cerrno>
#include <cstring>

#include "objects.hpp"

namespace hawse::python {

PyObject* raise_status(const char* what, Status status) {
  if (status == Status::system) {
    const int number = errno;
    PyObject* error = PyObject_CallFunction(PyExc_OSError, "is", number, what);
    if (error != nullptr) PyErr_SetObject(PyExc_OSError, error);
    Py_XDECREF(error);
    return nullptr;
  }
  if (status == Status::invalid) return PyErr_Format(PyExc_ValueError, "%s: its shape, type and payload don't fit each other", what);
  return PyErr_Format(PyExc_RuntimeError, "%s: %s", what, plane::to_string(status));
}

void flush_abandoned(PortObject* port) {
  while (port->abandoned_count > 0) port->port.abandon(port->abandoned[--port->abandoned_count]);
}

std::uint64_t unread_on_blocking(const PortObject* port) {
  std::uint64_t most = 0;
  for (std::uint32_t i = 0; i < port->view_count; ++i) {
    const View& view = port->views[i];
    if (!view.there || !view.blocks || view.link.reader_state() != plane::LinkState::open) continue;
    const std::uint64_t unread = view.link.unread();
    if (unread > most) most = unread;
  }
  return most;
}

// What is still in use may have to be given again, should its reader die.
bool is_settled(PortObject* port) {
  port->port.pump();
  return port->port.drained() && port->port.slots_in_use() <= port->building + port->abandoned_count;
}

namespace {

// Keeps a view of link number `index`; an index that is set again gets the new link's.
Status set_view(PortObject* port, std::uint32_t index, int link_fd, plane::WhenFull when_full) {
  if (index >= plane::kMaxLinks) return Status::limit;
  if (index >= port->view_count) {
    void* grown = PyMem_Realloc(port->views, (index + 1) * sizeof(View));  // a view may be moved byte by byte
    if (grown == nullptr) return Status::limit;
    port->views = static_cast<View*>(grown);
    while (port->view_count <= index) new (&port->views[port->view_count++]) View{};
  }
  View& view = port->views[index];
  view = View{};
  view.blocks = when_full == plane::WhenFull::block;
  const Status status = plane::LinkView::map(link_fd, &view.link);
  view.there = status == Status::ok;
  return status;
}

PyObject* checked(const char* what, Status status) { return status == Status::ok ? none() : raise_status(what, status); }
PyObject* as_int(Status status) { return PyLong_FromLong(static_cast<long>(status)); }

PortObject* port_of(PyObject* self) { return reinterpret_cast<PortObject*>(self); }

// ---- OutputPort -------------------------------------------------------------------------------------------------------------

PyObject* port_new(PyTypeObject* type, PyObject*, PyObject*) {
  auto* self = allocate<PortObject>(type);
  if (self != nullptr) new (&self->port) plane::OutputPort();
  return reinterpret_cast<PyObject*>(self);
}

void port_dealloc(PyObject* self) {
  PortObject* port = port_of(self);
  port->port.~OutputPort();
  for (std::uint32_t i = 0; i < port->view_count; ++i) port->views[i].~View();
  PyMem_Free(port->views);
  PyMem_Free(port->abandoned);
  free_object(self);
}

PyObject* port_set_next_sequence(PyObject* self, PyObject* argument) {
  const unsigned long long sequence = PyLong_AsUnsignedLongLong(argument);
  if (PyErr_Occurred() != nullptr) return nullptr;
  port_of(self)->port.set_next_sequence(sequence);
  return none();
}

PyObject* port_add_arena(PyObject* self, PyObject* args) {
  int fd = 0;
  unsigned id = 0, slots = 0;
  unsigned long long slot_bytes = 0;
  if (PyArg_ParseTuple(args, "iIKI", &fd, &id, &slot_bytes, &slots) == 0) return nullptr;
  return checked("add an arena to an output port", port_of(self)->port.add_arena(fd, id, slot_bytes, slots));
}

PyObject* port_enable_arena(PyObject* self, PyObject* argument) {
  std::int64_t id = 0;
  if (!get_integer(argument, 0, UINT32_MAX, "the arena", id)) return nullptr;
  return checked("use an arena", port_of(self)->port.enable_arena(static_cast<std::uint32_t>(id)));
}

// give_back() -> the id of an arena that was idle and is unmapped now, or None. arena_gone(): nobody has it any more
PyObject* port_give_back(PyObject* self, PyObject*) {
  PortObject* port = port_of(self);
  const std::int64_t now_ns = plane::monotonic_ns();
  std::uint32_t id = 0;
  if (now_ns < port->port.look_ns()) return none();
  flush_abandoned(port);
  if (!port->port.idle_arena(now_ns, &id) || port->port.retire_arena(id) != Status::ok) return none();
  return PyLong_FromUnsignedLong(id);
}
PyObject* port_arena_gone(PyObject* self, PyObject*) {
  port_of(self)->port.arena_gone();
  return none();
}

PyObject* port_set_link(PyObject* self, PyObject* args) {
  unsigned index = 0, queue = 0;
  int link_fd = 0, bell_fd = 0, when_full = 0;
  unsigned long long set_aside = 0;
  if (PyArg_ParseTuple(args, "IiiIi|K", &index, &link_fd, &bell_fd, &queue, &when_full, &set_aside) == 0) return nullptr;
  if (when_full < 0 || when_full > 3) return PyErr_Format(PyExc_ValueError, "when_full is out of range: %d", when_full);
  PortObject* port = port_of(self);
  Status status = set_view(port, index, link_fd, static_cast<plane::WhenFull>(when_full));
  if (status == Status::ok) status = port->port.set_link(index, link_fd, bell_fd, queue, static_cast<plane::WhenFull>(when_full), set_aside);
  return checked("connect an output port", status);
}

// build(type, dtype, format, rate_numerator, rate_denominator, shape, payload_bytes, timestamp_ns | None, duration_ns) -> Frame | Status
PyObject* port_build(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 9) return PyErr_Format(PyExc_TypeError, "build takes 9 arguments");
  PortObject* port = port_of(self);
  plane::FrameHeader header{};
  bool has_timestamp = false;
  if (!fill_header(header, has_timestamp, args)) return nullptr;
  flush_abandoned(port);
  plane::Building building;
  const Status status = port->port.allocate(header.payload_bytes, &building);
  if (status != Status::ok) return as_int(status);
  PyTypeObject* type = types.frames[static_cast<std::size_t>(header.type)];
  FrameObject* frame = new_frame(type != nullptr ? type : types.frame);
  if (frame == nullptr) {
    port->port.abandon(building);
    return nullptr;
  }
  if (!has_timestamp && port->loop != nullptr && port->loop->has_frame) {  // so that what is read before send is right, too
    header.timestamp_ns = port->loop->timestamp_ns;
    has_timestamp = true;
  }
  frame->header = header;
  frame->has_timestamp = has_timestamp;
  frame->hold.kind = HoldKind::building;
  frame->hold.place = building;
  frame->hold.owner = self;
  Py_INCREF(self);
  ++port->building;
  return reinterpret_cast<PyObject*>(frame);
}

// send(frame) -> 0, or the Status that says what must come about first (full, no_slot, too_large)
PyObject* port_send(PyObject* self, PyObject* argument) {
  if (PyObject_TypeCheck(argument, types.frame) == 0) return PyErr_Format(PyExc_TypeError, "only frames are sent");
  return send_frame(port_of(self), reinterpret_cast<FrameObject*>(argument));
}

PyObject* port_can_send(PyObject* self, PyObject*) { return PyBool_FromLong(port_of(self)->port.can_send() ? 1 : 0); }
PyObject* port_pump(PyObject* self, PyObject*) {
  flush_abandoned(port_of(self));
  port_of(self)->port.pump();
  return none();
}
PyObject* port_end(PyObject* self, PyObject* argument) {
  std::int64_t state = 0;
  if (!get_integer(argument, 1, 2, "the state", state)) return nullptr;
  port_of(self)->port.end(static_cast<plane::LinkState>(state));
  return none();
}
// flush(id = 0): id 0 is a flush that begins here
PyObject* port_flush(PyObject* self, PyObject* args) {
  unsigned long long id = 0;
  if (PyArg_ParseTuple(args, "|K", &id) == 0) return nullptr;
  PortObject* port = port_of(self);
  if (id == 0) {
    id = new_id();
    if (port->loop != nullptr) hear(port->loop, id);
  }
  port->port.flush(id);
  return none();
}
PyObject* port_settled(PyObject* self, PyObject*) { return PyBool_FromLong(is_settled(port_of(self)) ? 1 : 0); }
PyObject* port_has_reader(PyObject* self, PyObject*) {
  const PortObject* port = port_of(self);
  for (std::uint32_t i = 0; i < port->view_count; ++i)
    if (port->views[i].there && port->views[i].link.reader_state() == plane::LinkState::open) return PyBool_FromLong(1);
  return PyBool_FromLong(0);
}
PyObject* port_slot_count(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(port_of(self)->port.slot_count()); }
PyObject* port_slots_in_use(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(port_of(self)->port.slots_in_use()); }
PyObject* port_largest_slot_bytes(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(port_of(self)->port.largest_slot_bytes()); }
PyObject* port_next_sequence(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(port_of(self)->port.next_sequence()); }
PyObject* port_building(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(port_of(self)->building); }

PyObject* port_unread(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(unread_on_blocking(port_of(self))); }

PyMethodDef port_methods[] = {
    {"set_next_sequence", method(&port_set_next_sequence), METH_O, nullptr},
    {"add_arena", method(&port_add_arena), METH_VARARGS, nullptr},
    {"enable_arena", method(&port_enable_arena), METH_O, nullptr},
    {"give_back", method(&port_give_back), METH_NOARGS, nullptr},
    {"arena_gone", method(&port_arena_gone), METH_NOARGS, nullptr},
    {"set_link", method(&port_set_link), METH_VARARGS, nullptr},
    {"build", method(&port_build), METH_FASTCALL, nullptr},
    {"send", method(&port_send), METH_O, nullptr},
    {"can_send", method(&port_can_send), METH_NOARGS, nullptr},
    {"pump", method(&port_pump), METH_NOARGS, nullptr},
    {"end", method(&port_end), METH_O, nullptr},
    {"flush", method(&port_flush), METH_VARARGS, nullptr},
    {"settled", method(&port_settled), METH_NOARGS, nullptr},
    {"has_reader", method(&port_has_reader), METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef port_properties[] = {
    {"slot_count", &port_slot_count, nullptr, nullptr, nullptr},
    {"slots_in_use", &port_slots_in_use, nullptr, nullptr, nullptr},
    {"largest_slot_bytes", &port_largest_slot_bytes, nullptr, nullptr, nullptr},
    {"next_sequence", &port_next_sequence, nullptr, nullptr, nullptr},
    {"building", &port_building, nullptr, nullptr, nullptr},
    {"unread", &port_unread, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot port_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(&port_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&port_dealloc)},
    {Py_tp_methods, port_methods},
    {Py_tp_getset, port_properties},
    {0, nullptr},
};
PyType_Spec port_spec = {"hawse._plane.OutputPort", sizeof(PortObject), 0, Py_TPFLAGS_DEFAULT, port_slots};

// ---- InputLink --------------------------------------------------------------------------------------------------------------

LinkObject* link_of(PyObject* self) { return reinterpret_cast<LinkObject*>(self); }

PyObject* link_new(PyTypeObject* type, PyObject*, PyObject*) {
  auto* self = allocate<LinkObject>(type);
  if (self != nullptr) new (&self->link) plane::InputLink();
  return reinterpret_cast<PyObject*>(self);
}

void link_dealloc(PyObject* self) {
  link_of(self)->link.~InputLink();
  free_object(self);
}

PyObject* link_connect(PyObject* self, PyObject* args) {
  int link_fd = 0, bell_fd = 0;
  unsigned long long set_aside = 0;
  if (PyArg_ParseTuple(args, "ii|K", &link_fd, &bell_fd, &set_aside) == 0) return nullptr;
  return checked("connect an input", link_of(self)->link.connect(link_fd, bell_fd, set_aside));
}

PyObject* link_add_arena(PyObject* self, PyObject* args) {
  int fd = 0;
  unsigned id = 0, slots = 0;
  unsigned long long slot_bytes = 0;
  if (PyArg_ParseTuple(args, "iIKI", &fd, &id, &slot_bytes, &slots) == 0) return nullptr;
  return checked("add an arena to an input", link_of(self)->link.add_arena(fd, id, slot_bytes, slots));
}

PyObject* link_drop_arena(PyObject* self, PyObject* argument) {
  std::int64_t id = 0;
  if (!get_integer(argument, 0, UINT32_MAX, "the arena", id)) return nullptr;
  return checked("let an arena go", link_of(self)->link.drop_arena(static_cast<std::uint32_t>(id)));
}

// receive() -> Frame | Status
PyObject* link_receive(PyObject* self, PyObject*) {
  plane::Received received;
  const Status status = link_of(self)->link.receive(&received);
  if (status == Status::corrupt) return raise_status("receive", status);
  return status == Status::ok ? received_frame(link_of(self), received) : as_int(status);
}

PyObject* link_has_unread(PyObject* self, PyObject*) { return PyBool_FromLong(link_of(self)->link.has_unread() ? 1 : 0); }
PyObject* link_close(PyObject* self, PyObject*) {
  link_of(self)->link.close();
  return none();
}
PyObject* link_count_unmatched(PyObject* self, PyObject*) {
  link_of(self)->link.count_unmatched();
  return none();
}
PyObject* link_leased(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(link_of(self)->link.leased()); }
PyObject* link_flush_waiting(PyObject* self, void*) { return PyBool_FromLong(link_of(self)->link.flush_waiting() != 0 ? 1 : 0); }
PyObject* link_ended(PyObject* self, void*) { return PyBool_FromLong(link_of(self)->ended ? 1 : 0); }

PyObject* link_paused(PyObject* self, void*) { return PyBool_FromLong(link_of(self)->paused ? 1 : 0); }
int link_set_paused(PyObject* self, PyObject* value, void*) {
  const int paused = value == nullptr ? -1 : PyObject_IsTrue(value);
  if (paused >= 0) link_of(self)->paused = paused != 0;
  return paused < 0 ? -1 : 0;
}

PyMethodDef link_methods[] = {
    {"connect", method(&link_connect), METH_VARARGS, nullptr},
    {"add_arena", method(&link_add_arena), METH_VARARGS, nullptr},
    {"drop_arena", method(&link_drop_arena), METH_O, nullptr},
    {"receive", method(&link_receive), METH_NOARGS, nullptr},
    {"has_unread", method(&link_has_unread), METH_NOARGS, nullptr},
    {"close", method(&link_close), METH_NOARGS, nullptr},
    {"count_unmatched", method(&link_count_unmatched), METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef link_properties[] = {
    {"leased", &link_leased, nullptr, nullptr, nullptr},
    {"ended", &link_ended, nullptr, "The loop has seen the end of this link.", nullptr},
    {"flush_waiting", &link_flush_waiting, nullptr, "A flush is the next that comes.", nullptr},
    {"paused", &link_paused, &link_set_paused, "The loop passes over this link: its frames stay on the edge.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot link_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(&link_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&link_dealloc)},
    {Py_tp_methods, link_methods},
    {Py_tp_getset, link_properties},
    {0, nullptr},
};
PyType_Spec link_spec = {"hawse._plane.InputLink", sizeof(LinkObject), 0, Py_TPFLAGS_DEFAULT, link_slots};

}  // namespace

bool add_end_types(PyObject* module) {
  types.port = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&port_spec));
  types.link = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&link_spec));
  return add_type(module, "OutputPort", types.port) && add_type(module, "InputLink", types.link);
}

}  // namespace hawse::python
