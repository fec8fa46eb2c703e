// One interpreter: created, set up, asked for functions, ended.
#pragma once

#include "base/mutex.h"
#include "interpool/detail/call.h"
#include "python/cpython.h"
#include "python/function_table.h"
#include "python/object_table.h"
#include "python/thread_state.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace interpool::detail {

/// What the library knows of one interpreter. Everything but id() and place() needs its GIL, which also
/// guards the members; Python code may run, and so the GIL change hands, inside each of these calls.
///
/// Shared-owned by its group and by what the library has put into the interpreter.
class InterpreterHandle : public std::enable_shared_from_this<InterpreterHandle> {
 public:
  static constexpr std::size_t kNoPlace = static_cast<std::size_t>(-1);

  /// `place`: what tells apart interpreters that are there at once, and stays when one replaces another.
  InterpreterHandle(PyInterpreterState* state, FunctionTable& functions, std::size_t place)
      : state_(state), id_(PyInterpreterState_GetID(state)), place_(place), table_(functions) {}
  static std::shared_ptr<InterpreterHandle> main(FunctionTable& functions) {
    return std::make_shared<InterpreterHandle>(PyInterpreterState_Main(), functions, kNoPlace);
  }
  InterpreterHandle(const InterpreterHandle&) = delete;
  InterpreterHandle& operator=(const InterpreterHandle&) = delete;

  [[nodiscard]] PyInterpreterState* state() const noexcept { return state_; }
  /// Whether the calling thread is attached to it, and so holds its GIL.
  [[nodiscard]] bool attached() const noexcept {
    PyThreadState* thread = python::current_thread_state();
    return thread != nullptr && PyThreadState_GetInterpreter(thread) == state_;
  }
  [[nodiscard]] std::int64_t id() const noexcept { return id_; }
  /// Among those of its executor; kNoPlace: the main one, and those of attached threads.
  [[nodiscard]] std::size_t place() const noexcept { return place_; }
  /// The names that function() is asked for come from here.
  [[nodiscard]] FunctionTable& table() const noexcept { return table_; }

  /// The function, borrowed until clear(), looked up (its module imported) at the first call; null: an
  /// exception is set.
  PyObject* function(const FunctionEntry& entry) {
    if (entry.id < functions_.size() && functions_[entry.id] != nullptr) return functions_[entry.id];
    return look_up(entry);
  }
  /// The dict of `__main__`, borrowed; null: an exception is set.
  PyObject* main_namespace();
  /// What handles of the host refer to.
  [[nodiscard]] python::ObjectTable& objects() noexcept { return objects_; }
  /// Functions are looked up anew when they are asked for next.
  void forget_functions() noexcept;
  /// The type of callbacks, borrowed until clear(), made at the first call; null: an exception is set.
  PyTypeObject* callback_type();
  /// The type `interpool.Buffer`, borrowed until clear(), made at the first call; null: an exception is set.
  PyObject* buffer_type() noexcept;
  /// Drops every reference into the interpreter, before its end.
  void clear() noexcept;

 private:
  PyObject* look_up(const FunctionEntry& entry);

  PyInterpreterState* const state_;
  const std::int64_t id_;
  const std::size_t place_;
  FunctionTable& table_;
  PyObject* callback_type_ = nullptr;
  std::vector<PyObject*> functions_;  // by FunctionEntry::id; null: not looked up yet
  python::ObjectTable objects_;
  PyObject* buffer_type_ = nullptr;  // null: not made yet
};

}  // namespace interpool::detail

namespace interpool::python {

struct CreatedInterpreter {
  ThreadState state;  // of the calling thread, detached; empty: see error
  std::string error;
};

/// Creates a sub-interpreter with its own GIL and the calling thread's state in it. Needs main's GIL
/// for a moment; the caller holds none. `serial` is for the versions whose creation is not safe
/// concurrently. `shared`: other threads will run tasks in it, too; then `threading`, which takes the thread
/// that imports it first for the main one, is imported now: the creator is the one that will end it.
CreatedInterpreter create_interpreter(Mutex& serial, bool shared);

/// Ends the interpreter of `state`, on the thread that created it, after joining its Python threads
/// as Py_EndInterpreter would. False: at the deadline there were threads left in it, and it has been left
/// alone, with `state` detached: ending it would be fatal (3.12, 3.13) or strand them. May run
/// past the deadline, in atexit callbacks, destructors and joins, which nothing can end.
bool end_interpreter(detail::InterpreterHandle& interpreter, ThreadState& state,
                     std::chrono::steady_clock::time_point deadline) noexcept;

// Set-up steps, under the GIL of the interpreter they are for; null is success.
Failure prepend_module_paths(const std::vector<std::string>& paths);
Failure discard_stdio();
/// Imports those of the modules anew that have been imported, in their order, and forgets functions.
Failure reload(detail::InterpreterHandle& interpreter, const std::vector<std::string>& modules);
Failure import_module(detail::InterpreterHandle& interpreter, const std::string& name);

}  // namespace interpool::python
