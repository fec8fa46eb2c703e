// The peer: what one writes in an afternoon around an own-GIL interpreter.
#pragma once

#include <Python.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

namespace bench {

/// One thread with one own-GIL interpreter, a mutex, a deque of std::packaged_task, and one activation per
/// task, which makes, enters, clears and deletes a thread state, as pybind11's subinterpreter_scoped_activate
/// does. Written as well as its design allows: the function is looked up once, the condition is notified
/// outside the lock.
class AfternoonExecutor {
 public:
  AfternoonExecutor();
  ~AfternoonExecutor();
  AfternoonExecutor(const AfternoonExecutor&) = delete;
  AfternoonExecutor& operator=(const AfternoonExecutor&) = delete;

  std::future<long> abs(long value);

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<long()>> tasks_;
  bool stopping_ = false;
  PyObject* abs_ = nullptr;  // the thread's own
  std::thread thread_;
};

}  // namespace bench
