// SPDX-License-Identifier: Apache-2.0
//
// The supervisor's side of the plane: memory made, sealed, looked at and ended. Tests play the runtime's part with it.
#include "objects.hpp"

namespace hawse::python {

namespace {

PyObject* as_fd(int fd, const char* what) { return fd >= 0 ? PyLong_FromLong(fd) : raise_status(what, Status::system); }

PyObject* create_arena(PyObject*, PyObject* args) {
  unsigned long long slot_bytes = 0;
  unsigned slots = 0;
  if (PyArg_ParseTuple(args, "KI", &slot_bytes, &slots) == 0) return nullptr;
  return as_fd(plane::create_arena(slot_bytes, slots), "create an arena");
}
PyObject* create_link(PyObject*, PyObject* args) {
  unsigned queue = 0;
  int when_full = 0;
  unsigned int backlog = 0;
  if (PyArg_ParseTuple(args, "Ii|I", &queue, &when_full, &backlog) == 0) return nullptr;
  return as_fd(plane::create_link(queue, static_cast<plane::WhenFull>(when_full), backlog), "create a link");
}
PyObject* create_doorbell(PyObject*, PyObject*) { return as_fd(plane::create_doorbell(), "create a doorbell"); }
PyObject* create_node_page(PyObject*, PyObject*) { return as_fd(plane::create_node_page(), "create a node page"); }
PyObject* seal_arena(PyObject*, PyObject* argument) {
  std::int64_t fd = 0;
  if (!get_integer(argument, 0, INT32_MAX, "the descriptor", fd)) return nullptr;
  return plane::seal_arena(static_cast<int>(fd)) == 0 ? none() : raise_status("seal an arena", Status::system);
}
unsigned long long read(const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); }

// link_counts(fd) -> dict: what hawse shows of an edge
PyObject* link_counts(PyObject*, PyObject* argument) {
  std::int64_t fd = 0;
  plane::LinkView view;
  if (!get_integer(argument, 0, INT32_MAX, "the descriptor", fd)) return nullptr;
  const Status status = plane::LinkView::map(static_cast<int>(fd), &view);
  if (status != Status::ok) return raise_status("look at a link", status);
  const auto& writer = view.writer();
  const auto& reader = view.reader();
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "unread", view.unread(), "sent", read(writer.frames), "dropped",
                       read(writer.dropped), "copies", read(writer.copies), "given_again", read(writer.given_again), "received", read(reader.frames),
                       "leased", view.leased(), "unmatched", read(reader.unmatched), "flushed",
                       read(writer.flushed) + read(reader.flushed));
}

// end_link(fd, writer): what the supervisor does for a node that is gone for good
PyObject* end_link(PyObject*, PyObject* args) {
  int fd = 0, writer = 0;
  plane::LinkView view;
  if (PyArg_ParseTuple(args, "ip", &fd, &writer) == 0) return nullptr;
  const Status status = plane::LinkView::map(fd, &view);
  if (status != Status::ok) return raise_status("end a link", status);
  if (writer != 0)
    view.end_for_writer(plane::LinkState::ended);
  else
    view.end_for_reader(plane::LinkState::ended);
  return none();
}

// page_counts(fd) -> dict: a node's progress
PyObject* page_counts(PyObject*, PyObject* argument) {
  std::int64_t fd = 0;
  plane::Mapping mapping;
  if (!get_integer(argument, 0, INT32_MAX, "the descriptor", fd)) return nullptr;
  const Status status = plane::Mapping::map(static_cast<int>(fd), plane::kNodePageBytes, false, &mapping);
  if (status != Status::ok) return raise_status("look at a node page", status);
  const auto* page = reinterpret_cast<const plane::NodePage*>(mapping.data());
  return Py_BuildValue("{s:I,s:K,s:K,s:K,s:K}", "state", page->state.load(std::memory_order_acquire), "since_ns", read(page->since_ns), "frames_in",
                       read(page->frames_in), "frames_out", read(page->frames_out), "processed", read(page->processing.count));
}

PyMethodDef methods[] = {
    {"create_arena", method(&create_arena), METH_VARARGS, nullptr},
    {"create_link", method(&create_link), METH_VARARGS, nullptr},
    {"create_doorbell", method(&create_doorbell), METH_NOARGS, nullptr},
    {"create_node_page", method(&create_node_page), METH_NOARGS, nullptr},
    {"seal_arena", method(&seal_arena), METH_O, nullptr},
    {"link_counts", method(&link_counts), METH_O, nullptr},
    {"end_link", method(&end_link), METH_VARARGS, nullptr},
    {"page_counts", method(&page_counts), METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_supervisor_functions(PyObject* module) { return PyModule_AddFunctions(module, methods) == 0; }

}  // namespace hawse::python
