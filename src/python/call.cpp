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

/// Reads a call's result, if it is wanted. `context` makes an ErrorContext, and is called on errors only.
template <class Context>
Failure decode_result(PyObject* result, detail::DecodeThunk decode, void* storage, const Context& context) {
  if (decode == nullptr) return nullptr;
  try {
    PythonDecoder decoder(result);
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
    if (!result) return take_error(context());
    return decode_result(result.get(), decode, storage, context);
  } catch (...) {
    return detail::current_failure({});
  }
}

}  // namespace

Failure call(detail::InterpreterHandle& interpreter, const detail::FunctionEntry& function,
             TaskName task_name, detail::EncodeThunk encode, const void* args, detail::DecodeThunk decode,
             void* storage) noexcept {
  // Only an error needs the names.
  const auto context = [&] { return ErrorContext{.task = task_name(), .interpreter = interpreter.id()}; };
  try {
    PyObject* callee = interpreter.function(function);
    if (callee == nullptr) return take_error(context());
    PythonEncoder arguments(encode.count);
    try {
      encode.encode(arguments, args);
      arguments.finish();
    } catch (...) {
      return conversion_failure(context());
    }
    const Object result = Object::take(PyObject_Vectorcall(
        callee, arguments.slots(), encode.count | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    if (!result) return take_error(context());
    return decode_result(result.get(), decode, storage, context);
  } catch (...) {
    return detail::current_failure({});
  }
}

Failure eval(detail::InterpreterHandle& interpreter, std::string_view expression, TaskName task_name,
             detail::DecodeThunk decode, void* storage) noexcept {
  return run(interpreter, expression, "<eval>", Py_eval_input, task_name, decode, storage);
}

Failure exec(detail::InterpreterHandle& interpreter, std::string_view code, TaskName task_name) noexcept {
  return run(interpreter, code, "<exec>", Py_file_input, task_name, nullptr, nullptr);
}

}  // namespace interpool::python
