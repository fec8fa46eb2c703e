#include "python/thread_state.h"

#include "base/check.h"

#include <new>

namespace interpool::python {

ThreadState::ThreadState(PyInterpreterState* interpreter)
    : state_(PyThreadState_New(interpreter)), owner_(std::this_thread::get_id()) {
  if (state_ == nullptr) throw std::bad_alloc();
}

ThreadState ThreadState::adopt(PyThreadState* state) noexcept {
  ThreadState adopted;
  adopted.state_ = state;
  adopted.owner_ = std::this_thread::get_id();
  return adopted;
}

void ThreadState::check_owner() const noexcept {
  INTERPOOL_CHECK(state_ != nullptr, "a thread state is used after its end");
  INTERPOOL_CHECK(owner_ == std::this_thread::get_id(),
                  "a thread state is used on another thread than made it");
}

void ThreadState::attach() noexcept {
  check_owner();
  PyThreadState* previous = PyThreadState_Swap(state_);
  INTERPOOL_CHECK(previous == nullptr, "a thread that is attached to an interpreter attaches to another");
}

void ThreadState::detach() noexcept {
  check_owner();
  PyThreadState* previous = PyThreadState_Swap(nullptr);
  INTERPOOL_CHECK(previous == state_, "a task left its thread attached to another interpreter");
}

void ThreadState::destroy() noexcept {
  attach();
  PyThreadState_Clear(state_);
  PyThreadState_DeleteCurrent();
  state_ = nullptr;
}

}  // namespace interpool::python
