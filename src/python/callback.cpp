#include "python/callback.h"

#include "base/path.h"
#include "interpool/error.h"
#include "python/decoder.h"
#include "python/encoder.h"
#include "python/error_capture.h"
#include "python/interpreter.h"
#include "python/thread_state.h"

#include <fmt/format.h>

#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace interpool::detail {

NativeCallable::~NativeCallable() = default;

void destroy(NativeCallable* callable) noexcept {
  const python::GilRelease no_gil;
  delete callable;
}

void fail_empty_callback() {
  throw UsageError("a Callback is made from a callable, and this one is empty; pass nullptr for None");
}

void fail_moved_callback() { throw UsageError("a Callback is used that was moved from"); }

}  // namespace interpool::detail

namespace interpool::python {

namespace {

/// The calls that the thread is in, innermost first.
struct Inside {
  const CallbackGate* gate;
  const Inside* outer;
};
thread_local const Inside* innermost = nullptr;

/// What a Python object of a callback owns.
struct CallbackState {
  detail::NativeCallable* callable;  // one reference
  std::shared_ptr<CallbackGate> gate;
  std::shared_ptr<detail::InterpreterHandle> interpreter;
};

struct CallbackObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* weak_references;
  CallbackState* state;
};

CallbackState& state_of(PyObject* self) { return *reinterpret_cast<CallbackObject*>(self)->state; }

/// `args[1]`, at the beginning of a path.
class ArgumentStep final : public PathStep {
 public:
  explicit ArgumentStep(std::size_t index) noexcept : PathStep(nullptr), index_(index) {}

 private:
  void append(std::string& text) const override { text += fmt::format("args[{}]", index_); }
  std::size_t index_;
};

/// One call. The callable may be called by several threads at once, each with a Call of its own.
class Call final : public detail::CallbackCall {
 public:
  Call(CallbackState& state, PyObject* const* arguments) noexcept : state_(state), arguments_(arguments) {}

  Decoder& argument(std::size_t index) override {
    step_.emplace(index);
    attempts_ = {};
    return decoder_.emplace(arguments_[index], attempts_, &*step_);
  }
  void run(Gil gil, detail::FunctionRef<void()> body) override {
    started_ = true;
    if (gil == Gil::kHeld) return body();
    const GilRelease no_gil;
    body();
  }
  Encoder& result() override { return encoder_.emplace(*state_.interpreter, task_name_, gate_, 1, "result"); }

  /// Whether the callable has been reached: what is wrong before that is wrong with the arguments.
  [[nodiscard]] bool started() const noexcept { return started_; }
  /// A new reference to the result.
  [[nodiscard]] PyObject* take_result() {
    encoder_->finish();
    return Py_NewRef(encoder_->slots()[0]);
  }

 private:
  struct GateOfState {
    const CallbackState& state;
    std::shared_ptr<CallbackGate> operator()() const { return state.gate; }
  };

  struct NoName {
    std::string operator()() const { return {}; }  // Python code knows in which call it is
  };

  CallbackState& state_;
  GateOfState gate_{state_};
  NoName task_name_;
  PyObject* const* arguments_;
  bool started_ = false;
  std::optional<ArgumentStep> step_;
  detail::Attempts attempts_;
  std::optional<PythonDecoder> decoder_;
  std::optional<PythonEncoder> encoder_;
};

/// Inside the gate and Python's limit of recursion, until it dies.
class Entry {
 public:
  // Not inlined: GCC 12 would think that the address outlives the entry.
  [[gnu::noinline]] Entry(PyObject* self, CallbackGate& gate) noexcept
      : self_(Object::share(self)), gate_(gate) {
    if (!gate_.enter()) {
      PyErr_SetString(PyExc_RuntimeError,
                      "a C++ callback is called after the end of the executor that it was passed to");
      return;
    }
    if (Py_EnterRecursiveCall(" in a C++ callback") != 0) {
      gate_.leave();
      return;
    }
    inside_ = {.gate = &gate_, .outer = innermost};
    innermost = &inside_;
    entered_ = true;
  }
  ~Entry() {
    if (!entered_) return;
    innermost = inside_.outer;
    Py_LeaveRecursiveCall();
    gate_.leave();
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  explicit operator bool() const noexcept { return entered_; }

 private:
  const Object self_;  // whatever the callable does to it; and it keeps the gate
  CallbackGate& gate_;
  Inside inside_{};
  bool entered_ = false;
};

Object text(std::string_view utf8) {
  const auto size = static_cast<Py_ssize_t>(utf8.size());
  const char* data = utf8.data();  // NOLINT(bugprone-suspicious-stringview-data-usage): the size goes along
  Object object = Object::take(PyUnicode_DecodeUTF8(data, size, "surrogatepass"));
  if (object) return object;
  PyErr_Clear();
  return Object::take(PyUnicode_DecodeUTF8(data, size, "replace"));  // a what() may say anything
}

std::string title(const detail::NativeCallable& callable) {
  return callable.name().empty() ? "a C++ callback" : fmt::format("the C++ callback '{}'", callable.name());
}

void set_type_error(std::string_view message) {
  if (const Object object = text(message)) PyErr_SetObject(PyExc_TypeError, object.get());
}

// ---- Exceptions of C++ in Python -------------------------------------------------------------------------

constexpr const char* kNativeException = "__native_exception__";  // attribute and capsule

void destroy_native_exception(PyObject* capsule) {
  auto* exception = static_cast<std::exception_ptr*>(PyCapsule_GetPointer(capsule, kNativeException));
  const GilRelease no_gil;  // the exception may be of the host's own type
  delete exception;
}

/// An exception of the builtin type of that name; nothing, and no exception set, if there is none that can be
/// made from one argument.
Object make_builtin(const std::string& type_name, PyObject* argument) {
  const Object builtins = Object::take(PyImport_ImportModule("builtins"));
  const Object type =
      builtins ? Object::take(PyObject_GetAttrString(builtins.get(), type_name.c_str())) : Object();
  Object exception;
  if (type && PyExceptionClass_Check(type.get()) != 0) {
    exception = Object::take(PyObject_CallOneArg(type.get(), argument));
  }
  PyErr_Clear();
  return exception && PyExceptionInstance_Check(exception.get()) != 0 ? std::move(exception) : Object();
}

Object make_from_text(PyObject* type, std::string_view message) {
  const Object argument = text(message);
  return argument ? Object::take(PyObject_CallOneArg(type, argument.get())) : Object();
}

/// The Python exception for a C++ one; null: another exception is set.
Object make_exception(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const SystemExitError& error) {
    const Object code = Object::take(PyLong_FromLong(error.exit_code()));
    return code ? Object::take(PyObject_CallOneArg(PyExc_SystemExit, code.get())) : Object();
  } catch (const PythonError& error) {
    const Object message = text(error.python_message());
    if (!message) return {};
    Object same = make_builtin(error.qualified_type(), message.get());
    return same ? std::move(same) : make_from_text(PyExc_RuntimeError, error.message());
  } catch (const Error& error) {
    return make_from_text(PyExc_RuntimeError, error.message());
  } catch (const std::bad_alloc& error) {
    return make_from_text(PyExc_MemoryError, error.what());
  } catch (const std::exception& error) {
    return make_from_text(PyExc_RuntimeError, error.what());
  } catch (...) {
    return make_from_text(PyExc_RuntimeError, "a C++ exception that is not a std::exception");
  }
}

/// Raises the C++ exception that is being handled. It stays with the Python exception, for those who get it
/// out of Python again.
void raise_current_exception() noexcept {
  PyErr_Clear();  // a callable or Converter that threw in the middle of something leaves nothing behind
  try {
    const std::exception_ptr current = std::current_exception();
    const Object exception = make_exception(current);
    if (!exception) return;
    auto kept = std::make_unique<std::exception_ptr>(current);
    const Object capsule =
        Object::take(PyCapsule_New(kept.get(), kNativeException, destroy_native_exception));
    if (capsule) static_cast<void>(kept.release());  // NOLINT(bugprone-unused-return-value): the capsule's
    const Object name = Object::take(PyUnicode_InternFromString(kNativeException));
    if (!capsule || !name || PyObject_SetAttr(exception.get(), name.get(), capsule.get()) != 0) return;
    // Not PyErr_SetRaisedException: this also notes what was being handled when it was raised.
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
  } catch (...) {
    PyErr_NoMemory();
  }
}

// ---- The type
// ----------------------------------------------------------------------------------------------

PyObject* call_callback(PyObject* self, PyObject* const* arguments, std::size_t flagged_count,
                        PyObject* keywords) noexcept {
  CallbackState& state = state_of(self);
  const Entry entry(self, *state.gate);
  if (!entry) return nullptr;
  try {
    const detail::NativeCallable& callable = *state.callable;
    if (keywords != nullptr && PyTuple_GET_SIZE(keywords) > 0) {
      set_type_error(fmt::format("{} takes no keyword arguments", title(callable)));
      return nullptr;
    }
    const auto count = static_cast<std::size_t>(PyVectorcall_NARGS(flagged_count));
    if (count != callable.arity()) {
      set_type_error(fmt::format("{} takes {} argument{}, and was given {}", title(callable),
                                 callable.arity(), callable.arity() == 1 ? "" : "s", count));
      return nullptr;
    }
    Call call(state, arguments);
    try {
      state.callable->call(call);
      return call.take_result();
    } catch (const ConversionError& error) {
      if (call.started()) throw;
      PyErr_Clear();
      set_type_error(fmt::format("{}: {}", title(callable), error.message()));
      return nullptr;
    }
  } catch (...) {
    raise_current_exception();
    return nullptr;
  }
}

void destroy_callback(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  auto* object = reinterpret_cast<CallbackObject*>(self);
  if (object->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  const std::unique_ptr<CallbackState> state(std::exchange(object->state, nullptr));
  if (state && state->callable->drop_ref()) detail::destroy(state->callable);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* name_of(PyObject* self, void* /*closure*/) {
  const std::string& name = state_of(self).callable->name();
  return text(name.empty() ? "callback" : name).release();
}

PyObject* describe_callback(PyObject* self) {
  try {
    const detail::NativeCallable& callable = *state_of(self).callable;
    const std::string name = callable.name().empty() ? "" : fmt::format(" '{}'", callable.name());
    return text(fmt::format("<interpool.NativeCallback{} of {} argument{}>", name, callable.arity(),
                            callable.arity() == 1 ? "" : "s"))
        .release();
  } catch (...) {
    return PyErr_NoMemory();
  }
}

// CPython only reads these, from all interpreters.
PyMemberDef members[] = {
    {.name = "__vectorcalloffset__",
     .type = Py_T_PYSSIZET,
     .offset = offsetof(CallbackObject, vectorcall),
     .flags = Py_READONLY,
     .doc = nullptr},
    {.name = "__weaklistoffset__",
     .type = Py_T_PYSSIZET,
     .offset = offsetof(CallbackObject, weak_references),
     .flags = Py_READONLY,
     .doc = nullptr},
    {},
};
PyGetSetDef attributes[] = {
    {.name = "__name__", .get = name_of, .set = nullptr, .doc = nullptr, .closure = nullptr},
    {},
};

}  // namespace

bool CallbackGate::entered_by_this_thread() const noexcept {
  for (const Inside* inside = innermost; inside != nullptr; inside = inside->outer) {
    if (inside->gate == this) return true;
  }
  return false;
}

PyObject* make_callback_type() {
  PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("A C++ callable. It takes positional arguments only.")},
      {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
      {Py_tp_dealloc, reinterpret_cast<void*>(destroy_callback)},
      {Py_tp_repr, reinterpret_cast<void*>(describe_callback)},
      {Py_tp_members, members},
      {Py_tp_getset, attributes},
      {0, nullptr},
  };
  PyType_Spec spec = {.name = "interpool.NativeCallback",
                      .basicsize = sizeof(CallbackObject),
                      .itemsize = 0,
                      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                               Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                      .slots = slots};
  return PyType_FromSpec(&spec);
}

PyObject* make_callback(detail::InterpreterHandle& interpreter, std::shared_ptr<CallbackGate> gate,
                        detail::NativeCallable& callable) {
  if (gate == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "a callback can be passed to Python by a task only");
    return nullptr;
  }
  PyTypeObject* type = interpreter.callback_type();
  if (type == nullptr) return nullptr;
  auto state = std::make_unique<CallbackState>(CallbackState{
      .callable = &callable, .gate = std::move(gate), .interpreter = interpreter.shared_from_this()});
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  auto* object = reinterpret_cast<CallbackObject*>(self);
  object->vectorcall = call_callback;
  object->weak_references = nullptr;
  callable.add_ref();
  object->state = state.release();
  return self;
}

std::exception_ptr native_exception(PyObject* exception) noexcept {
  // Straight from the instance: nearly all exceptions have no attributes of their own.
  PyObject* own = reinterpret_cast<PyBaseExceptionObject*>(exception)->dict;
  if (own == nullptr) return nullptr;
  const Object name = Object::take(PyUnicode_InternFromString(kNativeException));
  const Object capsule = name ? Object::share(PyDict_GetItemWithError(own, name.get())) : Object();
  PyErr_Clear();
  if (!capsule || PyCapsule_IsValid(capsule.get(), kNativeException) == 0) return nullptr;
  return *static_cast<std::exception_ptr*>(PyCapsule_GetPointer(capsule.get(), kNativeException));
}

}  // namespace interpool::python
