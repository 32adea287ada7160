// SPDX-License-Identifier: Apache-2.0
//
// The module object of hawse._plane.
#include "objects.hpp"

namespace {

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "hawse._plane", "The shared-memory plane: output ports, input links and the loop that drives them.", -1,
    nullptr, nullptr, nullptr, nullptr, nullptr,
};

bool add_constants(PyObject* module) {
  using hawse::plane::Status;
  const struct {
    const char* name;
    long value;
  } constants[] = {
      {"OK", static_cast<long>(Status::ok)},
      {"EMPTY", static_cast<long>(Status::empty)},
      {"ENDED", static_cast<long>(Status::ended)},
      {"FULL", static_cast<long>(Status::full)},
      {"NO_SLOT", static_cast<long>(Status::no_slot)},
      {"TOO_LARGE", static_cast<long>(Status::too_large)},
      {"UNKNOWN_ARENA", static_cast<long>(Status::unknown_arena)},
      {"MAX_SLOTS", static_cast<long>(hawse::plane::kMaxSlots)},
  };
  for (const auto& constant : constants)
    if (PyModule_AddIntConstant(module, constant.name, constant.value) != 0) return false;
  return true;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) PyObject* PyInit__plane();

PyObject* PyInit__plane() {
  PyObject* module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  using namespace hawse::python;
  if (add_frame_types(module) && add_end_types(module) && add_loop_type(module) && add_supervisor_functions(module) && add_zygote_functions(module) &&
      add_constants(module))
    return module;
  Py_DECREF(module);
  return nullptr;
}
