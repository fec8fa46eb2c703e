#include "python/threads.h"

namespace interpool::python {

void join_python_threads() noexcept {
  // Not imported here: an interpreter that never imported it has no such threads.
  const Object threading = Object::share(PyDict_GetItemString(PyImport_GetModuleDict(), "threading"));
  if (!threading) return;
  const Object result = Object::take(PyObject_CallMethod(threading.get(), "_shutdown", nullptr));
  if (!result) PyErr_WriteUnraisable(threading.get());
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
