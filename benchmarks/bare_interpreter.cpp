#include "bare_interpreter.h"

#include "timing.h"

namespace bench {

PyThreadState* new_interpreter() {
#if PY_VERSION_HEX < 0x030D0000
  // 3.12 crashes now and then when interpreters are created concurrently.
  static std::mutex creation;
  const std::lock_guard lock(creation);
#endif
  PyThreadState* boot = PyThreadState_New(PyInterpreterState_Main());
  PyEval_RestoreThread(boot);
  PyInterpreterConfig config{};
  config.use_main_obmalloc = 0;
  config.check_multi_interp_extensions = 1;
  config.allow_threads = 1;
  config.gil = PyInterpreterConfig_OWN_GIL;
  PyThreadState* created = nullptr;
  const PyStatus status = Py_NewInterpreterFromConfig(&created, &config);
  check(PyStatus_Exception(status) == 0 && created != nullptr, "an interpreter could not be created");
  PyEval_SaveThread();
  PyEval_RestoreThread(boot);
  PyThreadState_Clear(boot);
  PyThreadState_DeleteCurrent();
  PyEval_RestoreThread(created);
  return created;
}

PyObject* new_abs() {
  PyObject* builtins = PyImport_ImportModule("builtins");
  PyObject* abs = PyObject_GetAttrString(builtins, "abs");
  Py_DECREF(builtins);
  return abs;
}

long eval_int(const char* expression) {
  PyObject* globals = PyModule_GetDict(PyImport_AddModule("__main__"));
  PyObject* result = PyRun_String(expression, Py_eval_input, globals, globals);
  const long number = PyLong_AsLong(result);
  Py_DECREF(result);
  return number;
}

double bare_call_loop(std::size_t count) {
  PyObject* abs = new_abs();
  long sum = 0;
  const double time = nanoseconds_per(count, [&] {
    for (std::size_t i = 0; i < count; ++i) sum += call_abs(abs, -static_cast<long>(i));
  });
  Py_DECREF(abs);
  check(sum == static_cast<long>(count * (count - 1) / 2), "the bare loop computed something else");
  return time;
}

BareInterpreter::BareInterpreter() : thread_([this] { loop(); }) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return idle_; });
}

BareInterpreter::~BareInterpreter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

double BareInterpreter::run(const std::function<double()>& body) {
  std::unique_lock lock(mutex_);
  body_ = &body;
  idle_ = false;
  changed_.notify_all();
  changed_.wait(lock, [this] { return idle_; });
  return result_;
}

void BareInterpreter::loop() {
  PyThreadState* state = new_interpreter();
  PyEval_SaveThread();
  std::unique_lock lock(mutex_);
  idle_ = true;
  changed_.notify_all();
  for (;;) {
    changed_.wait(lock, [this] { return body_ != nullptr || stopping_; });
    if (body_ == nullptr) break;
    lock.unlock();
    PyEval_RestoreThread(state);
    const double result = (*body_)();
    PyEval_SaveThread();
    lock.lock();
    result_ = result;
    body_ = nullptr;
    idle_ = true;
    changed_.notify_all();
  }
  lock.unlock();
  PyEval_RestoreThread(state);
  Py_EndInterpreter(state);
}

}  // namespace bench
