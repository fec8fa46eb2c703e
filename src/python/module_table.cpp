#include "python/module_table.h"

#include "interpool/detail/task.h"
#include "python/error_capture.h"

#include <fmt/format.h>
#include <marshal.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace interpool::detail {

ModuleTable::Definition ModuleTable::find(std::string_view name) const {
  const MutexLock lock(mutex_);
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

ModuleTable::Definition ModuleTable::find_file(std::string_view file) const {
  const MutexLock lock(mutex_);
  const auto found = by_file_.find(file);
  return found == by_file_.end() ? nullptr : found->second;
}

std::string ModuleTable::new_file(const std::string& name) {
  const MutexLock lock(mutex_);
  const std::size_t number = ++files_[name];
  // Not "<…>" as a whole: Python's linecache asks no loader for the lines of such a file.
  return number == 1 ? fmt::format("<interpool>/{}.py", name)
                     : fmt::format("<interpool>/{}@{}.py", name, number);
}

void ModuleTable::add(DefinedModule module) {
  const auto added = std::make_shared<const DefinedModule>(std::move(module));
  const MutexLock lock(mutex_);
  Definition& current = by_name_[added->name];
  if (current != nullptr) {
    if (current->init == added->init && current->source == added->source) return;
    if (current->init != nullptr || added->init != nullptr) {
      throw UsageError(fmt::format(
          "'{}' is a module of this Runtime already, and a native one cannot replace another module, nor be "
          "replaced: choose another name",
          added->name));
    }
  }
  if (added->init == nullptr) by_file_[added->file] = added;
  current = added;
}

}  // namespace interpool::detail

namespace interpool::python {

namespace {

using detail::DefinedModule;
using detail::ModuleTable;

constexpr const char* kTableCapsule = "interpool.modules";  // and its key in the interpreter's dict
constexpr const char* kLoaderCapsule = "interpool.module";

// ---- What Python calls. ------------------------------------------------------------------------
//
// Finder and loaders are module objects with a few functions, each bound to a capsule that shares the
// ownership of what it is about: an adopted interpreter, or one left standing, may outlive the Runtime.

template <class T>
void drop_shared(PyObject* capsule) {
  delete static_cast<std::shared_ptr<T>*>(PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule)));
}

template <class T>
Object make_capsule(const std::shared_ptr<T>& shared, const char* name) {
  auto owner = std::make_unique<std::shared_ptr<T>>(shared);
  Object capsule = Object::take(PyCapsule_New(owner.get(), name, &drop_shared<T>));
  if (capsule) (void)owner.release();
  return capsule;
}

/// Made by make_capsule(), with this name.
template <class T>
T& in_capsule(PyObject* capsule, const char* name) {
  return **static_cast<std::shared_ptr<T>*>(PyCapsule_GetPointer(capsule, name));
}

/// An object with these functions, whose `self` is `bound`; empty: an exception is set.
Object make_object(const char* name, std::span<PyMethodDef> functions, PyObject* bound) {
  Object object = Object::take(PyModule_New(name));
  if (!object) return object;
  for (PyMethodDef& function : functions) {
    const Object callable = Object::take(PyCFunction_New(&function, bound));
    if (!callable || PyModule_AddObjectRef(object.get(), function.ml_name, callable.get()) != 0) return {};
  }
  return object;
}

Object attribute_of(const char* module, const char* name) {
  const Object object = Object::take(PyImport_ImportModule(module));
  return object ? Object::take(PyObject_GetAttrString(object.get(), name)) : Object();
}

/// Runs what may throw where Python must see an exception of its own.
template <class F>
PyObject* for_python(F body) noexcept {
  try {
    return body();
  } catch (...) {
    return PyErr_NoMemory();  // nothing else is thrown there
  }
}

/// What a native module's init function returns when it is of the right kind; null: an exception is set.
/// Borrowed, as in CPython's own imports.
PyModuleDef* module_def(const std::string& name, DefinedModule::Init init) {
  PyObject* made = init();
  if (made == nullptr) {
    if (PyErr_Occurred() == nullptr) {
      PyErr_Format(PyExc_SystemError, "the init function of '%s' failed without setting an exception",
                   name.c_str());
    }
    return nullptr;
  }
  if (PyObject_TypeCheck(made, &PyModuleDef_Type) != 0) return reinterpret_cast<PyModuleDef*>(made);
  Py_DECREF(made);
  PyErr_Format(
      PyExc_ImportError,
      "the init function of '%s' makes the module itself (single-phase initialization), which does not "
      "work in several interpreters: let it return PyModuleDef_Init(&definition)",
      name.c_str());
  return nullptr;
}

/// loader.create_module(spec)
PyObject* create_module(PyObject* self, PyObject* spec) {
  const auto& module = in_capsule<const DefinedModule>(self, kLoaderCapsule);
  if (module.init == nullptr) Py_RETURN_NONE;  // an ordinary one
  // Each interpreter calls it, as with modules in files: it may be where the module's own state is set up.
  PyModuleDef* definition = module_def(module.name, module.init);
  return definition == nullptr ? nullptr : PyModule_FromDefAndSpec(definition, spec);
}

PyObject* exec_native(PyObject* module) {
  PyModuleDef* definition = PyModule_Check(module) != 0 ? PyModule_GetDef(module) : nullptr;
  if (definition == nullptr) {
    if (PyErr_Occurred() != nullptr) return nullptr;
    Py_RETURN_NONE;  // Py_mod_create made something else, ready for use
  }
  // A reload, which does nothing to native modules.
  if (PyModule_GetState(module) != nullptr) Py_RETURN_NONE;
  if (PyModule_ExecDef(module, definition) != 0) return nullptr;
  Py_RETURN_NONE;
}

/// loader.exec_module(module)
PyObject* exec_module(PyObject* self, PyObject* module) {
  const auto& defined = in_capsule<const DefinedModule>(self, kLoaderCapsule);
  if (defined.init != nullptr) return exec_native(module);
  const Object code = Object::take(
      PyMarshal_ReadObjectFromString(defined.code.data(), static_cast<Py_ssize_t>(defined.code.size())));
  const Object names = code ? Object::take(PyObject_GetAttrString(module, "__dict__")) : Object();
  const Object exec = names ? attribute_of("builtins", "exec") : Object();
  // As importlib's own loaders do: the name tells Python which frames of its own to leave out of tracebacks.
  const Object call = exec ? attribute_of("_frozen_importlib", "_call_with_frames_removed") : Object();
  return call ? PyObject_CallFunctionObjArgs(call.get(), exec.get(), code.get(), names.get(), nullptr)
              : nullptr;
}

/// loader.get_source(name): for linecache, and so for Python's own tracebacks.
PyObject* get_source(PyObject* self, PyObject* /*name*/) {
  const auto& module = in_capsule<const DefinedModule>(self, kLoaderCapsule);
  if (module.init != nullptr) Py_RETURN_NONE;
  return PyUnicode_FromStringAndSize(module.source.data(), static_cast<Py_ssize_t>(module.source.size()));
}

/// finder.find_spec(name, path=None, target=None)
PyObject* find_spec(PyObject* self, PyObject* args, PyObject* kwargs) {
  return for_python([&]() -> PyObject* {
    static const std::array<const char*, 4> keywords = {"name", "path", "target", nullptr};
    PyObject* name = nullptr;
    PyObject* ignored = nullptr;
    if (PyArg_ParseTupleAndKeywords(args, kwargs, "U|OO:find_spec", const_cast<char**>(keywords.data()),
                                    &name, &ignored, &ignored) == 0) {
      return nullptr;
    }
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(name, &size);
    if (utf8 == nullptr) PyErr_Clear();  // a lone surrogate: no module of ours
    const auto module =
        utf8 == nullptr
            ? nullptr
            : in_capsule<ModuleTable>(self, kTableCapsule).find({utf8, static_cast<std::size_t>(size)});
    if (module == nullptr) Py_RETURN_NONE;

    static std::array<PyMethodDef, 3> functions = {{{"create_module", &create_module, METH_O, nullptr},
                                                    {"exec_module", &exec_module, METH_O, nullptr},
                                                    {"get_source", &get_source, METH_O, nullptr}}};
    const Object capsule = make_capsule(module, kLoaderCapsule);
    const Object loader = capsule ? make_object("interpool loader", functions, capsule.get()) : Object();
    const Object make_spec = loader ? attribute_of("_frozen_importlib", "ModuleSpec") : Object();
    const Object positional = make_spec ? Object::take(PyTuple_Pack(2, name, loader.get())) : Object();
    const Object named =
        positional ? Object::take(Py_BuildValue(
                         "{s:s}", "origin", module->init == nullptr ? module->file.c_str() : "<interpool>"))
                   : Object();
    return named ? PyObject_Call(make_spec.get(), positional.get(), named.get()) : nullptr;
  });
}

// ---- Definitions, under main's GIL. --------------------------------------------------------------

ErrorContext context_of(const char* what, std::string_view name) {
  return {.task = fmt::format("{} {}", what, name), .interpreter = 0};
}

/// Null: nothing in the standard library has this name.
Failure check_not_standard(const std::string& name, const ErrorContext& context) {
  PyObject* names = PySys_GetObject("stdlib_module_names");
  const Object text =
      Object::take(PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size())));
  const int found = names == nullptr || !text ? 0 : PySequence_Contains(names, text.get());
  PyErr_Clear();
  if (found != 1) return nullptr;
  return std::make_shared<const UsageError>(
      fmt::format(
          "'{}' is a module of Python's standard library, which interpreters may have imported before "
          "they see another: choose another name",
          name),
      context);
}

}  // namespace

void check_module_name(std::string_view name) {
  const auto letter = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto valid = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  if (name.empty() || !letter(name.front()) || !std::ranges::all_of(name, valid)) {
    throw UsageError(fmt::format(
        "'{}' cannot name a module of the host's: write letters of ASCII, digits and _, and no dots, as "
        "there are no packages",
        name));
  }
  if (name == "__main__" || name == "interpool") {
    throw UsageError(fmt::format("'{}' is a module of every interpreter already: choose another name", name));
  }
}

Failure define_module(ModuleTable& table, std::string_view name, std::string_view source) noexcept {
  try {
    const ErrorContext context = context_of("define_module", name);
    DefinedModule module{.name = std::string(name), .source = std::string(source)};
    if (Failure failure = check_not_standard(module.name, context)) return failure;
    if (source.find('\0') != std::string_view::npos) {
      return std::make_shared<const UsageError>("Python code cannot contain a NUL character", context);
    }
    if (!Object::take(PyUnicode_FromStringAndSize(source.data(), static_cast<Py_ssize_t>(source.size())))) {
      PyErr_Clear();
      return std::make_shared<const UsageError>(fmt::format("the source of '{}' is not UTF-8", name),
                                                context);
    }
    module.file = table.new_file(module.name);
    PyCompilerFlags flags{};
    flags.cf_feature_version = PY_MINOR_VERSION;
    // A comment that names another encoding tells of the file that the text was in, if of anything.
    flags.cf_flags = PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE;
    const Object code = Object::take(
        Py_CompileStringExFlags(module.source.c_str(), module.file.c_str(), Py_file_input, &flags, -1));
    const Object bytes =
        code ? Object::take(PyMarshal_WriteObjectToString(code.get(), Py_MARSHAL_VERSION)) : Object();
    if (!bytes) return take_error(context);
    module.code.assign(PyBytes_AS_STRING(bytes.get()),
                       static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get())));
    table.add(std::move(module));
    return nullptr;
  } catch (...) {
    return detail::current_failure({});
  }
}

Failure add_native_module(ModuleTable& table, std::string_view name, DefinedModule::Init init) noexcept {
  try {
    const ErrorContext context = context_of("add_native_module", name);
    DefinedModule module{.name = std::string(name), .init = init};
    if (Failure failure = check_not_standard(module.name, context)) return failure;
    // It fills in the static definition, too: here, before several interpreters do so at once.
    if (module_def(module.name, init) == nullptr) return take_error(context);
    table.add(std::move(module));
    return nullptr;
  } catch (...) {
    return detail::current_failure({});
  }
}

Failure install_finder(const std::shared_ptr<ModuleTable>& table) noexcept {
  try {
    static std::array<PyMethodDef, 1> functions = {
        {{"find_spec", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&find_spec)),
          METH_VARARGS | METH_KEYWORDS, nullptr}}};
    const Object capsule = make_capsule(table, kTableCapsule);
    const Object finder = capsule ? make_object("interpool finder", functions, capsule.get()) : Object();
    if (!finder) return take_error({});
    PyObject* finders = PySys_GetObject("meta_path");
    if (finders == nullptr || PyList_Check(finders) == 0) {
      return std::make_shared<const WorkerError>("sys.meta_path is not a list");
    }
    PyObject* ours = PyInterpreterState_GetDict(PyInterpreterState_Get());
    if (ours == nullptr || PyDict_SetItemString(ours, kTableCapsule, capsule.get()) != 0 ||
        PyList_Insert(finders, 0, finder.get()) != 0) {
      return take_error({});
    }
    return nullptr;
  } catch (...) {
    return detail::current_failure({});
  }
}

std::optional<std::string> defined_source(std::string_view file) {
  PyObject* ours = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = ours == nullptr ? nullptr : PyDict_GetItemString(ours, kTableCapsule);
  if (capsule == nullptr) return std::nullopt;
  const auto module = in_capsule<ModuleTable>(capsule, kTableCapsule).find_file(file);
  if (module == nullptr) return std::nullopt;
  return module->source;
}

}  // namespace interpool::python
