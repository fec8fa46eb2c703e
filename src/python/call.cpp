#include "python/call.h"

#include "python/decoder.h"
#include "python/encoder.h"
#include "python/error_capture.h"

#include <algorithm>
#include <memory>

namespace interpool::python {

namespace {

/// What a Converter threw, with the place it happened in.
Failure conversion_failure(const ErrorContext& context) {
  PyErr_Clear();  // a Converter that threw in the middle of something leaves nothing behind
  try {
    throw;
  } catch (const ConversionError& error) {
    return std::make_shared<const ConversionError>(error.path(), error.reason(), context);
  } catch (...) {
    return detail::current_failure(context);
  }
}

/// Reads a call's result, if it is wanted; none: it has raised. `context` makes an ErrorContext, and is
/// called on errors only.
template <class Context>
Failure decode_result(const Object& result, detail::DecodeThunk decode, void* storage,
                      const Context& context) {
  if (!result) return take_error(context());
  if (decode == nullptr) return nullptr;
  try {
    detail::Attempts attempts;
    PythonDecoder decoder(result.get(), attempts);
    decode(decoder, storage);
    return nullptr;
  } catch (...) {
    return conversion_failure(context());
  }
}

Failure run(detail::InterpreterHandle& interpreter, std::string_view text, const char* file, int start,
            TaskName task_name, detail::DecodeThunk decode, void* storage) noexcept {
  try {
    const auto context = [&] { return ErrorContext{.task = task_name(), .interpreter = interpreter.id()}; };
    if (text.find('\0') != std::string_view::npos) {
      return std::make_shared<const UsageError>("Python code cannot contain a NUL character", context());
    }
    PyObject* names = interpreter.main_namespace();
    if (names == nullptr) return take_error(context());
    // eval() in Python forgives leading blanks, too.
    if (start == Py_eval_input) text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const Object code = Object::take(Py_CompileString(std::string(text).c_str(), file, start));
    if (!code) return take_error(context());
    const Object result = Object::take(PyEval_EvalCode(code.get(), names, names));
    return decode_result(result, decode, storage, context);
  } catch (...) {
    return detail::current_failure({});
  }
}

/// Encodes the arguments, and has `act` do the rest.
template <class Act>
Failure invoke(detail::InterpreterHandle& interpreter, TaskName task_name, GateOf gate,
               detail::EncodeThunk encode, const void* args, Act act) noexcept {
  // Only an error needs the names.
  const auto context = [&] { return ErrorContext{.task = task_name(), .interpreter = interpreter.id()}; };
  try {
    PythonEncoder arguments(interpreter, task_name, gate, encode.count);
    try {
      encode.encode(arguments, args);
      arguments.finish();
    } catch (...) {
      return conversion_failure(context());
    }
    return act(arguments, context);
  } catch (...) {
    return detail::current_failure({});
  }
}

/// What the function returns; none: it has raised.
Object call_function(detail::InterpreterHandle& interpreter, const detail::FunctionEntry& function,
                     detail::EncodeThunk encode, PythonEncoder& arguments) {
  PyObject* callee = interpreter.function(function);
  if (callee == nullptr) return {};
  // Held for the call: what is looked up anew meanwhile is dropped.
  const Object held = Object::share(callee);
  return Object::take(
      PyObject_Vectorcall(callee, arguments.slots(), encode.count | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
}

}  // namespace

Failure call(detail::InterpreterHandle& interpreter, const detail::FunctionEntry& function,
             TaskName task_name, GateOf gate, detail::EncodeThunk encode, const void* args,
             detail::DecodeThunk decode, void* storage) noexcept {
  return invoke(interpreter, task_name, gate, encode, args,
                [&](PythonEncoder& arguments, const auto& context) {
                  return decode_result(call_function(interpreter, function, encode, arguments), decode,
                                       storage, context);
                });
}

Failure create(detail::InterpreterHandle& interpreter, const detail::FunctionEntry& function,
               TaskName task_name, GateOf gate, detail::EncodeThunk encode, const void* args,
               ObjectTable::Id& id) noexcept {
  return invoke(interpreter, task_name, gate, encode, args,
                [&](PythonEncoder& arguments, const auto& context) -> Failure {
                  Object object = call_function(interpreter, function, encode, arguments);
                  if (!object) return take_error(context());
                  id = interpreter.objects().add(std::move(object));
                  return nullptr;
                });
}

Failure use(detail::InterpreterHandle& interpreter, ObjectTable::Id id, detail::ObjectUse use,
            std::string_view attribute, TaskName task_name, GateOf gate, detail::EncodeThunk encode,
            const void* args, detail::DecodeThunk decode, void* storage) noexcept {
  return invoke(interpreter, task_name, gate, encode, args,
                [&](PythonEncoder& arguments, const auto& context) -> Failure {
                  // A reference of our own, as the last handle may go while the GIL changes hands.
                  const Object object = interpreter.objects().find(id);
                  if (!object) return std::make_shared<const WorkerError>("the object is gone", context());
                  // Interned, as CPython's cache of attributes keeps the names that it has seen.
                  const Object name =
                      Object::take(PyUnicode_InternFromString(std::string(attribute).c_str()));
                  if (!name) return take_error(context());
                  Object result;
                  switch (use) {
                    case detail::ObjectUse::kCall:
                      arguments.slots()[-1] = object.get();
                      result = Object::take(PyObject_VectorcallMethod(name.get(), arguments.slots() - 1,
                                                                      (encode.count + 1), nullptr));
                      break;
                    case detail::ObjectUse::kGet:
                      result = Object::take(PyObject_GetAttr(object.get(), name.get()));
                      break;
                    case detail::ObjectUse::kSet:
                      if (PyObject_SetAttr(object.get(), name.get(), arguments.slots()[0]) == 0)
                        result = Object::share(Py_None);
                  }
                  return decode_result(result, decode, storage, context);
                });
}

Failure eval(detail::InterpreterHandle& interpreter, std::string_view expression, TaskName task_name,
             detail::DecodeThunk decode, void* storage) noexcept {
  return run(interpreter, expression, "<eval>", Py_eval_input, task_name, decode, storage);
}

Failure exec(detail::InterpreterHandle& interpreter, std::string_view code, TaskName task_name) noexcept {
  return run(interpreter, code, "<exec>", Py_file_input, task_name, nullptr, nullptr);
}

}  // namespace interpool::python
