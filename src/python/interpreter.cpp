#include "python/interpreter.h"

#include "base/check.h"
#include "python/buffer_object.h"
#include "python/callback.h"
#include "python/error_capture.h"
#include "python/memory.h"
#include "python/threads.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <thread>

namespace interpool::detail {

PyObject* InterpreterHandle::look_up(const FunctionEntry& entry) {
  using python::Object;
  const std::string_view name = entry.name;
  const std::size_t colon = name.find(':');
  Object object = Object::take(PyImport_ImportModule(std::string(name.substr(0, colon)).c_str()));
  for (std::size_t from = colon + 1; object && from <= name.size();) {
    const std::size_t dot = std::min(name.find('.', from), name.size());
    object = Object::take(
        PyObject_GetAttrString(object.get(), std::string(name.substr(from, dot - from)).c_str()));
    from = dot + 1;
  }
  if (!object) return nullptr;
  // Another thread of this interpreter may have been faster while the import gave up the GIL.
  if (functions_.size() <= entry.id) functions_.resize(entry.id + 1, nullptr);
  if (functions_[entry.id] == nullptr) functions_[entry.id] = object.release();
  return functions_[entry.id];
}

PyObject* InterpreterHandle::main_namespace() {
  PyObject* module = PyImport_AddModule("__main__");
  return module == nullptr ? nullptr : PyModule_GetDict(module);
}

PyTypeObject* InterpreterHandle::callback_type() {
  if (callback_type_ == nullptr) {
    python::Object type = python::Object::take(python::make_callback_type());
    if (!type) return nullptr;
    // Another thread of this interpreter may have been faster, as in look_up().
    if (callback_type_ == nullptr) callback_type_ = type.release();
  }
  return reinterpret_cast<PyTypeObject*>(callback_type_);
}

PyObject* InterpreterHandle::buffer_type() noexcept {
  if (buffer_type_ == nullptr) {
    python::Object made = python::make_buffer_type();
    if (!made) return nullptr;
    // Another thread of this interpreter may have been faster while the garbage collector ran Python code.
    if (buffer_type_ == nullptr) buffer_type_ = made.release();
  }
  return buffer_type_;
}

void InterpreterHandle::forget_functions() noexcept {
  // A destructor may run Python code that comes back here, so the vector is emptied first.
  const std::vector<PyObject*> functions = std::exchange(functions_, {});
  for (PyObject* function : functions) Py_XDECREF(function);
}

void InterpreterHandle::clear() noexcept {
  Py_CLEAR(callback_type_);
  forget_functions();
  objects_.clear();
  Py_CLEAR(buffer_type_);
}

}  // namespace interpool::detail

namespace interpool::python {

CreatedInterpreter create_interpreter(Mutex& serial, bool shared) {
#if PY_VERSION_HEX < 0x030D0000
  // 3.12 crashes now and then when interpreters are created concurrently. The one mutex that is held
  // while a GIL is taken: who waits for it holds no GIL.
  const MutexLock lock(serial);
#else
  (void)serial;
#endif
  ThreadState boot(PyInterpreterState_Main());
  boot.attach();
  PyInterpreterConfig config{};
  config.use_main_obmalloc = 0;              // an own GIL needs an allocator of its own,
  config.check_multi_interp_extensions = 1;  // and extensions that can live with it
  config.allow_fork = 0;
  config.allow_exec = 0;
  config.allow_threads = 1;
  config.allow_daemon_threads = 0;
  config.gil = PyInterpreterConfig_OWN_GIL;
  PyThreadState* created = nullptr;
  const PyStatus status = [&] {
    const MemoryCounts::Creation counted;
    return Py_NewInterpreterFromConfig(&created, &config);
  }();
  if (PyStatus_Exception(status) != 0 || created == nullptr) {
    std::string error = status.err_msg == nullptr ? "no reason given" : status.err_msg;
    if (current_thread_state() != nullptr) boot.detach();  // depends on how far the creation came
    boot.destroy();
    return {ThreadState(), std::move(error)};
  }
  ThreadState state = ThreadState::adopt(created);
  if (shared && !Object::take(PyImport_ImportModule("threading")))
    PyErr_Clear();  // whoever needs it will see
  state.detach();
  boot.destroy();  // at once: it would be in the way of everything that counts main's threads
  return {std::move(state), {}};
}

namespace {

/// Has the handle drop what the interpreter's last Python code, that of `atexit` and of destructors, has it
/// look up: CPython clears the interpreter's dict after that code.
void clear_at_the_end(detail::InterpreterHandle& interpreter) noexcept {
  constexpr const char* kName = "interpool.clear_at_the_end";
  PyObject* dict = PyInterpreterState_GetDict(interpreter.state());
  const Object capsule = Object::take(PyCapsule_New(&interpreter, kName, [](PyObject* self) {
    static_cast<detail::InterpreterHandle*>(PyCapsule_GetPointer(self, kName))->clear();
  }));
  if (dict == nullptr || !capsule || PyDict_SetItemString(dict, kName, capsule.get()) != 0) PyErr_Clear();
}

}  // namespace

bool end_interpreter(detail::InterpreterHandle& interpreter, ThreadState& state,
                     std::chrono::steady_clock::time_point deadline) noexcept {
  state.attach();
  interpreter.clear();
  join_python_threads();
  // Raw threads of `_thread` are not joined by that, and are fatal to Py_EndInterpreter up to 3.13.
  while (has_other_threads(interpreter.state())) {
    state.detach();
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // CPython tells nobody when a thread ends
    state.attach();
  }
  interpreter.clear();  // again, for what these threads have left there
  clear_at_the_end(interpreter);
  Py_EndInterpreter(state.release());
  return true;
}

Failure prepend_module_paths(const std::vector<std::string>& paths) {
  if (paths.empty()) return nullptr;
  PyObject* sys_path = PySys_GetObject("path");
  if (sys_path == nullptr || PyList_Check(sys_path) == 0) return nullptr;
  Py_ssize_t position = 0;
  for (const std::string& path : paths) {
    const Object text =
        Object::take(PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
    if (!text || PyList_Insert(sys_path, position++, text.get()) != 0) return take_error({});
  }
  return nullptr;
}

Failure discard_stdio() {
  const Object io = Object::take(PyImport_ImportModule("io"));
  const Object os = io ? Object::take(PyImport_ImportModule("os")) : Object();
  const Object devnull = os ? Object::take(PyObject_GetAttrString(os.get(), "devnull")) : Object();
  for (const char* name : {"stdout", "stderr"}) {
    const Object file =
        devnull ? Object::take(PyObject_CallMethod(io.get(), "open", "Os", devnull.get(), "w")) : Object();
    if (!file || PySys_SetObject(name, file.get()) != 0) return take_error({});
  }
  return nullptr;
}

Failure reload(detail::InterpreterHandle& interpreter, const std::vector<std::string>& modules) {
  // First, so that what fails half-way leaves no old function behind a new module.
  interpreter.forget_functions();
  for (const std::string& name : modules) {
    const Object text =
        Object::take(PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size())));
    const Object module = text ? Object::take(PyImport_GetModule(text.get())) : Object();
    if (!module && PyErr_Occurred() == nullptr) continue;  // not imported yet
    const Object reloaded = module ? Object::take(PyImport_ReloadModule(module.get())) : Object();
    if (!reloaded) {
      interpreter.forget_functions();
      return take_error({.task = "reload " + name, .interpreter = interpreter.id()});
    }
  }
  // Again: while the imports gave up the GIL, another thread may have looked the old ones up.
  interpreter.forget_functions();
  return nullptr;
}

Failure import_module(detail::InterpreterHandle& interpreter, const std::string& name) {
  const Object module = Object::take(PyImport_ImportModule(name.c_str()));
  return module ? nullptr : take_error({.task = "import " + name, .interpreter = interpreter.id()});
}

}  // namespace interpool::python
