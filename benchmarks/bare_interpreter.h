// The reference: CPython's own-GIL interpreters used through the plain C API, without the library.
#pragma once

#include <Python.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>

namespace bench {

/// Makes an own-GIL interpreter and returns the calling thread's state in it, attached. The caller has none.
PyThreadState* new_interpreter();

/// A new reference to builtins.abs of the current interpreter.
PyObject* new_abs();
/// One call of it: the argument made, the function called, the result converted. Needs the GIL.
inline long call_abs(PyObject* abs, long value) {
  PyObject* slots[2] = {nullptr, PyLong_FromLong(value)};
  PyObject* result = PyObject_Vectorcall(abs, slots + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
  const long number = PyLong_AsLong(result);
  Py_DECREF(slots[1]);
  Py_DECREF(result);
  return number;
}
/// The bare call loop: nanoseconds per call_abs(), `count` times. Needs the GIL.
double bare_call_loop(std::size_t count);

/// Evaluates an expression that is an int. Needs the GIL.
long eval_int(const char* expression);

/// One thread with one interpreter. The thread sleeps, detached, while it has nothing to run.
class BareInterpreter {
 public:
  /// Returns once the interpreter exists.
  BareInterpreter();
  /// Ends the interpreter on its thread.
  ~BareInterpreter();
  BareInterpreter(const BareInterpreter&) = delete;
  BareInterpreter& operator=(const BareInterpreter&) = delete;

  /// Runs `body` there, with the GIL held, and returns what it returns.
  double run(const std::function<double()>& body);

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  bool idle_ = false;
  bool stopping_ = false;
  const std::function<double()>* body_ = nullptr;
  double result_ = 0;
  std::thread thread_;
};

}  // namespace bench
