// The thread behind callback_executor().
#pragma once

#include "base/mutex.h"
#include "interpool/future.h"

#include <deque>

namespace interpool {

/// Runs Work in the order it comes. Lives as long as the process.
class CallbackThread final : public Executor {
 public:
  CallbackThread();
  void execute(Work work) override INTERPOOL_EXCLUDES(mutex_);

 private:
  [[noreturn]] void run() INTERPOOL_EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::deque<Work> queue_ INTERPOOL_GUARDED_BY(mutex_);
};

}  // namespace interpool
