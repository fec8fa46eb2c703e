#include "support/native_modules.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace {

PyObject* bump(PyObject* module, PyObject* /*unused*/) {
  return PyLong_FromLong(++*static_cast<long*>(PyModule_GetState(module)));
}

int set_up(PyObject* module) {
  *static_cast<long*>(PyModule_GetState(module)) = 0;
  return 0;
}

PyMethodDef methods[] = {{"bump", bump, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};

PyModuleDef_Slot counter_slots[] = {{Py_mod_exec, reinterpret_cast<void*>(set_up)},
                                    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
                                    {0, nullptr}};
PyModuleDef counter = {PyModuleDef_HEAD_INIT, "native_counter", nullptr, sizeof(long), methods,
                       counter_slots,         nullptr,          nullptr, nullptr};

PyModuleDef_Slot main_only_slots[] = {{Py_mod_exec, reinterpret_cast<void*>(set_up)}, {0, nullptr}};
PyModuleDef main_only = {PyModuleDef_HEAD_INIT,
                         "native_main_only",
                         nullptr,
                         sizeof(long),
                         methods,
                         main_only_slots,
                         nullptr,
                         nullptr,
                         nullptr};

PyModuleDef old = {
    PyModuleDef_HEAD_INIT, "native_old", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};

}  // namespace

extern "C" {

PyObject* PyInit_native_counter() { return PyModuleDef_Init(&counter); }
PyObject* PyInit_native_main_only() { return PyModuleDef_Init(&main_only); }
PyObject* PyInit_native_old() { return PyModule_Create(&old); }
PyObject* PyInit_native_failing() {
  PyErr_SetString(PyExc_ValueError, "not today");
  return nullptr;
}

}  // extern "C"
