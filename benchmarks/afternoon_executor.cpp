#include "afternoon_executor.h"

#include "bare_interpreter.h"
#include "placement.h"

#include <utility>

namespace bench {

AfternoonExecutor::AfternoonExecutor() : thread_([this] { loop(); }) {}

AfternoonExecutor::~AfternoonExecutor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::future<long> AfternoonExecutor::abs(long value) {
  std::packaged_task<long()> task([this, value] { return call_abs(abs_, value); });
  std::future<long> future = task.get_future();
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
  return future;
}

void AfternoonExecutor::loop() {
  place_this_thread(End::kWorker);
  PyThreadState* creator = new_interpreter();
  PyInterpreterState* interpreter = PyThreadState_GetInterpreter(creator);
  abs_ = new_abs();
  PyEval_SaveThread();
  for (;;) {
    std::packaged_task<long()> task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !tasks_.empty() || stopping_; });
      if (tasks_.empty()) break;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    PyEval_RestoreThread(PyThreadState_New(interpreter));
    task();
    PyThreadState_Clear(PyThreadState_Get());
    PyThreadState_DeleteCurrent();
  }
  PyEval_RestoreThread(creator);
  Py_CLEAR(abs_);
  Py_EndInterpreter(creator);
}

}  // namespace bench
