// Journal: what every interpreter has to have had done to it before its first task.
#pragma once

#include "base/mutex.h"
#include "interpool/error.h"
#include "python/interpreter.h"

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace interpool::detail {

/// An append-only list of set-up steps (module paths, preloaded modules, …), which each interpreter
/// replays from where it has got to. Thread-safe.
class Journal {
 public:
  struct Step {
    std::string what;  // for errors: "preload json"
    /// Runs attached to the interpreter; null is success.
    std::function<Failure(InterpreterHandle&)> apply;
  };

  void append(Step step) INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    steps_.push_back(std::make_shared<const Step>(std::move(step)));
    size_.store(steps_.size(), std::memory_order_release);  // release: whoever sees the size finds the step
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  [[nodiscard]] std::shared_ptr<const Step> step(std::size_t index) const INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return steps_[index];
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<const Step>> steps_ INTERPOOL_GUARDED_BY(mutex_);
  std::atomic<std::size_t> size_ = 0;
};

}  // namespace interpool::detail
