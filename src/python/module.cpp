#include "python/module.h"

#include "python/error_capture.h"
#include "python/log_handler.h"

#include <new>
#include <utility>

namespace interpool::python {

namespace {

/// What each interpreter's module keeps.
struct ModuleState {
  std::shared_ptr<Host> host;
};

ModuleState& state_of(PyObject* module) { return *static_cast<ModuleState*>(PyModule_GetState(module)); }

PyObject* text_object(std::string_view utf8) {
  return PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "replace");
}

// --- the functions -------------------------------------------------------------------------------

PyDoc_STRVAR(kWorkerIdDoc,
             "worker_id()\n--\n\n"
             "The worker whose thread this is: 'pinned-0', 'pooled-3', 'attached-1' or 'main'.\n\n"
             "None on any other thread. Each executor counts its own workers.");

PyObject* worker_id(PyObject* module, PyObject* /*none*/) {
  const std::string_view worker = state_of(module).host->worker();
  if (worker.empty()) Py_RETURN_NONE;
  return text_object(worker);
}

PyDoc_STRVAR(kTaskNameDoc,
             "task_name()\n--\n\n"
             "The name of the task that this thread runs; '' if it has none.\n\n"
             "None on a thread that runs no task.");

PyObject* task_name(PyObject* module, PyObject* /*none*/) {
  const std::optional<std::string_view> name = state_of(module).host->task();
  if (!name) Py_RETURN_NONE;
  return text_object(*name);
}

PyDoc_STRVAR(kGetattrDoc, "What is made only when somebody asks for it: LogHandler.");

PyObject* get_attribute(PyObject* module, PyObject* name) {
  if (PyUnicode_Check(name) != 0 && PyUnicode_CompareWithASCIIString(name, "LogHandler") == 0)
    return log_handler(module);
  PyErr_Format(PyExc_AttributeError, "module 'interpool' has no attribute %R", name);
  return nullptr;
}

PyMethodDef functions[] = {
    {"__getattr__", get_attribute, METH_O, kGetattrDoc},
    {"worker_id", worker_id, METH_NOARGS, kWorkerIdDoc},
    {"task_name", task_name, METH_NOARGS, kTaskNameDoc},
    {nullptr, nullptr, 0, nullptr},
};

// --- the module ----------------------------------------------------------------------------------

int execute(PyObject* module) {
  new (PyModule_GetState(module)) ModuleState();
  return 0;
}

void free_state(void* module) { state_of(static_cast<PyObject*>(module)).~ModuleState(); }

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, nullptr},
};

PyDoc_STRVAR(kModuleDoc, "What interpool, which runs this interpreter, has for the Python code in it.");

PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "interpool",
    .m_doc = kModuleDoc,
    .m_size = sizeof(ModuleState),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = nullptr,
    .m_clear = nullptr,
    .m_free = free_state,
};

/// A new reference; null: an exception is set.
Object make_module(std::shared_ptr<Host> host) {
  // The frozen module is always there; importlib.machinery, which has the class too, would have to be
  // imported.
  const Object importlib = Object::take(PyImport_ImportModule("_frozen_importlib"));
  const Object spec =
      importlib
          ? Object::take(PyObject_CallMethod(importlib.get(), "ModuleSpec", "sO", definition.m_name, Py_None))
          : Object();
  const Object origin = spec ? Object::take(PyUnicode_FromString("built-in")) : Object();
  if (!origin || PyObject_SetAttrString(spec.get(), "origin", origin.get()) != 0) return {};
  Object module = Object::take(PyModule_FromDefAndSpec(&definition, spec.get()));
  if (!module || PyObject_SetAttrString(module.get(), "__spec__", spec.get()) != 0 ||
      PyModule_ExecDef(module.get(), &definition) != 0) {
    return {};
  }
  state_of(module.get()).host = std::move(host);
  return module;
}

}  // namespace

Failure add_module(detail::InterpreterHandle& interpreter, std::shared_ptr<Host> host) {
  const Object module = make_module(std::move(host));
  PyObject* buffer_type = module ? interpreter.buffer_type() : nullptr;
  if (buffer_type == nullptr || PyModule_AddObjectRef(module.get(), "Buffer", buffer_type) != 0 ||
      PyDict_SetItemString(PyImport_GetModuleDict(), definition.m_name, module.get()) != 0) {
    return take_error({});
  }
  return nullptr;
}

Host& host_of(PyObject* module) noexcept { return *state_of(module).host; }

Host* host_of(PyTypeObject* type) noexcept {
  auto* state = static_cast<ModuleState*>(PyType_GetModuleState(type));
  return state == nullptr ? nullptr : state->host.get();
}

}  // namespace interpool::python
