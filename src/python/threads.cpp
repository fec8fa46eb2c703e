#include "python/threads.h"

namespace interpool::python {

void join_python_threads() noexcept {
  // Not imported here: an interpreter that never imported it has no such threads.
  const Object threading = Object::share(PyDict_GetItemString(PyImport_GetModuleDict(), "threading"));
  if (!threading) return;
  const Object result = Object::take(PyObject_CallMethod(threading.get(), "_shutdown", nullptr));
  if (!result) PyErr_WriteUnraisable(threading.get());
  // Our threads are unknown to `threading`, which makes dummies for them when somebody asks for the current
  // thread, as joining does. From 3.13 on these die with the module's thread-locals, and complain when that
  // is after the rest of the module: so now.
  const Object local = Object::take(PyObject_GetAttrString(threading.get(), "_thread_local_info"));
  const Object values = local ? Object::take(PyObject_GetAttrString(local.get(), "__dict__")) : Object();
  if (values && PyDict_Check(values.get())) PyDict_Clear(values.get());
  PyErr_Clear();  // versions without it
  // Finalization calls it again, which would run its callbacks twice, and trips an assertion on 3.12.
  const Object builtins = Object::take(PyImport_ImportModule("builtins"));
  const Object nothing = builtins ? Object::take(PyObject_GetAttrString(builtins.get(), "dict")) : Object();
  if (!nothing || PyObject_SetAttrString(threading.get(), "_shutdown", nothing.get()) != 0) PyErr_Clear();
}

bool has_other_threads(PyInterpreterState* interpreter) noexcept {
  const PyThreadState* first = PyInterpreterState_ThreadHead(interpreter);
  return first != nullptr && PyThreadState_Next(const_cast<PyThreadState*>(first)) != nullptr;
}

}  // namespace interpool::python
