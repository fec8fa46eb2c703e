// C++ callables as Python objects.
#pragma once

#include "interpool/callback.h"
#include "interpool/detail/function_ref.h"
#include "python/cpython.h"

#include <exception>
#include <memory>

namespace interpool::detail {
class InterpreterHandle;
}  // namespace interpool::detail

namespace interpool::python {

/// What callbacks pass on their way into C++: open as long as who has passed them in is there. Any thread, at
/// any time.
class CallbackGate {
 public:
  virtual ~CallbackGate() = default;
  /// False once it is closed; else the call counts as one inside, until leave().
  virtual bool enter() noexcept = 0;
  virtual void leave() noexcept = 0;
  /// Whether the calling thread is inside a call that has passed it.
  [[nodiscard]] bool entered_by_this_thread() const noexcept;
};
/// Asked for only when a callback is among the values at hand. Null: there is no task that it could be of.
using GateOf = detail::FunctionRef<std::shared_ptr<CallbackGate>()>;

// All of these need the GIL.

/// The type `interpool.NativeCallback`, a new reference; see InterpreterHandle::callback_type.
PyObject* make_callback_type();
/// A function for Python code in `interpreter`, which is the one that is attached; a new reference, which
/// shares the callable. Null: an exception is set.
PyObject* make_callback(detail::InterpreterHandle& interpreter, std::shared_ptr<CallbackGate> gate,
                        detail::NativeCallable& callable);
/// The C++ exception that a callback's Python exception stands for, or null.
std::exception_ptr native_exception(PyObject* exception) noexcept;

}  // namespace interpool::python
