// SPDX-License-Identifier: Apache-2.0
//
// What a zygote (hawse/_zygote.py) needs of Linux that Python's own modules don't give.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "objects.hpp"

namespace hawse::python {

namespace {

PyObject* die_with_parent(PyObject*, PyObject* argument) {
  std::int64_t parent = 0;
  if (!get_integer(argument, 1, INT32_MAX, "the parent", parent)) return nullptr;
  const bool there = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == static_cast<pid_t>(parent);  // else it ended before the prctl
  return PyBool_FromLong(there ? 1 : 0);
}

// A fork whose child ends at once. The handlers that libraries have registered for a fork run: OpenBLAS ends its threads and makes new ones at their next use.
PyObject* settle_threads(PyObject*, PyObject*) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  if (child > 0) waitpid(child, nullptr, 0);
  return child > 0 ? none() : raise_status("fork", Status::system);
}

PyMethodDef methods[] = {
    {"die_with_parent", method(&die_with_parent), METH_O, nullptr},
    {"settle_threads", method(&settle_threads), METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_zygote_functions(PyObject* module) { return PyModule_AddFunctions(module, methods) == 0; }

}  // namespace hawse::python
