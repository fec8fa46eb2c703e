// Thread states: a thread's place in an interpreter, and holding its GIL.
#pragma once

#include "base/check.h"
#include "python/cpython.h"

#include <thread>

namespace interpool::python {

/// One PyThreadState, created, used and deleted on one OS thread, which every call checks. Between
/// attach() and detach() the thread holds the interpreter's GIL.
///
/// PyGILState_* is of no use here: from a foreign thread it picks the main interpreter, and on a
/// worker the state that was attached last, even after it was detached.
class ThreadState {
 public:
  ThreadState() = default;
  /// Makes one for the calling thread in `interpreter`, detached. No GIL is needed.
  explicit ThreadState(PyInterpreterState* interpreter);
  /// Makes one for the calling thread in the main interpreter, detached.
  static ThreadState in_main() { return ThreadState(PyInterpreterState_Main()); }
  /// Takes over one that CPython made on this thread.
  static ThreadState adopt(PyThreadState* state) noexcept;
  /// Takes over the one that is attached.
  static ThreadState adopt_current() noexcept { return adopt(current_thread_state()); }
  ThreadState(ThreadState&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), owner_(other.owner_) {}
  ThreadState& operator=(ThreadState&& other) noexcept {
    state_ = std::exchange(other.state_, nullptr);
    owner_ = other.owner_;
    return *this;
  }
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;
  /// Deletes nothing: that takes the GIL, so it is asked for by name.
  ~ThreadState() = default;

  explicit operator bool() const noexcept { return state_ != nullptr; }
  [[nodiscard]] PyInterpreterState* interpreter() const noexcept {
    return PyThreadState_GetInterpreter(state_);
  }

  /// Blocks until the GIL is ours; whoever holds it, or main's when this is the first import of an
  /// extension, ends the wait.
  void attach() noexcept {
    check_owner();
    PyThreadState* previous = PyThreadState_Swap(state_);
    INTERPOOL_CHECK(previous == nullptr, "a thread that is attached to an interpreter attaches to another");
  }
  void detach() noexcept {
    check_owner();
    PyThreadState* previous = PyThreadState_Swap(nullptr);
    INTERPOOL_CHECK(previous == state_, "a task left its thread attached to another interpreter");
  }
  /// Attaches, clears and deletes the state; it is empty then. For all but an interpreter's last one,
  /// which ends with its interpreter.
  void destroy() noexcept;
  /// Gives up the state without deleting it, as Py_EndInterpreter does that.
  PyThreadState* release() noexcept { return std::exchange(state_, nullptr); }

 private:
  void check_owner() const noexcept {
    INTERPOOL_CHECK(state_ != nullptr, "a thread state is used after its end");
    INTERPOOL_CHECK(owner_ == std::this_thread::get_id(),
                    "a thread state is used on another thread than made it");
  }

  PyThreadState* state_ = nullptr;
  std::thread::id owner_;
};

/// Releases whatever GIL the calling thread holds, for as long as it lives. Around everything in the
/// library that blocks: whoever waits while holding main's GIL can deadlock with any interpreter that
/// is created or imports an extension meanwhile.
class GilRelease {
 public:
  GilRelease() noexcept : state_(current_thread_state() == nullptr ? nullptr : PyEval_SaveThread()) {}
  ~GilRelease() {
    if (state_ != nullptr) PyEval_RestoreThread(state_);
  }
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace interpool::python
