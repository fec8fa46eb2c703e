// A program that runs Python on its own, with its own configuration, and adds interpool: the library adopts
// the running interpreter, works beside the program's own Python code, and leaves the end of Python to the
// program.
#include <Python.h>
#include <interpool/interpool.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

/// Throws when a call into CPython has failed.
PyObject* check(PyObject* object) {
  if (object == nullptr) {
    PyErr_Print();
    throw std::runtime_error("a call into Python failed");
  }
  return object;
}

/// The program's own Python: isolated, with its own name and its own signal handling. Returns with the GIL
/// held.
void initialize_python() {
  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  config.install_signal_handlers = 0;
  // Where the standard library is; a real program has its own opinion.
  PyStatus status = PyConfig_SetBytesString(&config, &config.home, PYTHON_HOME);
  if (PyStatus_Exception(status) == 0) {
    status = PyConfig_SetBytesString(&config, &config.program_name, "custom_host");
  }
  if (PyStatus_Exception(status) == 0) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status) != 0) throw std::runtime_error(status.err_msg);
}

/// Runs interpool beside `names`, whose code belongs to the program. Called, and returns, with the GIL
/// held.
void use_interpool(PyObject* names) {
  interpool::Runtime python;  // adopts; needs the GIL for a moment, and so releases ours meanwhile
  std::printf("adopted: %s\n", python.adopted() ? "yes" : "no");
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 2});

  // The workers have GILs of their own, so they run while this thread holds main's.
  auto roots = pool.map<int>("math:isqrt", std::vector<int>{1, 4, 9, 16});
  auto marked = pool.pinned(0).submit([](interpool::Worker& worker) {
    worker.exec("owner = 'worker'");
    return worker.eval<std::string>("owner");
  });

  // The program's own code and objects, in the main interpreter, all the while.
  Py_DECREF(check(PyRun_String("total = sum(range(1000))", Py_file_input, names, names)));

  // get() releases the GIL of the calling thread while it waits.
  int sum = 0;
  for (const int root : roots.get()) sum += root;
  std::printf("workers: %d, %s\n", sum, marked.get().c_str());

  // The main lane runs on a thread of interpool's in the same main interpreter: its `sys.modules` are ours.
  auto seen = pool.main().submit([](interpool::Worker& worker) {
    worker.exec("import sys");
    return worker.eval<int>("sys.modules['custom_host'].total");
  });
  std::printf("main lane sees: %d\n", seen.get());

  // Before Python may be finalized, nothing of interpool may be left in it.
  const interpool::ExecutorReport report = pool.stop({.drain = std::chrono::seconds(30)});
  const interpool::StopReport stopped = python.stop(std::chrono::seconds(30));
  if (!report.drained || report.interpreters_left != 0 || !stopped.clean) {
    throw std::runtime_error("interpool did not stop cleanly");
  }
  std::printf("stopped: %llu of %llu tasks completed\n",
              static_cast<unsigned long long>(report.tasks.completed),
              static_cast<unsigned long long>(report.tasks.accepted));
}

}  // namespace

int main() {
  try {
    initialize_python();
    // A module and objects of the program's own, made before interpool comes and used after it has gone.
    PyObject* module = check(PyImport_AddModule("custom_host"));
    PyObject* names = PyModule_GetDict(module);
    Py_DECREF(check(PyRun_String("import builtins\nowner = 'program'", Py_file_input, names, names)));

    use_interpool(names);

    PyObject* owner = check(PyRun_String("f'{owner}, {total}'", Py_eval_input, names, names));
    std::printf("program: %s\n", PyUnicode_AsUTF8(owner));
    Py_DECREF(owner);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "custom_host: %s\n", error.what());
    return 1;
  }
  const int status = Py_FinalizeEx();  // the program started Python, and ends it
  std::printf("finalized: %d\n", status);
  return status == 0 ? 0 : 1;
}
