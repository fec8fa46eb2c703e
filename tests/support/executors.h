// Executors of a host's own, for continuations and coroutines.
#pragma once

#include "python/cpython.h"
#include "support/sync.h"

#include <interpool/future.h>

#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

namespace interpool::test {

inline bool holds_gil() { return python::current_thread_state() != nullptr; }

/// Keeps its Work until it is told to run or to drop it.
class ManualExecutor final : public Executor {
 public:
  void execute(Work work) override {
    const std::lock_guard lock(mutex_);
    held_gil_ = held_gil_ || holds_gil();
    queue_.push_back(std::move(work));
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
  }
  void run_one() {
    wait_until([this] { return size() > 0; });
    std::optional<Work> work = take();
    (*work)();
  }
  void drop_one() {
    wait_until([this] { return size() > 0; });
    (void)take();
  }
  [[nodiscard]] bool held_gil() const {
    const std::lock_guard lock(mutex_);
    return held_gil_;
  }

 private:
  std::optional<Work> take() {
    const std::lock_guard lock(mutex_);
    std::optional<Work> work(std::move(queue_.front()));
    queue_.pop_front();
    return work;
  }
  mutable std::mutex mutex_;
  std::deque<Work> queue_;
  bool held_gil_ = false;
};

/// Refuses by throwing.
class ThrowingExecutor final : public Executor {
 public:
  void execute(Work /*work*/) override { throw std::runtime_error("no room"); }
};

}  // namespace interpool::test
