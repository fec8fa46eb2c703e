#include "python/context.h"

#include "interpool/detail/task.h"
#include "python/encoder.h"
#include "python/error_capture.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace interpool::python {

namespace {

/// Throws ConversionError.
Object encode(detail::InterpreterHandle& interpreter, TaskName task_name, const std::string& name,
              const Value& value) {
  const auto no_gate = [] { return std::shared_ptr<CallbackGate>(); };  // a Value holds no callbacks
  const std::string root = fmt::format("context['{}']", name);
  PythonEncoder out(interpreter, task_name, no_gate, 1, root);
  Converter<Value>::encode(out, value);
  out.finish();
  return Object::share(out.slots()[0]);
}

}  // namespace

ContextScope::~ContextScope() {
  // It fails where native code has left the thread in yet another context.
  if (context_ && PyContext_Exit(context_.get()) != 0) PyErr_Clear();
}

Failure ContextScope::enter(detail::InterpreterHandle& interpreter, const ContextVars& variables,
                            TaskName task_name) noexcept {
  const auto where = [&] { return ErrorContext{.task = task_name(), .interpreter = interpreter.id()}; };
  try {
    // All that may run Python code comes first: what a module sets while it is imported is to stay.
    std::vector<std::pair<Object, Object>> values;
    values.reserve(variables.size());
    for (const auto& [name, value] : variables) {
      PyObject* found = interpreter.function(interpreter.table().entry(name));
      if (found == nullptr) return take_error(where());
      Object variable = Object::share(found);
      if (PyContextVar_CheckExact(variable.get()) == 0) {
        return std::make_shared<const UsageError>(
            fmt::format("context: '{}' is a '{}', not a ContextVar", name, type_name(variable.get())),
            where());
      }
      try {
        values.emplace_back(std::move(variable), encode(interpreter, task_name, name, value));
      } catch (const ConversionError& error) {
        PyErr_Clear();
        return std::make_shared<const ConversionError>(error.path(), error.reason(), where());
      }
    }
    Object context = Object::take(PyContext_CopyCurrent());
    if (!context || PyContext_Enter(context.get()) != 0) return take_error(where());
    context_ = std::move(context);
    for (const auto& [variable, value] : values) {
      const Object token = Object::take(PyContextVar_Set(variable.get(), value.get()));
      if (!token) return take_error(where());
    }
    return nullptr;
  } catch (...) {
    PyErr_Clear();
    return detail::current_failure({});
  }
}

}  // namespace interpool::python
