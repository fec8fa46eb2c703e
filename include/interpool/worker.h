// Worker: what a C++ callable sees of the interpreter it runs in.
#pragma once

#include <interpool/context_vars.h>
#include <interpool/convert.h>
#include <interpool/detail/api.h>
#include <interpool/detail/call.h>
#include <interpool/detail/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace interpool {

class Worker;

namespace detail {

INTERPOOL_API void in_context(Worker& worker, const ContextVars& variables, FunctionRef<void()> work);

}  // namespace detail

/// Which kind of worker runs a task.
enum class Lane : std::uint8_t {
  kPinned,    ///< One thread, one interpreter, addressable.
  kPooled,    ///< Several threads share an interpreter.
  kMain,      ///< The main interpreter, on the home thread.
  kAttached,  ///< A thread of the host with an interpreter of its own; see SubinterpreterExecutor::attach.
};

/// "pinned", "pooled", "main" or "attached".
INTERPOOL_API const char* to_string(Lane lane) noexcept;

/// The interpreter a task runs in, with its GIL held. Handed to the task's callable, valid until
/// the callable returns and on its thread only. Used on another thread, in another interpreter's task or
/// where the GIL is released, its functions throw UsageError; once its executor has ended, nothing is
/// defined.
///
/// Errors are exceptions here: Python's come as PythonError, and one that leaves the callable is the
/// task's error. Text that names a function is "module:qualified.name".
class INTERPOOL_API Worker {
 public:
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// The kind of worker that this is.
  [[nodiscard]] Lane lane() const noexcept { return lane_; }
  /// The worker's number in its lane, from 0; attached threads are numbered as they come.
  [[nodiscard]] std::size_t index() const noexcept { return index_; }
  /// CPython's id of the interpreter; the main one's is 0.
  [[nodiscard]] std::int64_t interpreter_id() const noexcept;

  /// Evaluates an expression in the interpreter's `__main__`, where exec() leaves its names.
  template <class R>
  R eval(std::string_view expression) {
    detail::require_decodable<R>();
    detail::Slot<R> slot;
    detail::eval(*this, expression, detail::decode_thunk<R>(), slot.storage());
    return slot.take();
  }
  /// Runs statements in the interpreter's `__main__`. What they define stays for later tasks there.
  void exec(std::string_view code) { detail::exec(*this, code); }
  /// Calls a Python function with these arguments.
  template <class R, class... Args>
  R call(std::string_view function, Args&&... args) {
    return detail::call_through<R>([&](auto... rest) { detail::call_now(*this, function, rest...); },
                                   std::forward<Args>(args)...);
  }
  /// Imports a module, as `import name` would.
  void import_module(std::string_view name) { detail::import_module(*this, name); }
  /// Calls `work` with these ContextVars set, and returns what it returns. Python code that it runs has a
  /// copy of the context around the call: what it sets there is gone afterwards. Throws as
  /// CallOptions::context says where one cannot be set, and UsageError if a name has another form.
  template <class F>
  std::invoke_result_t<F&> in_context(const ContextVars& variables, F&& work) {
    using R = std::invoke_result_t<F&>;
    static_assert(!std::is_reference_v<R>, "interpool: in_context() returns a value, not a reference");
    if constexpr (std::is_void_v<R>) {
      detail::in_context(*this, variables, [&] { work(); });
    } else {
      std::optional<R> result;
      detail::in_context(*this, variables, [&] { result.emplace(work()); });
      return std::move(*result);
    }
  }

 private:
  friend struct detail::WorkerAccess;
  Worker(Lane lane, std::size_t index, detail::InterpreterHandle& interpreter) noexcept
      : lane_(lane), index_(index), interpreter_(interpreter) {}

  Lane lane_;
  std::size_t index_;
  detail::InterpreterHandle& interpreter_;
};

}  // namespace interpool
