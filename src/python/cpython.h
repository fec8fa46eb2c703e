// Python.h, and the names that differ between the versions of CPython we support.
//
// Every call into CPython and every `#if` on its version is in this folder.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <utility>

#if PY_VERSION_HEX < 0x030C0000
#error "interpool needs CPython 3.12 or later"
#endif

namespace interpool::python {

/// The calling thread's current thread state, or null; allowed on any thread, at any time.
inline PyThreadState* current_thread_state() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked();
#else
  return _PyThreadState_UncheckedGet();
#endif
}

/// Owns a reference to a Python object. Made, used and destroyed under the GIL of its interpreter.
class Object {
 public:
  Object() = default;
  /// Takes over a new reference; null is allowed and means that a call failed.
  static Object take(PyObject* object) noexcept { return Object(object); }
  static Object share(PyObject* object) noexcept { return Object(Py_XNewRef(object)); }
  Object(Object&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Object& operator=(Object&& other) noexcept {
    if (this != &other) Py_XSETREF(object_, std::exchange(other.object_, nullptr));
    return *this;
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  ~Object() { Py_XDECREF(object_); }

  [[nodiscard]] PyObject* get() const noexcept { return object_; }
  [[nodiscard]] PyObject* release() noexcept { return std::exchange(object_, nullptr); }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  explicit Object(PyObject* object) noexcept : object_(object) {}
  PyObject* object_ = nullptr;
};

}  // namespace interpool::python
