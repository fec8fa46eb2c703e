#include "python/log_handler.h"

#include "interpool/log.h"
#include "python/module.h"

#include <cstddef>
#include <string_view>

namespace interpool::python {

namespace {

// The traceback of an exception is a part of what format() makes.
constexpr const char* kSource = R"(
import logging

class LogHandler(logging.Handler):
    """Hands records to the program that runs this interpreter, with the worker and the task.

    The formatter is for the message alone: level and logger go along with it. Each handler leads to the same
    place.
    """

    def createLock(self):
        # None is needed; and the program may wait for what another thread logs while it has a record.
        self.lock = None

    def handle(self, record):
        found = self.filter(record)
        if isinstance(found, logging.LogRecord):
            record = found
        if found:
            self.emit(record)
        return found

    def emit(self, record):
        try:
            _log(record.levelno, record.name, self.format(record))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)
)";

LogLevel level_of(long number) noexcept {
  // What lies in between, as custom levels do, counts as the one below, as it does for Python.
  if (number >= 50) return LogLevel::kCritical;
  if (number >= 40) return LogLevel::kError;
  if (number >= 30) return LogLevel::kWarn;
  if (number >= 20) return LogLevel::kInfo;
  if (number >= 10) return LogLevel::kDebug;
  return LogLevel::kTrace;
}

/// The UTF-8 of what str() makes of it, as bytes; null: an exception is set.
Object utf8_bytes(PyObject* object) {
  const Object text = Object::take(PyObject_Str(object));
  return text ? Object::take(PyUnicode_AsEncodedString(text.get(), "utf-8", "backslashreplace")) : Object();
}

std::string_view view_of(const Object& bytes) noexcept {
  return {PyBytes_AS_STRING(bytes.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get()))};
}

PyObject* log(PyObject* module, PyObject* args) {
  PyObject* level = nullptr;
  PyObject* name = nullptr;
  PyObject* text = nullptr;
  if (PyArg_UnpackTuple(args, "_log", 3, 3, &level, &name, &text) == 0) return nullptr;
  const long number = PyLong_AsLong(level);
  if (number == -1 && PyErr_Occurred() != nullptr) return nullptr;
  // Ours while the GIL is released.
  const Object logger = utf8_bytes(name);
  const Object message = logger ? utf8_bytes(text) : Object();
  if (!message) return nullptr;
  host_of(module).log(level_of(number), view_of(logger), view_of(message));
  Py_RETURN_NONE;
}

PyMethodDef log_function = {"_log", log, METH_VARARGS, nullptr};

}  // namespace

PyObject* log_handler(PyObject* module) {
  const Object names = Object::take(Py_BuildValue("{ss}", "__name__", "interpool"));
  const Object function = names ? Object::take(PyCFunction_New(&log_function, module)) : Object();
  if (!function || PyDict_SetItemString(names.get(), "_log", function.get()) != 0) return nullptr;
  const Object code = Object::take(Py_CompileString(kSource, "<interpool>", Py_file_input));
  if (!code || !Object::take(PyEval_EvalCode(code.get(), names.get(), names.get()))) return nullptr;
  const Object name = Object::take(PyUnicode_InternFromString("LogHandler"));
  PyObject* made = name ? PyDict_GetItemWithError(names.get(), name.get()) : nullptr;
  if (made == nullptr) return nullptr;
  // Another thread may have been faster while the import gave up the GIL: there is one class.
  return Py_XNewRef(PyDict_SetDefault(PyModule_GetDict(module), name.get(), made));
}

}  // namespace interpool::python
