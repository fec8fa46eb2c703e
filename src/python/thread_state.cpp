#include "python/thread_state.h"

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

void ThreadState::destroy() noexcept {
  attach();
  PyThreadState_Clear(state_);
  PyThreadState_DeleteCurrent();
  state_ = nullptr;
}

}  // namespace interpool::python
