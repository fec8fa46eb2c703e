// ContextVars that the host has set, around a piece of Python code.
#pragma once

#include "interpool/context_vars.h"
#include "python/call.h"
#include "python/cpython.h"
#include "python/interpreter.h"

namespace interpool::python {

/// Has the calling thread in a context of its own. Used on one thread, under the GIL of one interpreter.
class ContextScope {
 public:
  ContextScope() = default;
  /// Leaves the context. What was set in it may die of that, and run Python code.
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

  /// Once. Null: until this dies, the thread is in a copy of the context that it was in, with these set.
  Failure enter(detail::InterpreterHandle& interpreter, const ContextVars& variables,
                TaskName task_name) noexcept;

 private:
  Object context_;  // entered, or none
};

}  // namespace interpool::python
