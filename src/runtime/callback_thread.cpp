#include "runtime/callback_thread.h"

#include "interpool/future.h"
#include "runtime/thread_name.h"

#include <deque>
#include <thread>
#include <utility>

namespace interpool {

CallbackThread::CallbackThread() {
  std::thread([this] { run(); }).detach();
}

void CallbackThread::execute(Work work) {
  {
    const MutexLock lock(mutex_);
    queue_.push_back(std::move(work));
  }
  changed_.notify_one();
}

void CallbackThread::run() {
  name_this_thread("interpool-then");
  for (;;) {
    mutex_.lock();
    while (queue_.empty()) changed_.wait(mutex_);
    Work work = std::move(queue_.front());
    queue_.pop_front();
    mutex_.unlock();
    work();
  }
}

Executor& callback_executor() {
  // Never destroyed: a continuation may come at any time, even while the process exits.
  static auto* const thread = new CallbackThread();
  return *thread;
}

}  // namespace interpool
